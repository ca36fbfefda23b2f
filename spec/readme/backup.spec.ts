/**
 * The backup of the README, taken while appends, rolls and checkpoints go on: the copy has what was
 * durable when it began, and nothing in it counts as damage. The files are copied here as the two
 * commands there name them.
 */
import assert from 'node:assert/strict'
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { describe, it } from 'node:test'

import { type Log, openLog } from '../../lib/index.ts'
import { tempDir } from '../support/temp-dir.ts'

const commands = [
  "rsync -a --exclude='.*' --exclude='*.tmp' --exclude='*.log' --exclude='*.index' --exclude='*.timeindex' data/ backup/",
  "rsync -a --include='*/' --include='*.log' --exclude='*' data/ backup/",
]

/** What the first command takes, and what the second. */
const passes: readonly ((name: string) => boolean)[] = [
  name => !name.startsWith('.') && !/\.(?:tmp|log|index|timeindex)$/.test(name),
  name => name.endsWith('.log'),
]

describe('a backup while the log is written', () => {
  it('the README -> has the two commands that are played here', () => {
    const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
    assert.ok(readme.includes(commands.join('\n')))
  })

  it('checkpoints first, segments last -> opens undamaged with all that was durable', async test => {
    const parent = tempDir(test)
    const [data, backup] = [join(parent, 'data'), join(parent, 'backup')]
    const durable = await copyWhileAppending(data, backup, passes)
    const [original, restored] = [await openLog(data), await openLog(backup)]
    assert.deepEqual(damageOf(restored), [])
    for (const partition of [0, 1]) {
      const values = await valuesOf(restored, partition)
      assert.ok(values.length >= (durable[partition] ?? 0))
      assert.deepEqual(values, (await valuesOf(original, partition)).slice(0, values.length))
    }
    await Promise.all([original.close(), restored.close()])
  })

  it('the other way round -> records that the checkpoint vouches for are missing, and named', async test => {
    const parent = tempDir(test)
    const backup = join(parent, 'backup')
    await copyWhileAppending(join(parent, 'data'), backup, [...passes].reverse())
    const restored = await openLog(backup)
    assert.notDeepEqual(damageOf(restored), [])
    await restored.close()
  })
})

/**
 * Copies a log that is appended to before, between and after the passes; gives the recovery points of
 * its partitions when the copying began.
 */
async function copyWhileAppending(
  data: string,
  backup: string,
  inOrder: typeof passes,
): Promise<readonly number[]> {
  const log = await openLog(data)
  const topic = await log.topic('orders', { partitions: 2, segmentBytes: 64 * 1024 })
  let count = 0
  let isOver = false
  const appendSome = async (): Promise<void> => {
    for (let i = 0; i < 200; i++, count++) {
      await topic.append({ key: `key ${count % 7}`, value: `${count}:${'x'.repeat(900)}` })
    }
  }
  await appendSome()
  const beside = (async () => {
    while (!isOver) await topic.append({ value: 'y'.repeat(2000) })
  })()
  const durable = topic.partitions.map(({ recoveryPoint }) => recoveryPoint)
  for (const isTaken of inOrder) {
    await copy(data, backup, isTaken)
    await appendSome()
  }
  isOver = true
  await beside
  await log.close()
  return durable
}

/** Copies the files whose names are taken, with a turn of the event loop before each. */
async function copy(from: string, to: string, isTaken: (name: string) => boolean): Promise<void> {
  const names = readdirSync(from, { recursive: true, encoding: 'utf8' }).sort()
  for (const name of names) {
    const isFile = basename(name).includes('.') || name.endsWith('-checkpoint')
    if (!isFile || !isTaken(basename(name))) continue
    await new Promise(setImmediate)
    mkdirSync(dirname(join(to, name)), { recursive: true })
    copyFileSync(join(from, name), join(to, name))
  }
}

function damageOf(log: Log): readonly unknown[] {
  return log.recovery.partitions.flatMap(({ damage }) => damage)
}

async function valuesOf(log: Log, partition: number): Promise<readonly string[]> {
  const values: string[] = []
  for await (const { value } of (await log.topic('orders')).partition(partition).records()) {
    values.push(String(value))
  }
  return values
}

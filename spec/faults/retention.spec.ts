/**
 * Sweeps and `deleteRecords` that lose power, or get an error, at each of their calls. Whatever happens,
 * the log begins where it began or where it was to begin, nothing else is missing, offsets go on, and
 * no file is left of what was given up.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, Partition, Topic } from '../../lib/types.ts'
import { seeds } from '../support/random.ts'

const dir = '/log'

interface Prepared {
  readonly files: FaultyFiles
  readonly log: Log
  readonly topic: Topic
  readonly partition: Partition
}

interface Scenario {
  readonly title: string
  /** Gives up the head of a log of eight records, two in every segment. */
  readonly work: (prepared: Prepared) => Promise<unknown>
  /** Where the log begins afterwards. */
  readonly logStart: number
  /** Where it may begin as well when only a part of the work could be done. @default nowhere else */
  readonly partly?: readonly number[]
  /** Base offsets of the segments that remain. */
  readonly bases: readonly number[]
}

const scenarios: readonly Scenario[] = [
  {
    title: 'a sweep by number',
    work: async ({ log, topic }) => {
      await topic.configure({ retentionRecords: 3 })
      await swept(log)
    },
    logStart: 4,
    bases: [4, 6],
  },
  {
    title: 'a sweep that takes everything',
    work: async ({ log, topic }) => {
      await topic.configure({ retentionRecords: 0 })
      await swept(log)
    },
    logStart: 8,
    partly: [6],
    bases: [8],
  },
  {
    title: 'deleteRecords in the middle of a batch',
    work: ({ partition }) => partition.deleteRecords(5),
    logStart: 5,
    bases: [4, 6],
  },
  {
    title: 'deleteRecords at the end, and a sweep',
    work: async ({ log, partition }) => {
      await partition.deleteRecords(8)
      await swept(log)
    },
    logStart: 8,
    bases: [8],
  },
]

/** A sweep, whose failures are the caller's. */
async function swept(log: Log): Promise<void> {
  const { failures } = await log.sweep()
  if (failures[0] !== undefined) throw failures[0].error
}

async function prepared(seed: number): Promise<Prepared> {
  const files = faultyFiles({ seed })
  const first = await open(files)
  const filled = (await first.topic('orders', { segmentBytes: 1024 })).partition(0)
  for (let offset = 0; offset < 8; offset += 2) {
    await filled.append([{ value: valueAt(offset) }, { value: valueAt(offset + 1) }])
  }
  // Opened anew nothing happens in the background.
  await first.close()
  const log = await open(files)
  const topic = await log.topic('orders')
  return { files, log, topic, partition: topic.partition(0) }
}

function open(files: FaultyFiles): Promise<Log> {
  const options = { clock: manualClock(), sweepIntervalMs: -1, ballastBytes: 0 }
  return openLog(dir, { files: files.currentProcess(), ...options })
}

function valueAt(offset: number): string {
  return `${offset}:`.padEnd(400, 'v')
}

function bases(files: FaultyFiles, suffix: string): number[] {
  return files
    .list(`${dir}/orders-0`)
    .filter(({ name }) => name.endsWith(suffix))
    .map(({ name }) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

/** Opens what is there, looks at all of it, and goes on with it. */
async function check(files: FaultyFiles, scenario: Scenario, label: string): Promise<number> {
  const log = await open(files)
  const partition = (await log.topic('orders')).partition(0)
  const { logStartOffset } = partition
  const possible = [0, scenario.logStart, ...(scenario.partly ?? [])]
  assert.ok(possible.includes(logStartOffset), `${logStartOffset}: ${label}`)
  assert.equal(partition.logEndOffset, 8, label)
  assert.equal(partition.state, 'ok', label)
  const found: string[] = []
  for await (const { value } of partition.records()) found.push(String(value))
  const expected = Array.from({ length: 8 - logStartOffset }, (_, i) => valueAt(logStartOffset + i))
  assert.deepEqual(found, expected, label)
  for (const base of bases(files, '.log')) {
    const isLeftover = bases(files, '.log').some(next => next > base && next <= logStartOffset)
    assert.ok(!isLeftover, `segment ${base} below ${logStartOffset}: ${label}`)
  }
  for (const base of bases(files, 'index')) {
    assert.ok(bases(files, '.log').includes(base), `index ${base} without a log: ${label}`)
  }
  const { baseOffset } = await partition.append({ value: 'next' })
  assert.equal(baseOffset, 8, label)
  await log.close()
  return logStartOffset
}

for (const scenario of scenarios) {
  describe(scenario.title, () => {
    it('nothing goes wrong -> the log begins there, and the rest of it is gone', async () => {
      const { files, log, ...rest } = await prepared(1)
      await scenario.work({ files, log, ...rest })
      assert.deepEqual(bases(files, '.log'), scenario.bases)
      await log.close()
      assert.equal(await check(files, scenario, 'no fault'), scenario.logStart)
    })

    it('a power cut right after it -> the log begins there', async () => {
      for (const seed of seeds(20)) {
        const scene = await prepared(seed)
        await scenario.work(scene)
        scene.files.crash()
        const logStart = await check(scene.files, scenario, `SEED=${seed}`)
        assert.equal(logStart, scenario.logStart, `SEED=${seed}`)
      }
    })

    it('a power cut at each of its calls -> it begins there or where it did, and nothing else is missing', async () => {
      for (const seed of seeds(4)) {
        for (let call = 1, isDone = false; !isDone; call++) {
          const scene = await prepared(seed * 1000 + call)
          scene.files.failAt({ operation: call, kind: 'crash' })
          isDone = await scenario.work(scene).then(
            () => true,
            () => false,
          )
          scene.files.clearFaults()
          if (isDone) scene.files.crash()
          const label = `call ${call}, SEED=${scene.files.seed}\n${scene.files.trace.join('\n')}`
          await check(scene.files, scenario, label)
        }
      }
    })

    for (const kind of ['EIO', 'ENOSPC'] as const) {
      it(`${kind} at each of its calls -> StorageError or reported, and the log is as whole as before`, async () => {
        for (let call = 1, isDone = false; !isDone; call++) {
          const scene = await prepared(call)
          const { files, log, partition } = scene
          let isHit = false
          log.on('backgroundFailed', () => {
            isHit = true
          })
          const before = files.trace.length
          files.failAt({ operation: call, kind })
          const failure = await scenario.work(scene).then(
            () => null,
            (error: unknown) => error,
          )
          const label = `call ${call}\n${files.trace.slice(before).join('\n')}`
          if (failure !== null) assert.ok(failure instanceof StorageError, label)
          const wasStruck = files.trace.slice(before).some(line => line.includes(`-> ${kind}`))
          isDone = failure === null && !isHit && !wasStruck
          files.clearFaults()
          const expected = partition.logEndOffset - partition.logStartOffset
          let count = 0
          for await (const _ of partition.records()) count++
          assert.equal(count, expected, label)
          await log.close().catch(() => undefined)
          files.crash()
          await check(files, scenario, label)
        }
      })
    }
  })
}

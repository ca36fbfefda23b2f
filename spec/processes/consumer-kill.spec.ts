/**
 * A process that consumes is killed with SIGKILL in the middle of processing and of committing, over and
 * over. What it had committed does not come back, and what it had not is given out again.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { startProgram } from '../support/processes/programs.ts'
import { forEachSeed, type SeededRandom } from '../support/random.ts'
import { tempDir } from '../support/temp-dir.ts'

/** What is known of one partition. */
class Known {
  readonly done = new Set<number>()
  durable = 0
  /** By hand, and confirmed. */
  committed = 0

  firstUnfinished(): number {
    let offset = 0
    while (this.done.has(offset)) offset++
    return offset
  }
}

type Partitions = readonly Known[]

function take(line: string, partitions: Partitions): void {
  const [word = '', ...rest] = line.split(' ')
  const [partition = 0, offset = 0] = rest.slice(word === 'from' ? 1 : 0).map(Number)
  const known = partitions[partition]
  if (known === undefined) return
  if (word === 'done') known.done.add(offset)
  if (word === 'durable') known.durable = Math.max(known.durable, offset)
  if (word === 'committed') known.committed = Math.max(known.committed, offset)
}

async function check(dir: string, partitions: Partitions): Promise<void> {
  const log = await openLog(dir)
  const jobs = await log.topic('jobs')
  for (const name of await log.groups()) {
    for (const { partition, offset } of (await log.group(name).describe()).offsets) {
      const known = partitions[partition] as Known
      const { highWatermark } = jobs.partition(partition)
      assert.ok(offset <= highWatermark, `${name} committed ${offset} of ${highWatermark}`)
      assert.ok(highWatermark >= known.durable, 'what was durable is there')
      if (name === 'auto') {
        const first = known.firstUnfinished()
        assert.ok(offset <= first, `auto committed ${offset}, ${first} was not finished`)
      } else {
        assert.ok(offset >= known.committed, `hand committed ${known.committed}, found ${offset}`)
      }
    }
  }
  await log.close()
}

async function cycle(
  test: Parameters<typeof startProgram>[0],
  at: { readonly dir: string; readonly run: number; readonly random: SeededRandom },
  partitions: Partitions,
): Promise<void> {
  const program = startProgram(test, ['consuming', at.dir, at.run, at.random.below(2 ** 31)])
  program.tell('go')
  let left = 1 + at.random.below(150)
  for (let line = await program.nextLine(); line !== null; line = await program.nextLine()) {
    take(line, partitions)
    if (line.startsWith('done') && --left === 0) break
  }
  program.signal('SIGKILL')
  for (const line of await program.rest()) take(line, partitions)
  await check(at.dir, partitions)
}

describe('a process that consumes is killed wherever it is', () => {
  it('25 times -> nothing committed comes back, nothing else is lost', async t => {
    await forEachSeed(1, async random => {
      const dir = tempDir(t)
      const partitions = [new Known(), new Known(), new Known()]
      for (let run = 1; run <= 25; run++) await cycle(t, { dir, run, random }, partitions)
      const log = await openLog(dir)
      const last = await log.consumer({ topics: 'jobs', group: 'auto' })
      let isOver = false
      void last.run(({ partition, offset }) => void partitions[partition]?.done.add(offset))
      const { partitions: all } = await log.topic('jobs')
      while (!isOver) {
        await new Promise(resolve => setImmediate(resolve))
        isOver = all.every(
          ({ id, highWatermark }) => partitions[id]?.firstUnfinished() === highWatermark,
        )
      }
      await log.close()
      const committed = partitions.reduce((sum, known) => sum + known.committed, 0)
      assert.ok(committed > 100, `only ${committed} commits were confirmed`)
    })
  })
})

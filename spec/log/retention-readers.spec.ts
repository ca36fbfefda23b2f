/**
 * Readers of what retention takes away: in the process that writes, and in one that only reads. They
 * finish the batch that they have, hear that the rest is gone, or go on where they asked to; nobody
 * meets damage, and no file loses its name while it is open.
 */
import assert from 'node:assert/strict'
import { describe, it, type TestContext } from 'node:test'

import type { Clock } from '../../lib/clock.ts'
import { OffsetOutOfRangeError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import { diskFiles } from '../../lib/files/disk-files.ts'
import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, LogRecord, Reader, ReadOptions, Topic, TopicFrom } from '../../lib/types.ts'
import { heldFiles } from '../support/held-files.ts'
import { turn } from '../support/open-partition.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Scene {
  readonly dir: string
  readonly files: Files
  readonly log: Log
  readonly topic: Topic
  readonly events: LogEvent[]
}

/** A log of ten records, each in a segment of its own. */
async function scene(
  dir = '/log',
  files: Files = memoryFiles(),
  clock: Clock = manualClock(),
): Promise<Scene> {
  const events: LogEvent[] = []
  const onEvent = (event: LogEvent): void => void events.push(event)
  const log = await openLog(dir, { files, clock, onEvent })
  const topic = await log.topic('orders', { segmentBytes: 1024 })
  for (let index = 0; index < 10; index++) {
    await topic.partition(0).append({ value: Buffer.alloc(900, 'v') })
  }
  return { dir, files, log, topic, events }
}

/** Leaves the last records and deletes those before. */
async function keep({ topic, log }: Scene, count: number): Promise<void> {
  await topic.configure({ retentionRecords: count })
  const { failures } = await log.sweep()
  assert.deepEqual(failures, [])
}

/** A reader that has yielded the first record, and has read the next one, which it will yield. */
async function startedReader(
  topic: Topic,
  options: ReadOptions<TopicFrom> = {},
): Promise<Reader<LogRecord>> {
  const reader = topic.records({ maxBytes: 1, ...options })
  const first = await reader.next()
  assert.equal(first.value?.offset, 0)
  return reader
}

async function rest(reader: Reader<LogRecord>): Promise<number[]> {
  const offsets: number[] = []
  for await (const { offset } of reader) offsets.push(offset)
  return offsets
}

function corruptions(events: readonly LogEvent[]): unknown[] {
  return events.filter(event => event.type === 'corruption')
}

/** Ways in which a reader may see the log: beside its writer, and from outside. */
const views: readonly (readonly [
  string,
  (of: Scene, events: LogEvent[]) => Promise<{ topic: Topic; close: () => Promise<void> }>,
])[] = [
  ['in the process that writes', async of => ({ topic: of.topic, close: async () => {} })],
  [
    'read-only, beside the writer',
    async ({ dir, files }, events) => {
      const onEvent = (event: LogEvent): void => void events.push(event)
      const log = await openLog(dir, { files, readOnly: true, onEvent })
      return { topic: await log.topic('orders'), close: () => log.close() }
    },
  ],
]

for (const [where, view] of views) {
  for (const kind of ['memory', 'disk'] as const) {
    const make = (test: TestContext): Promise<Scene> =>
      kind === 'memory' ? scene() : scene(tempDir(test), diskFiles)

    describe(`a reader ${where}, on files in ${kind}`, () => {
      it('what it was to read next is deleted -> OffsetOutOfRangeError says how much it missed', async test => {
        const of = await make(test)
        const { topic, close } = await view(of, of.events)
        const reader = await startedReader(topic)
        await keep(of, 4)
        await assert.rejects(rest(reader), (error: unknown) => {
          assert.ok(error instanceof OffsetOutOfRangeError)
          assert.deepEqual([error.offset, error.logStartOffset, error.missedRecords], [2, 6, 4])
          return true
        })
        assert.deepEqual(corruptions(of.events), [])
        assert.equal(topic.partition(0).state, 'ok')
        await close()
        await of.log.close()
      })

      it('onOutOfRange is earliest -> it goes on with the first record that is left', async test => {
        const of = await make(test)
        const { topic, close } = await view(of, of.events)
        const reader = await startedReader(topic, { onOutOfRange: 'earliest' })
        await keep(of, 4)
        assert.deepEqual(await rest(reader), [1, 6, 7, 8, 9])
        assert.deepEqual(corruptions(of.events), [])
        await close()
        await of.log.close()
      })

      it('everything is deleted, onOutOfRange latest -> it ends', async test => {
        const of = await make(test)
        const { topic, close } = await view(of, of.events)
        const reader = await startedReader(topic, { onOutOfRange: 'latest' })
        await keep(of, 0)
        assert.deepEqual(await rest(reader), [1])
        await close()
        await of.log.close()
      })

      it('it looks a timestamp up while segments go -> the first record that is left', async test => {
        const of = await make(test)
        const { topic, close } = await view(of, of.events)
        const found = topic.partition(0).offsetForTimestamp(1)
        await keep(of, 4)
        assert.ok([0, 6].includes((await found) ?? -1))
        await topic.describe()
        assert.equal(await topic.partition(0).offsetForTimestamp(1), 6)
        await close()
        await of.log.close()
      })

      it('the log start lies inside a batch -> it begins with that record', async test => {
        const of = await make(test)
        const { topic, close } = await view(of, of.events)
        await of.topic.partition(0).append(['a', 'b', 'c', 'd'].map(value => ({ value })))
        await of.topic.partition(0).deleteRecords(12)
        // Who only reads looks at what the writer says when it is asked for something new.
        await topic.describe()
        const values: string[] = []
        for await (const { offset, value } of topic.records()) {
          values.push(`${offset}${value}`)
        }
        assert.deepEqual(values, ['12c', '13d'])
        await assert.rejects(topic.partition(0).read({ from: 11 }), OffsetOutOfRangeError)
        await close()
        await of.log.close()
      })
    })
  }
}

describe('files that are read while their segments go', () => {
  /** Files that know which logs are open when they are removed, and in which reads wait for a gate. */
  function watched(): {
    readonly files: Files
    readonly removedOpen: string[]
    readonly removed: string[]
    /** Paths of the reads that wait. */
    readonly reading: string[]
    gate: Promise<void>
  } {
    const held = heldFiles(memoryFiles())
    const open = new Map<string, number>()
    const note = (path: string, change: number): number => {
      const count = (open.get(path) ?? 0) + change
      open.set(path, count)
      return count
    }
    const scene = {
      removedOpen: [] as string[],
      removed: [] as string[],
      reading: [] as string[],
      gate: Promise.resolve(),
    }
    const files: Files = {
      ...held,
      open: (path, mode) => {
        const file = held.open(path, mode)
        note(path, 1)
        return {
          ...file,
          read: async (buffer, position) => {
            scene.reading.push(path)
            await scene.gate
            return await file.read(buffer, position)
          },
          close: () => {
            note(path, -1)
            file.close()
          },
        }
      },
      remove: path => {
        if (path.endsWith('.log')) scene.removed.push(path)
        if (note(path, 0) > 0) scene.removedOpen.push(path)
        return held.remove(path)
      },
    }
    return Object.assign(scene, { files })
  }

  /** A clock by which every call takes long, so that no read is made without a promise. */
  function slowClock(): Clock {
    const clock = manualClock()
    let driftMs = 0
    return {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => {
        driftMs += 3
        return clock.monotonicMs() + driftMs
      },
      setTimer: (delayMs, callback) => clock.setTimer(delayMs, callback),
    }
  }

  it('a read is under way in one of them -> the log begins further up, its file goes when the read has ended', async () => {
    const watch = watched()
    const of = await scene('/log', watch.files, slowClock())
    // The first read is slow, and those that follow are not made without a promise.
    await of.topic.partition(0).read({ from: 0, maxBytes: 1 })
    let open = (): void => {}
    watch.gate = new Promise(resolve => {
      open = resolve
    })
    const read = of.topic.partition(0).read({ from: 3, maxBytes: 1 })
    while (watch.reading.length === 0) await turn()
    const [path] = watch.reading
    const swept = keep(of, 4)
    while (of.topic.partition(0).logStartOffset === 0) await turn()
    for (let count = 0; count < 20; count++) await turn()
    assert.deepEqual([watch.removed.length, watch.removed.includes(path ?? '')], [3, false])
    open()
    assert.equal((await read).batches[0]?.baseOffset, 3)
    await swept
    assert.deepEqual([watch.removed.length, watch.removedOpen], [6, []])
  })

  it('a reader is paused -> it delays nothing', async () => {
    const { files, removed } = watched()
    const of = await scene('/log', files)
    const reader = await startedReader(of.topic, { onOutOfRange: 'earliest' })
    await keep(of, 2)
    assert.equal(removed.length, 8)
    assert.deepEqual(await rest(reader), [1, 8, 9])
  })

  it('a live reader waits at the end -> it hears of the next record only', async () => {
    const of = await scene()
    const reader = of.topic.records({ live: true, from: 'latest' })
    const next = reader.next()
    await keep(of, 0)
    await of.topic.partition(0).append({ value: 'next' })
    const { value } = await next
    assert.deepEqual([value?.offset, String(value?.value)], [10, 'next'])
    await of.log.close()
  })
})

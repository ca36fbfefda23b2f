/**
 * Topics whose directories were found without a line in the catalog: nobody has said how long they are to be
 * kept, and what is deleted for that reason would be gone for good.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { openLog } from '../../lib/open.ts'
import type { ManualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions } from '../../lib/types.ts'
import { turn } from '../support/open-partition.ts'
import { dir, fill, minute, offsets, open } from '../support/retention-scene.ts'

/** Six segments with a record each, whose catalog is lost, and opened again much later. */
async function adopted(options: OpenOptions): Promise<{ log: Log; clock: ManualClock }> {
  const { log: before, topic, files, clock } = await open()
  for (const key of ['a', 'a', 'a']) await topic.append({ key, value: Buffer.alloc(890) })
  await fill(topic, 3)
  await before.close()
  await files.remove(`${dir}/topics.catalog`)
  clock.advance(1000 * minute)
  const log = await openLog(dir, { files, clock, ...options })
  assert.deepEqual(log.recovery.adoptedTopics, ['orders'])
  return { log, clock }
}

async function sweepAll(log: Log): Promise<void> {
  await log.sweep()
  for (let count = 0; count < 50; count++) await turn()
}

const everything = [0, 1, 2, 3, 4, 5]

describe('a topic without a line in the catalog', () => {
  for (const [title, options] of [
    ['the defaults delete by age', { topicDefaults: { retentionMs: minute } }],
    ['the defaults delete by number', { topicDefaults: { retentionRecords: 1 } }],
    ['the log exceeds its limit', { maxTotalBytes: 1000 }],
    [
      'the defaults compact',
      { topicDefaults: { cleanupPolicy: 'compact', minCleanableDirtyRatio: 0 } },
    ],
  ] as readonly [string, OpenOptions][]) {
    it(`${title} -> all of it is kept`, async () => {
      const { log } = await adopted(options)
      await sweepAll(log)
      assert.deepEqual(await offsets(await log.topic('orders')), everything)
      await log.close()
    })
  }

  it('configured -> kept as long as that says', async () => {
    const { log } = await adopted({ topicDefaults: { retentionMs: minute } })
    const topic = await log.topic('orders')
    await topic.configure({ retentionRecords: 2, retentionMs: -1 })
    await sweepAll(log)
    assert.deepEqual(await offsets(topic), [4, 5])
    await log.close()
  })
})

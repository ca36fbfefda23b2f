/** The topics that a log keeps for itself, and what becomes of committed offsets beside them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { offsetsTopic } from '../../lib/consumer/offset-store.ts'
import { openLog } from '../../lib/open.ts'
import { committedOf, openConsuming } from '../support/consuming.ts'

async function openCommitted(options: Parameters<typeof openConsuming>[0] = {}) {
  const opened = await openConsuming(options)
  await opened.log.group('billing').resetOffsets({ to: 'latest', topics: ['orders'] })
  return opened
}

describe('the topic of the committed offsets', () => {
  it('made by the first commit -> compacted, one partition, listed only when asked for', async () => {
    const { log } = await openCommitted()
    assert.deepEqual(await log.topics(), ['orders'])
    assert.deepEqual(await log.topics({ internal: true }), [offsetsTopic, 'orders'])
    const { topics } = await log.describe()
    const found = topics.find(({ internal }) => internal)
    assert.equal(found?.name, offsetsTopic)
    assert.deepEqual([found.partitions.length, found.config.cleanupPolicy.value], [1, 'compact'])
    await log.close()
  })

  it('offsetsTopicPartitions -> as many, for ever, whatever a later open says', async () => {
    const { files, log } = await openCommitted({ offsetsTopicPartitions: 4 })
    await log.close()
    const again = await openLog('/log', { files, offsetsTopicPartitions: 2 })
    assert.equal((await again.topic(offsetsTopic)).partitions.length, 4)
    assert.deepEqual(await committedOf(again, 'billing'), ['orders-0@0'])
    await again.close()
  })

  it('is read like any other -> the records that Kafka writes', async () => {
    const { log } = await openCommitted()
    const { value: record } = await (await log.topic(offsetsTopic)).records().next()
    assert.equal(record?.keyBytes?.toString('latin1'), '\0\x01\0\x07billing\0\x06orders\0\0\0\0')
    await log.close()
  })

  it('appended to, given partitions, deleted, made by hand -> InvalidTopicError', async () => {
    const { log } = await openCommitted()
    const topic = await log.topic(offsetsTopic)
    const code = 'INVALID_TOPIC'
    const record = { key: 'k', value: 'v' }
    const refused = { code, outcome: 'not-written' }
    await assert.rejects(topic.append(record), refused)
    await assert.rejects(topic.append([record]), refused)
    await assert.rejects(topic.appendFrom([record]), refused)
    await assert.rejects(topic.partition(0).append(record), refused)
    await assert.rejects(topic.addPartitions(2), { code })
    await assert.rejects(log.deleteTopic(offsetsTopic), { code })
    await assert.rejects(log.topic('__own'), { code })
    await assert.rejects(log.createTopic('__own'), { code })
    assert.equal(topic.partition(0).logEndOffset, 1)
    await log.close()
  })

  it('topicDefaults that would harm it -> do not hold for it', async () => {
    const { log } = await openCommitted({
      topicDefaults: { flushRecords: 1000, acks: 'queued', compressionType: 'gzip' },
    })
    const topic = await log.topic(offsetsTopic)
    assert.equal(topic.partition(0).recoveryPoint, 1)
    const { config } = await topic.describe()
    assert.deepEqual([config.acks.value, config.compressionType.value], ['durable', 'none'])
    await log.close()
  })

  it('compacted -> the last commit of each group is still known', async () => {
    const { files, log, topic } = await openCommitted()
    await topic.append([0, 1, 2].map(value => ({ value: String(value) })))
    const offsets = await log.topic(offsetsTopic)
    await offsets.configure({ segmentBytes: 1024, minCleanableDirtyRatio: 0 })
    for (let round = 0; round < 40; round++) {
      for (const name of ['billing', 'shipping']) {
        await log.group(name).resetOffsets({ to: round % 4, topics: ['orders'] })
      }
    }
    await log.group('gone').resetOffsets({ to: 1, topics: ['orders'] })
    await log.group('gone').delete()
    const before = (await offsets.describe()).partitions[0]?.sizeBytes ?? 0
    await offsets.compact()
    assert.ok(((await offsets.describe()).partitions[0]?.sizeBytes ?? 0) < before / 2)
    await log.close()
    const again = await openLog('/log', { files })
    assert.deepEqual(await again.groups(), ['billing', 'shipping'])
    assert.deepEqual(await committedOf(again, 'shipping'), ['orders-0@3'])
    await again.close()
  })

  it('a topic is deleted -> its offsets are gone from every group, others stay', async () => {
    const { log } = await openCommitted()
    await log.topic('clicks')
    await log.group('billing').resetOffsets({ to: 'latest', topics: ['clicks'] })
    await log.deleteTopic('orders')
    assert.deepEqual(await committedOf(log, 'billing'), ['clicks-0@0'])
    await log.deleteTopic('clicks')
    assert.deepEqual(await log.groups(), [])
    await log.close()
  })

  it('retainUntilConsumed -> segments that the group has finished go, and no others', async () => {
    const { log } = await openConsuming()
    const jobs = await log.topic('jobs', {
      segmentBytes: 1024,
      retainUntilConsumed: ['billing'],
    })
    for (let index = 0; index < 40; index++) await jobs.append({ value: 'x'.repeat(100) })
    await log.sweep()
    assert.equal(jobs.partition(0).logStartOffset, 0)
    await log.group('billing').resetOffsets({ to: 20, topics: ['jobs'] })
    await log.sweep()
    const { logStartOffset } = jobs.partition(0)
    assert.ok(logStartOffset > 0 && logStartOffset <= 20, `log start ${logStartOffset}`)
    await log.close()
  })
})

/** What is the same for a topic of this process's own log and of another's. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { ClosedError, UnknownTopicOrPartitionError } from '../../lib/errors.ts'
import { TopicLife } from '../../lib/log/topic-life.ts'

describe('TopicLife', () => {
  it('its log is closed -> not usable, because of that', () => {
    const log = { isOpen: true }
    const life = new TopicLife('orders', log)
    life.assertUsable()
    log.isOpen = false
    assert.equal(life.isUsable, false)
    assert.throws(() => life.assertUsable(), ClosedError)
  })

  it('the topic is gone -> says so, of a closed log too', () => {
    for (const isOpen of [true, false]) {
      const life = new TopicLife('orders', { isOpen })
      life.end()
      assert.throws(
        () => life.assertUsable(),
        (error: unknown) =>
          error instanceof UnknownTopicOrPartitionError && error.topic === 'orders',
      )
    }
  })

  it('partitions were added -> tells those who still follow', () => {
    const life = new TopicLife('orders', { isOpen: true })
    const told: string[] = []
    const leave = life.onPartitionsAdded(() => {
      told.push('first')
      leave()
    })
    life.onPartitionsAdded(() => void told.push('second'))
    life.tellPartitionsAdded()
    life.tellPartitionsAdded()
    assert.deepEqual(told, ['first', 'second', 'second'])
  })
})

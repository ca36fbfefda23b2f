/** Groups: who reads what when members come and go, and what can be asked and done from outside. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Consumer } from '../../lib/consuming.ts'
import { GroupNotEmptyError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import { openLog } from '../../lib/open.ts'
import {
  appendNumbers,
  committedOf,
  drain,
  HeldHandler,
  openConsuming,
  settle,
  until,
} from '../support/consuming.ts'

function numbersOf({ assignment }: Consumer): number[] {
  return assignment.map(({ partition }) => partition)
}

function changes(events: readonly LogEvent[]): string[] {
  return events.flatMap(event =>
    event.type === 'partitionsAssigned' ||
    event.type === 'partitionsRevoked' ||
    event.type === 'partitionsLost'
      ? `${event.type.slice('partitions'.length)} ${event.member} ${event.partitions.map(({ partition }) => partition).join()}`
      : [],
  )
}

const group = { topics: 'orders', group: 'g' }

describe('members of a group', () => {
  it('one comes -> only what moves is revoked, before it is assigned', async () => {
    const { log, events } = await openConsuming({ partitions: 4 })
    const first = await log.consumer(group)
    assert.deepEqual(numbersOf(first), [0, 1, 2, 3])
    const heard: string[] = []
    first.on('revoked', partitions => void heard.push(`revoked ${partitions.length}`))
    const second = await log.consumer(group)
    await until(() => second.assignment.length === 2)
    assert.deepEqual(numbersOf(first), [0, 1])
    assert.deepEqual(
      changes(events),
      [
        'Assigned g-1 0,1,2,3',
        `Revoked g-1 ${numbersOf(second).toReversed().join()}`,
        `Assigned g-2 ${numbersOf(second).join()}`,
      ].map(line => line.replace('3,2', '2,3')),
    )
    assert.deepEqual(heard, ['revoked 2'])
    await log.close()
  })

  it('one closes -> the others take over at once', async () => {
    const { log } = await openConsuming({ partitions: 3 })
    const first = await log.consumer(group)
    const second = await log.consumer(group)
    await until(() => second.assignment.length === 1)
    await first.close()
    await until(() => second.assignment.length === 3)
    await log.close()
  })

  it('the handler of one throws -> another one gets what it had not finished', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 3)
    const first = await log.consumer(group)
    const second = await log.consumer(group)
    const seen: string[] = []
    const running = second.run(({ value }) => void seen.push(String(value)))
    await assert.rejects(
      first.run(({ offset }) => {
        if (offset === 1) throw new Error('no')
      }),
      { code: 'HANDLER_FAILED' },
    )
    await until(() => seen.length === 2)
    assert.deepEqual(seen, ['1', '2'])
    await log.close()
    await running
  })

  it('the signal of one fires -> it leaves', async () => {
    const { log } = await openConsuming()
    const abort = new AbortController()
    await log.consumer({ ...group, signal: abort.signal })
    const second = await log.consumer(group)
    assert.equal(second.assignment.length, 0)
    abort.abort()
    await until(() => second.assignment.length === 1)
    await log.close()
  })

  it('a signal that fired before -> no member', async () => {
    const { log } = await openConsuming()
    const signal = AbortSignal.abort(new Error('enough'))
    await assert.rejects(log.consumer({ ...group, signal }), /enough/)
    assert.deepEqual(await log.groups(), [])
    await log.close()
  })

  it('a record is at work in what moves -> its signal fires, and it is waited for and committed', async () => {
    const { log, topic, events } = await openConsuming({ partitions: 2 })
    for (const partition of [0, 1])
      await appendNumbers(topic, 2, { from: 10 * partition, partition })
    const first = await log.consumer(group)
    const held = new HeldHandler()
    const running = first.run(held.handle, { concurrency: { by: 'partition' } })
    await until(() => held.begun.length === 2)
    const second = await log.consumer(group)
    await settle()
    assert.equal(second.assignment.length, 0)
    const moves = held.of('10').signal.aborted ? '10' : '0'
    const stays = moves === '10' ? '0' : '10'
    assert.equal(held.of(moves).signal.aborted, true)
    assert.equal(held.of(stays).signal.aborted, false)
    held.of(moves).end()
    await until(() => second.assignment.length === 1)
    assert.equal(
      events.some(({ type }) => type === 'partitionsLost'),
      false,
    )
    const [of] = second.assignment
    assert.deepEqual(await committedOf(log, 'g'), [`orders-${of?.partition}@1`])
    assert.deepEqual(await drain(second), [String(Number(moves) + 1)])
    held.of(stays).end()
    await until(() => held.begun.includes(String(Number(stays) + 1)))
    held.of(String(Number(stays) + 1)).end()
    await log.close()
    await running
  })

  it('a record takes longer than rebalanceTimeoutMs -> its partition is lost, and goes on without it', async () => {
    const { clock, log, topic, events } = await openConsuming()
    await appendNumbers(topic, 2)
    const abort = new AbortController()
    const first = await log.consumer({ ...group, rebalanceTimeoutMs: 1000, signal: abort.signal })
    const held = new HeldHandler()
    const running = first.run(held.handle)
    running.catch(() => {})
    await until(() => held.begun.length === 1)
    const second = await log.consumer(group)
    abort.abort(new Error('enough'))
    await settle()
    assert.equal(second.assignment.length, 0)
    clock.advance(1000)
    await until(() => second.assignment.length === 1)
    assert.ok(changes(events).includes('Lost g-1 0'))
    assert.deepEqual(await drain(second), ['0', '1'])
    await second.commit([{ topic: 'orders', partition: 0, offset: 2 }])
    held.of(0).end()
    await settle()
    clock.advance(1000)
    await settle()
    assert.deepEqual(await committedOf(log, 'g'), ['orders-0@2'])
    await assert.rejects(running, /enough/)
    await log.close()
  })

  it('a polled partition moves -> when the member asks for more, or after the time', async () => {
    const { clock, log, topic } = await openConsuming({ partitions: 2 })
    for (const partition of [0, 1])
      await appendNumbers(topic, 1, { from: 10 * partition, partition })
    const first = await log.consumer({ ...group, rebalanceTimeoutMs: 1000 })
    await settle()
    await first.poll({ maxWaitMs: 0 })
    const [given] = await first.poll({ maxWaitMs: 0 })
    assert.equal(given?.partition, 1)
    const second = await log.consumer(group)
    await settle()
    assert.deepEqual([numbersOf(first), numbersOf(second)], [[0, 1], []])
    await first.commit(given)
    await first.poll({ maxWaitMs: 0 })
    await until(() => second.assignment.length === 1)
    assert.deepEqual(numbersOf(second), [1])
    assert.deepEqual(await drain(second), [])
    clock.advance(1000)
    await log.close()
  })

  it('groups on one topic -> know nothing of one another', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    const one = await log.consumer({ ...group, group: 'one' })
    const other = await log.consumer({ ...group, group: 'other' })
    assert.deepEqual(await drain(one), ['0', '1'])
    assert.deepEqual(await drain(other), ['0', '1'])
    await one.commit([{ topic: 'orders', partition: 0, offset: 2 }])
    assert.deepEqual(await committedOf(log, 'other'), [])
    assert.deepEqual(await log.groups(), ['one', 'other'])
    await log.close()
  })

  it('partitions are added -> shared among the members', async () => {
    const { log, topic } = await openConsuming()
    const first = await log.consumer(group)
    const second = await log.consumer(group)
    await topic.addPartitions(4)
    await until(() => second.assignment.length === 2)
    assert.equal(first.assignment.length, 2)
    await log.close()
  })

  it('an assignor of one’s own -> asked with members, partitions and what was before', async () => {
    const { log } = await openConsuming({ partitions: 3 })
    const sizes: number[] = []
    const consumer = await log.consumer({
      ...group,
      assignor: ({ members, partitions, current }) => {
        sizes.push(members.length, partitions.length, current.size)
        return new Map([[members[0]?.id ?? '', partitions.slice(0, 2)]])
      },
    })
    assert.deepEqual(numbersOf(consumer), [0, 1])
    assert.deepEqual(sizes, [1, 3, 0])
    await log.close()
  })

  for (const [name, assignor] of [
    ['throws', () => assert.fail('no')],
    ['gives no Map', () => ({}) as never],
    ['names a stranger', () => new Map([['stranger', []]])],
    [
      'gives a partition that there is not',
      () => new Map([['g-1', [{ topic: 'orders', partition: 9 }]]]),
    ],
    [
      'gives a partition twice',
      () => new Map([['g-1', [0, 0].map(partition => ({ topic: 'orders', partition }))]]),
    ],
  ] as const) {
    it(`an assignor that ${name} -> told, and the built-in one takes its place`, async () => {
      const { log, events } = await openConsuming({ partitions: 2 })
      const consumer = await log.consumer({ ...group, assignor })
      assert.deepEqual(numbersOf(consumer), [0, 1])
      assert.ok(events.some(({ type }) => type === 'backgroundFailed'))
      await log.close()
    })
  }
})

describe('a group from outside', () => {
  it('described -> members, their partitions, commits and lag', async () => {
    const { clock, log, topic } = await openConsuming({ partitions: 2 })
    await appendNumbers(topic, 3)
    const consumer = await log.consumer(group)
    await consumer.commit([{ topic: 'orders', partition: 0, offset: 1 }])
    assert.deepEqual(await log.group('g').describe(), {
      name: 'g',
      state: 'stable',
      generation: 1,
      members: [
        {
          id: consumer.id,
          topics: ['orders'],
          assignment: [0, 1].map(partition => ({ topic: 'orders', partition })),
        },
      ],
      offsets: [
        {
          topic: 'orders',
          partition: 0,
          offset: 1,
          metadata: '',
          committedAt: new Date(clock.wallMs()),
          lag: 2,
        },
      ],
    })
    await consumer.close()
    const { state, members, generation } = await log.group('g').describe()
    assert.deepEqual([state, members, generation], ['empty', [], 0])
    await log.close()
  })

  it('one that nobody has heard of -> UnknownGroupError', async () => {
    const { log } = await openConsuming()
    const unknown = log.group('nobody')
    await assert.rejects(unknown.describe(), { code: 'UNKNOWN_GROUP', group: 'nobody' })
    await assert.rejects(unknown.delete(), { code: 'UNKNOWN_GROUP' })
    await assert.rejects(unknown.resetOffsets({ to: 'latest' }), { code: 'UNKNOWN_GROUP' })
    assert.equal((await log.topics({ internal: true })).length, 1)
    await log.close()
  })

  it('a name that can be none -> TypeError, RangeError', async () => {
    const { log } = await openConsuming()
    const message = /^expected `name` to be a/
    assert.throws(() => log.group(5 as unknown as string), { name: 'TypeError', message })
    assert.throws(() => log.group(''), { name: 'RangeError', message })
    await log.close()
  })

  it('reset -> goes on there; with dryRun nothing is changed', async () => {
    const { log, topic } = await openConsuming()
    await appendNumbers(topic, 5)
    const billing = log.group('billing')
    const topics = ['orders']
    const of = { topic: 'orders', partition: 0 }
    await assert.rejects(billing.resetOffsets({ to: 'end' as never }), { message: /expected `to`/ })
    const planned = await billing.resetOffsets({ to: 'latest', topics, dryRun: true })
    assert.deepEqual(planned, [{ ...of, from: null, to: 5 }])
    assert.deepEqual(await log.groups(), [])
    await billing.resetOffsets({ to: { last: 1 }, topics })
    assert.deepEqual(await billing.resetOffsets({ to: 2 }), [{ ...of, from: 4, to: 2 }])
    const consumer = await log.consumer({ topics: 'orders', group: 'billing' })
    assert.deepEqual(await drain(consumer), ['2', '3', '4'])
    await log.close()
  })

  it('reset to an offset that is not there -> RangeError, nothing changed', async () => {
    const { log } = await openConsuming()
    const reset = log.group('g').resetOffsets({ to: 1, topics: ['orders'] })
    await assert.rejects(reset, RangeError)
    assert.deepEqual(await log.groups(), [])
    await log.close()
  })

  it('reset or deleted while it has members -> GroupNotEmptyError', async () => {
    const { log } = await openConsuming()
    await log.consumer(group)
    const reset = log.group('g').resetOffsets({ to: 'latest', topics: ['orders'] })
    await assert.rejects(reset, GroupNotEmptyError)
    await assert.rejects(log.group('g').delete(), GroupNotEmptyError)
    await log.close()
  })

  it('deleted -> begins anew, also after the log was opened again', async () => {
    const { files, log, topic } = await openConsuming()
    await appendNumbers(topic, 2)
    await log.group('g').resetOffsets({ to: 'latest', topics: ['orders'] })
    await log.group('g').delete()
    assert.deepEqual(await log.groups(), [])
    await log.close()
    const again = await openLog('/log', { files })
    assert.deepEqual(await again.groups(), [])
    assert.deepEqual(await drain(await again.consumer(group)), ['0', '1'])
    await again.close()
  })

  it('offsetsRetentionMs -> offsets of an empty group go, those of one with members stay', async () => {
    const { clock, log } = await openConsuming({ offsetsRetentionMs: 1000 })
    for (const name of ['left', 'held']) {
      await log.group(name).resetOffsets({ to: 'latest', topics: ['orders'] })
    }
    const leaving = await log.consumer({ topics: 'orders', group: 'left' })
    await log.consumer({ topics: 'orders', group: 'held' })
    clock.advance(900)
    await leaving.close()
    clock.advance(900)
    await settle()
    assert.deepEqual(await log.groups(), ['held', 'left'])
    clock.advance(1200)
    await settle()
    assert.deepEqual(await log.groups(), ['held'])
    await log.close()
  })

  it('without offsetsRetentionMs -> they stay for ever', async () => {
    const { clock, log } = await openConsuming()
    await log.group('g').resetOffsets({ to: 'latest', topics: ['orders'] })
    clock.advance(10 * 365 * 24 * 60 * 60 * 1000)
    await settle()
    assert.deepEqual(await log.groups(), ['g'])
    await log.close()
  })
})

/** The coordinator with members made by hand, which hand partitions back when the test says so. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { assignCooperativeSticky } from '../../lib/consumer/assignor.ts'
import { GroupCoordinator, type Member } from '../../lib/consumer/group-coordinator.ts'
import type { Assignor, TopicPartition } from '../../lib/consuming.ts'

class HandMade implements Member {
  readonly id: string
  readonly told: string[] = []
  subscribed: readonly string[]
  /** Runs when it has been told of new partitions. */
  whenAssigned: () => void = () => {}
  /** Runs when it has been told of lost ones. */
  whenLost: () => void = () => {}
  readonly #back = new Map<string, () => void>()

  constructor(id: string, subscribed: readonly string[] = ['orders']) {
    this.id = id
    this.subscribed = subscribed
  }

  topics(): readonly string[] {
    return this.subscribed
  }

  assign(partitions: readonly TopicPartition[]): void {
    this.told.push(`assign ${partitions.map(({ partition }) => partition).join()}`)
    this.whenAssigned()
  }

  revoke({ topic, partition }: TopicPartition): Promise<void> {
    this.told.push(`revoke ${partition}`)
    return new Promise(resolve => {
      this.#back.set(`${topic}-${partition}`, resolve)
    })
  }

  lose(partitions: readonly TopicPartition[]): void {
    this.told.push(`lose ${partitions.map(({ partition }) => partition).join()}`)
    this.whenLost()
  }

  async handBack(partition: number, topic = 'orders'): Promise<void> {
    this.#back.get(`${topic}-${partition}`)?.()
    for (let turn = 0; turn < 5; turn++) await Promise.resolve()
  }
}

function coordinatorOf(count: number) {
  const topic = { count }
  const coordinator = new GroupCoordinator({
    partitionCount: () => topic.count,
    onAssignorFailure: error => {
      throw error
    },
  })
  const join = (id: string, subscribed?: readonly string[]): HandMade => {
    const member = new HandMade(id, subscribed)
    coordinator.join(member, assignCooperativeSticky)
    return member
  }
  return { coordinator, topic, join }
}

describe('GroupCoordinator', () => {
  it('a first member -> has everything when join returns', () => {
    const { coordinator, join } = coordinatorOf(2)
    assert.deepEqual(join('a').told, ['assign 0,1'])
    assert.deepEqual([coordinator.generation, coordinator.isSettling], [1, false])
  })

  it('what moves -> goes to its new member only when it was handed back', async () => {
    const { coordinator, join } = coordinatorOf(2)
    const a = join('a')
    const b = join('b')
    assert.deepEqual(a.told, ['assign 0,1', 'revoke 1'])
    assert.deepEqual([b.told, coordinator.isSettling], [[], true])
    await a.handBack(1)
    assert.deepEqual([b.told, coordinator.isSettling], [['assign 1'], false])
  })

  it('the member that it was to go to leaves meanwhile -> back to the one that had it', async () => {
    const { coordinator, join } = coordinatorOf(2)
    const a = join('a')
    const b = join('b')
    await coordinator.leave(b)
    await a.handBack(1)
    assert.deepEqual(a.told, ['assign 0,1', 'revoke 1', 'assign 1'])
    assert.deepEqual(b.told, [])
  })

  it('a member leaves -> each of its partitions goes on as it is handed back, and leave resolves with the last', async () => {
    const { coordinator, join } = coordinatorOf(2)
    const a = join('a')
    let hasLeft = false
    const leaving = coordinator.leave(a).then(() => {
      hasLeft = true
    })
    const b = join('b')
    await a.handBack(1)
    assert.deepEqual([b.told, hasLeft], [['assign 1'], false])
    await a.handBack(0)
    assert.deepEqual(b.told, ['assign 1', 'assign 0'])
    await leaving
    assert.deepEqual(
      coordinator.members().map(({ id }) => id),
      ['b'],
    )
  })

  it('the topic goes while a partition is being handed back -> lost at once, and not given to anybody', async () => {
    const { coordinator, topic, join } = coordinatorOf(2)
    const a = join('a')
    const b = join('b')
    topic.count = 0
    coordinator.rebalance()
    assert.deepEqual(a.told, ['assign 0,1', 'revoke 1', 'lose 0,1'])
    await a.handBack(1)
    assert.deepEqual(b.told, [])
  })

  it('the topic comes again before the old partition is handed back -> that says nothing of the new one', async () => {
    const { coordinator, topic, join } = coordinatorOf(1)
    const a = join('a')
    const leaving = coordinator.leave(a)
    const b = join('b')
    topic.count = 0
    coordinator.rebalance()
    topic.count = 1
    coordinator.rebalance()
    assert.deepEqual(b.told, ['assign 0'])
    await a.handBack(0)
    await leaving
    assert.deepEqual(b.told, ['assign 0'])
    assert.equal(coordinator.members()[0]?.assignment.length, 1)
  })

  it('nothing changes -> nobody is told anything, the generation stays', () => {
    const { coordinator, join } = coordinatorOf(3)
    const a = join('a')
    coordinator.rebalance()
    assert.deepEqual([a.told, coordinator.generation], [['assign 0,1,2'], 1])
  })

  it('a member that joins another one when it is assigned something -> both are told', () => {
    const { coordinator } = coordinatorOf(1)
    const second = new HandMade('second')
    const first = new HandMade('first')
    first.whenAssigned = () => coordinator.join(second, assignCooperativeSticky)
    coordinator.join(first, assignCooperativeSticky)
    assert.deepEqual([first.told, second.told], [['assign 0'], []])
    assert.equal(coordinator.members().length, 2)
  })

  it('a member that makes the next one give up its topic when it is assigned something -> that one gets nothing', () => {
    const { coordinator, topic, join } = coordinatorOf(0)
    const [a, b] = [join('a'), join('b')]
    a.whenAssigned = () => {
      b.subscribed = []
      coordinator.rebalance()
    }
    topic.count = 4
    coordinator.rebalance()
    assert.deepEqual([a.told, b.told], [['assign 0,2', 'assign 1,3'], []])
  })

  it('a member that loses something and makes another one leave -> that one gets nothing any more', async () => {
    const { coordinator, topic, join } = coordinatorOf(1)
    const a = join('a')
    const b = join('b')
    let leaving: Promise<void> | null = null
    a.whenLost = () => {
      topic.count = 2
      leaving = coordinator.leave(b)
    }
    topic.count = 0
    coordinator.rebalance()
    await leaving
    assert.deepEqual([a.told, b.told], [['assign 0', 'lose 0', 'assign 0,1'], []])
  })

  for (const [title, change] of [
    ['leave', (coordinator, of) => void coordinator.leave(of)],
    [
      'give up its topic',
      (coordinator, of) => {
        of.subscribed = []
        coordinator.rebalance()
      },
    ],
  ] as readonly [string, (coordinator: GroupCoordinator, of: HandMade) => void][]) {
    it(`what comes back goes to a member that makes the next one ${title} -> that one gets nothing`, async () => {
      const { coordinator, join } = coordinatorOf(2)
      const first = join('first', ['orders', 'payments'])
      const a = join('a', ['orders'])
      const b = join('b', ['payments'])
      a.whenAssigned = () => change(coordinator, b)
      const leaving = coordinator.leave(first)
      const all = [0, 1].flatMap(partition => [
        first.handBack(partition, 'orders'),
        first.handBack(partition, 'payments'),
      ])
      await Promise.all([...all, leaving])
      assert.deepEqual([a.told, b.told], [['assign 0,1'], []])
      assert.deepEqual(coordinator.members().find(({ id }) => id === 'b')?.assignment ?? [], [])
    })
  }

  it('an assignor gives a partition to a member that does not read its topic -> told, and nobody gets it from there', () => {
    const failures: string[] = []
    const coordinator = new GroupCoordinator({
      partitionCount: () => 1,
      onAssignorFailure: error => void failures.push(error.message),
    })
    const a = new HandMade('a', ['orders'])
    const b = new HandMade('b', ['payments'])
    const swapped: Assignor = ({ members }) =>
      new Map(
        members.map(({ id }) => [
          id,
          [{ topic: id === 'a' && members.length > 1 ? 'payments' : 'orders', partition: 0 }],
        ]),
      )
    coordinator.join(a, swapped)
    assert.deepEqual(failures, [])
    coordinator.join(b, swapped)
    assert.deepEqual(failures, ['an assignor gave payments-0 to a, which does not read it'])
    assert.deepEqual([a.told, b.told], [['assign 0'], ['assign 0']])
  })
})

/** The coordinator with members made by hand, which hand partitions back when the test says so. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { assignCooperativeSticky } from '../../lib/consumer/assignor.ts'
import { GroupCoordinator, type Member } from '../../lib/consumer/group-coordinator.ts'
import type { TopicPartition } from '../../lib/consuming.ts'

class HandMade implements Member {
  readonly id: string
  readonly told: string[] = []
  readonly #back = new Map<number, () => void>()

  constructor(id: string) {
    this.id = id
  }

  topics(): readonly string[] {
    return ['orders']
  }

  assign(partitions: readonly TopicPartition[]): void {
    this.told.push(`assign ${partitions.map(({ partition }) => partition).join()}`)
  }

  revoke({ partition }: TopicPartition): Promise<void> {
    this.told.push(`revoke ${partition}`)
    return new Promise(resolve => {
      this.#back.set(partition, resolve)
    })
  }

  lose(partitions: readonly TopicPartition[]): void {
    this.told.push(`lose ${partitions.map(({ partition }) => partition).join()}`)
  }

  async handBack(partition: number): Promise<void> {
    this.#back.get(partition)?.()
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
  const join = (id: string): HandMade => {
    const member = new HandMade(id)
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
    const assign = first.assign.bind(first)
    first.assign = partitions => {
      assign(partitions)
      coordinator.join(second, assignCooperativeSticky)
    }
    coordinator.join(first, assignCooperativeSticky)
    assert.deepEqual([first.told, second.told], [['assign 0'], []])
    assert.equal(coordinator.members().length, 2)
  })
})

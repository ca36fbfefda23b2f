/**
 * The cooperative-sticky assignment: small cases by hand, and what must hold of any, over random
 * groups whose members, topics and subscriptions change.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { assignCooperativeSticky } from '../../lib/consumer/assignor.ts'
import { keyOf } from '../../lib/consumer/group-coordinator.ts'
import type { GroupPartitions, TopicPartition } from '../../lib/consuming.ts'
import type { SeededRandom } from '../../lib/files/seeded-random.ts'
import { forEachSeed } from '../support/random.ts'

type Assignment = ReadonlyMap<string, readonly TopicPartition[]>

const nothing: Assignment = new Map()

function partitionsOf(topics: Readonly<Record<string, number>>): TopicPartition[] {
  return Object.entries(topics).flatMap(([topic, count]) =>
    Array.from({ length: count }, (_, partition) => ({ topic, partition })),
  )
}

function group(
  ids: readonly string[],
  topics: Readonly<Record<string, number>>,
  current: Assignment = nothing,
): GroupPartitions {
  const members = ids.map(id => ({ id, topics: Object.keys(topics) }))
  return { members, partitions: partitionsOf(topics), current }
}

function counts(assignment: Assignment): number[] {
  return [...assignment.values()].map(own => own.length)
}

/** Partitions that have another member than before, though the one before is still there. */
function moved(before: Assignment, after: Assignment): number {
  const owners = new Map<string, string>()
  for (const [id, own] of before) for (const of of own) owners.set(keyOf(of), id)
  let count = 0
  for (const [id, own] of after) {
    for (const of of own) {
      const owner = owners.get(keyOf(of))
      if (owner !== undefined && owner !== id && after.has(owner)) count++
    }
  }
  return count
}

describe('assignCooperativeSticky', () => {
  it('nobody, or nothing -> nothing', () => {
    assert.deepEqual(counts(assignCooperativeSticky(group([], { orders: 3 }))), [])
    assert.deepEqual(counts(assignCooperativeSticky(group(['a'], {}))), [0])
  })

  it('a fresh group -> shares that differ by one at most', () => {
    const shares = counts(assignCooperativeSticky(group(['a', 'b', 'c'], { x: 4, y: 4 })))
    assert.deepEqual(shares.sort(), [2, 3, 3])
  })

  it('a member comes -> gets its share, and nothing moves between the others', () => {
    const before = assignCooperativeSticky(group(['a', 'b'], { x: 6 }))
    const after = assignCooperativeSticky(group(['a', 'b', 'c'], { x: 6 }, before))
    assert.deepEqual(counts(after), [2, 2, 2])
    assert.equal(moved(before, after), 2)
  })

  it('a member leaves -> only what it had moves', () => {
    const before = assignCooperativeSticky(group(['a', 'b', 'c'], { x: 9 }))
    const after = assignCooperativeSticky(group(['a', 'c'], { x: 9 }, before))
    assert.deepEqual(counts(after).sort(), [4, 5])
    assert.equal(moved(before, after), 0)
  })

  it('more members than partitions -> some have none', () => {
    assert.deepEqual(
      counts(assignCooperativeSticky(group(['a', 'b', 'c'], { x: 2 }))).sort(),
      [0, 1, 1],
    )
  })

  it('a topic that one member alone reads -> goes to it, and the rest evens that out', () => {
    const assignment = assignCooperativeSticky({
      members: [
        { id: 'a', topics: ['x', 'y'] },
        { id: 'b', topics: ['x'] },
      ],
      partitions: partitionsOf({ x: 4, y: 2 }),
      current: nothing,
    })
    assert.deepEqual(counts(assignment), [3, 3])
  })

  it('a topic named twice by one member -> counts once', () => {
    const assignment = assignCooperativeSticky({
      members: [
        { id: 'a', topics: ['x', 'x'] },
        { id: 'b', topics: ['x'] },
      ],
      partitions: partitionsOf({ x: 4 }),
      current: nothing,
    })
    assert.deepEqual(counts(assignment), [2, 2])
  })

  it('any group that changes -> everything is assigned once, to a subscriber, evenly, and stays where it can', async () => {
    await forEachSeed(60, async random => {
      let current: Assignment = nothing
      const names: [string, ...string[]] = ['p', 'q', 'r', 's']
      let topics = Object.fromEntries(names.map(name => [name, 1 + random.below(9)]))
      let ids = ['m0']
      for (let step = 1; step < 12; step++) {
        ids = changedMembers(ids, step, random)
        if (random.chance(0.3)) topics = { ...topics, [random.pick(names)]: 1 + random.below(12) }
        const isUniform = random.chance(0.5)
        const question = {
          members: ids.map(id => ({
            id,
            topics: isUniform ? names : names.filter(() => random.chance(0.7)),
          })),
          partitions: partitionsOf(topics),
          current,
        }
        const answer = assignCooperativeSticky(question)
        checkComplete(question, answer)
        checkEven(question, answer)
        if (isUniform) checkMovesLeast(question, answer)
        assert.deepEqual(assignCooperativeSticky({ ...question, current: answer }), answer)
        current = answer
      }
    })
  })
})

function changedMembers(ids: readonly string[], step: number, random: SeededRandom): string[] {
  const staying = ids.filter(() => ids.length === 1 || random.chance(0.85))
  return random.chance(0.5) || staying.length === 0 ? [...staying, `m${step}`] : staying
}

function checkComplete({ members, partitions }: GroupPartitions, answer: Assignment): void {
  const owners = new Map<string, string>()
  for (const [id, own] of answer) {
    const topics = members.find(member => member.id === id)?.topics ?? []
    for (const of of own) {
      assert.ok(topics.includes(of.topic), `${id} does not read ${of.topic}`)
      assert.ok(!owners.has(keyOf(of)), `${keyOf(of)} is assigned twice`)
      owners.set(keyOf(of), id)
    }
  }
  const wanted = partitions.filter(({ topic }) =>
    members.some(({ topics }) => topics.includes(topic)),
  )
  assert.equal(owners.size, wanted.length)
}

/** Nobody has a partition that somebody with two fewer could have. */
function checkEven({ members }: GroupPartitions, answer: Assignment): void {
  for (const [id, own] of answer) {
    for (const { topic } of own) {
      for (const member of members) {
        if (!member.topics.includes(topic)) continue
        const others = answer.get(member.id)?.length ?? 0
        assert.ok(own.length - others <= 1, `${id} has ${own.length}, ${member.id} ${others}`)
      }
    }
  }
}

/** With the same topics for all, no even assignment moves less: members keep what fits into their share. */
function checkMovesLeast({ members, partitions, current }: GroupPartitions, answer: Assignment) {
  const known = new Set(partitions.map(keyOf))
  const floor = Math.floor(partitions.length / members.length)
  const extras = partitions.length % members.length
  const kept = members.map(
    ({ id }) => current.get(id)?.filter(of => known.has(keyOf(of))).length ?? 0,
  )
  const overFull = kept.filter(count => count > floor).length
  const mustGo = kept.reduce((sum, count) => sum + Math.max(0, count - floor), 0)
  assert.equal(moved(current, answer), mustGo - Math.min(overFull, extras))
}

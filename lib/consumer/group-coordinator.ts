/**
 * Who reads what in one group. The coordinator knows members by what they can be told, and nothing of
 * what they are: consumers of this process, or whatever speaks for one that is somewhere else.
 *
 * Rebalancing is cooperative (KIP-429). A new assignment is computed at once; partitions that nobody has
 * go to their new member at once, those that move go when the member that has them has handed them
 * back, and all others are not touched. So at any moment a partition has one member, but for those
 * that were lost: their old member was told, and did not end in time.
 */
import assert from 'node:assert/strict'

import type { Assignor, GroupPartitions, TopicPartition } from '../consuming.ts'
import { assignCooperativeSticky, inOrder } from './assignor.ts'

/** A member as the coordinator sees it. What it is told, it is told synchronously, and never throws. */
export interface Member {
  readonly id: string
  /** The topics that there are and that it subscribes to. */
  topics(): readonly string[]
  /** These are its own from now on. */
  assign(partitions: readonly TopicPartition[]): void
  /** To be handed back: resolves when it is, in order or not. Never rejects. */
  revoke(partition: TopicPartition): Promise<void>
  /** These are gone with their topic. */
  lose(partitions: readonly TopicPartition[]): void
}

/** What a coordinator needs to know of the log. */
export interface CoordinatorOptions {
  /** How many partitions a topic has; 0 when it is not there. */
  readonly partitionCount: (topic: string) => number
  /** An assignor did not do what it has to; `'cooperative-sticky'` took its place. */
  readonly onAssignorFailure: (error: Error) => void
}

interface Membership {
  readonly member: Member
  readonly assignor: Assignor
  isLeaving: boolean
}

interface Ownership {
  readonly partition: TopicPartition
  readonly owner: Membership
  /** Set once it has to be handed back. */
  handingBack: Promise<void> | null
}

/** One group. Calls may come at any time, also from what a member does when it is told something. */
export class GroupCoordinator {
  readonly #options: CoordinatorOptions
  /** In the order in which they joined. */
  readonly #members = new Map<string, Membership>()
  readonly #owned = new Map<string, Ownership>()
  /** Who is to have what, by member. */
  #target: ReadonlyMap<string, readonly TopicPartition[]> = new Map()
  /** Key of a partition to id of the member that is to have it. */
  #targetOf = new Map<string, string>()
  #generation = 0
  #isRebalancing = false
  #isOutdated = false
  #isAssigningSoon = false

  constructor(options: CoordinatorOptions) {
    this.#options = options
  }

  /** Counts the assignments. */
  get generation(): number {
    return this.#generation
  }

  get isEmpty(): boolean {
    return this.#members.size === 0
  }

  /** Some partition waits for the member that is to hand it back. */
  get isSettling(): boolean {
    for (const { handingBack } of this.#owned.values()) if (handingBack !== null) return true
    return false
  }

  /** The members and what they own now, in the order in which they joined. */
  members(): readonly {
    readonly id: string
    readonly topics: readonly string[]
    readonly assignment: readonly TopicPartition[]
  }[] {
    const owned = [...this.#owned.values()]
    return [...this.#members.values()].map(membership => ({
      id: membership.member.id,
      topics: membership.member.topics(),
      assignment: owned
        .filter(({ owner }) => owner === membership)
        .map(({ partition }) => partition)
        .sort(inOrder),
    }))
  }

  /** Takes a member in. It has been told of its first partitions, if there are any to be had now, when this returns. */
  join(member: Member, assignor: Assignor): void {
    this.#members.set(member.id, { member, assignor, isLeaving: false })
    this.rebalance()
  }

  /**
   * Lets a member go. Each of its partitions goes to another one as soon as it is handed back. Resolves
   * when all are.
   */
  async leave(member: Member): Promise<void> {
    const membership = this.#members.get(member.id)
    if (membership === undefined) return
    membership.isLeaving = true
    this.rebalance()
    const last = [...this.#owned.values()].filter(({ owner }) => owner === membership)
    await Promise.all(last.map(({ handingBack }) => handingBack))
    this.#members.delete(member.id)
  }

  /** Members, topics or partitions have changed. */
  rebalance(): void {
    this.#isOutdated = true
    // Called from within, by what a member did: the one under way goes on with what is new.
    if (this.#isRebalancing) return
    this.#isRebalancing = true
    try {
      while (this.#isOutdated) {
        this.#isOutdated = false
        this.#retarget()
        this.#loseWhatIsGone()
        this.#revokeWhatMoves()
        this.#assignWhatIsFree()
      }
    } finally {
      this.#isRebalancing = false
    }
  }

  #retarget(): void {
    const staying = [...this.#members.values()].filter(({ isLeaving }) => !isLeaving)
    const members = staying.map(({ member }) => ({ id: member.id, topics: member.topics() }))
    const topics = new Set(members.flatMap(member => member.topics))
    const partitions = [...topics].sort().flatMap(topic =>
      Array.from({ length: this.#options.partitionCount(topic) }, (_, partition) => ({
        topic,
        partition,
      })),
    )
    const question = { members, partitions, current: this.#target }
    const target = this.#assignment(staying[0]?.assignor ?? assignCooperativeSticky, question)
    const targetOf = new Map<string, string>()
    for (const [id, own] of target) for (const of of own) targetOf.set(keyOf(of), id)
    if (!isSame(targetOf, this.#targetOf)) this.#generation++
    this.#target = target
    this.#targetOf = targetOf
  }

  #assignment(
    assignor: Assignor,
    question: GroupPartitions,
  ): ReadonlyMap<string, readonly TopicPartition[]> {
    // What its own specs hold it to is not looked at again: that would take as long as the assignment.
    if (assignor === assignCooperativeSticky) return assignCooperativeSticky(question)
    try {
      const answer = assignor(question)
      checkAssignment(question, answer)
      return answer
    } catch (error) {
      this.#options.onAssignorFailure(error as Error)
      return assignCooperativeSticky(question)
    }
  }

  #loseWhatIsGone(): void {
    const lost = new Map<Membership, TopicPartition[]>()
    for (const [key, { partition, owner }] of this.#owned) {
      if (partition.partition < this.#options.partitionCount(partition.topic)) continue
      this.#owned.delete(key)
      lost.set(owner, [...(lost.get(owner) ?? []), partition])
    }
    for (const [{ member }, partitions] of lost) member.lose(partitions)
  }

  #revokeWhatMoves(): void {
    for (const [key, ownership] of this.#owned) {
      const { owner, partition } = ownership
      if (ownership.handingBack !== null) continue
      if (!owner.isLeaving && this.#targetOf.get(key) === owner.member.id) continue
      ownership.handingBack = owner.member.revoke(partition).then(() => {
        // It may have been lost meanwhile, and even be somebody's again.
        if (this.#owned.get(key) !== ownership) return
        this.#owned.delete(key)
        this.#assignSoon()
      })
    }
  }

  /** Who is to have them has been decided already; what comes back in the same turn is given out together. */
  #assignSoon(): void {
    if (this.#isAssigningSoon) return
    this.#isAssigningSoon = true
    queueMicrotask(() => {
      this.#isAssigningSoon = false
      this.#assignWhatIsFree()
    })
  }

  #assignWhatIsFree(): void {
    const target = this.#target
    for (const [id, partitions] of target) {
      // What a member was told may have made somebody come or go: that has been dealt with by now, or is
      // about to be, and who was to have what before is out of date.
      if (this.#isOutdated || this.#target !== target) return
      const owner = this.#members.get(id)
      assert.ok(
        owner !== undefined && !owner.isLeaving,
        'only those who stay are to have something',
      )
      const free = partitions.filter(partition => !this.#owned.has(keyOf(partition)))
      if (free.length === 0) continue
      for (const partition of free) {
        this.#owned.set(keyOf(partition), { partition, owner, handingBack: null })
      }
      owner.member.assign(free)
    }
  }
}

/** A text that no two partitions have in common. */
export function keyOf({ topic, partition }: TopicPartition): string {
  return `${partition} ${topic}`
}

function isSame(a: ReadonlyMap<string, string>, b: ReadonlyMap<string, string>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (b.get(key) !== value) return false
  return true
}

function checkAssignment(
  { members, partitions }: GroupPartitions,
  answer: ReadonlyMap<string, readonly TopicPartition[]>,
): void {
  if (!(answer instanceof Map)) throw new TypeError('an assignor must give a Map')
  const known = new Set(partitions.map(keyOf))
  const taken = new Set<string>()
  for (const [id, own] of answer as ReadonlyMap<string, readonly TopicPartition[]>) {
    const topics = members.find(member => member.id === id)?.topics
    if (topics === undefined) throw new TypeError(`an assignor named ${id}, which is no member`)
    for (const partition of own) {
      const key = keyOf(partition)
      if (!known.has(key) || !topics.includes(partition.topic)) {
        throw new TypeError(
          `an assignor gave ${partition.topic}-${partition.partition} to ${id}, which does not read it`,
        )
      }
      if (taken.has(key)) {
        throw new TypeError(
          `an assignor gave ${partition.topic}-${partition.partition} to two members`,
        )
      }
      taken.add(key)
    }
  }
}

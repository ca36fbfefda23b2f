/**
 * The assignment `'cooperative-sticky'`: as even as subscriptions allow, and of those the one that
 * moves the least. Kafka's class of that name does the same (KIP-429).
 *
 * Partitions stay where they are, those without an owner go to the member with the fewest, and then
 * single partitions go from the fullest member to the emptiest as long as that makes their numbers more
 * even. Partitions of topics with the same subscribers are alike, so they are looked at together.
 */
import type { GroupMemberSubscription, GroupPartitions, TopicPartition } from '../consuming.ts'

/** Topics that the same members subscribe to. */
interface TopicClass {
  readonly subscribers: readonly Share[]
  /** Partitions without an owner. */
  readonly free: TopicPartition[]
}

/** What one member gets. */
interface Share {
  readonly id: string
  readonly byClass: Map<TopicClass, TopicPartition[]>
  count: number
}

/**
 * Assigns every partition that somebody subscribes to. The numbers of any two members that could hand
 * one another a partition differ by one at most, unless only a chain of moves would make them do so.
 * The same question always has the same answer.
 */
export function assignCooperativeSticky({
  members,
  partitions,
  current,
}: GroupPartitions): ReadonlyMap<string, readonly TopicPartition[]> {
  const shares = new Map(
    members.map(({ id }): [string, Share] => [id, { id, byClass: new Map(), count: 0 }]),
  )
  const classes = classify(members, { partitions, shares })
  keepCurrent({ partitions, current }, { classes, shares })
  // Those with the least choice first.
  const byChoice = [...new Set(classes.values())].sort(
    (a, b) => a.subscribers.length - b.subscribers.length,
  )
  for (const topicClass of byChoice) giveAway(topicClass)
  levelOut([...shares.values()])
  return new Map(
    [...shares.values()].map(({ id, byClass }) => [id, [...byClass.values()].flat().sort(inOrder)]),
  )
}

/** By topic, then by number. */
export function inOrder(a: TopicPartition, b: TopicPartition): number {
  if (a.topic !== b.topic) return a.topic < b.topic ? -1 : 1
  return a.partition - b.partition
}

/** The class of each topic that somebody subscribes to. */
function classify(
  members: readonly GroupMemberSubscription[],
  known: {
    readonly partitions: readonly TopicPartition[]
    readonly shares: ReadonlyMap<string, Share>
  },
): ReadonlyMap<string, TopicClass> {
  const subscribers = new Map<string, Share[]>()
  for (const { topic } of known.partitions) subscribers.set(topic, [])
  for (const { id, topics } of members) {
    const share = known.shares.get(id) as Share
    for (const topic of new Set(topics)) subscribers.get(topic)?.push(share)
  }
  const byKey = new Map<string, TopicClass>()
  const classes = new Map<string, TopicClass>()
  for (const [topic, shares] of subscribers) {
    if (shares.length === 0) continue
    const key = JSON.stringify(shares.map(({ id }) => id))
    const topicClass = byKey.get(key) ?? { subscribers: shares, free: [] }
    byKey.set(key, topicClass)
    classes.set(topic, topicClass)
  }
  return classes
}

function keepCurrent(
  {
    partitions,
    current,
  }: {
    readonly partitions: readonly TopicPartition[]
    readonly current: GroupPartitions['current']
  },
  into: {
    readonly classes: ReadonlyMap<string, TopicClass>
    readonly shares: ReadonlyMap<string, Share>
  },
): void {
  const owners = new Map<string, Map<number, Share>>()
  for (const [id, owned] of current) {
    const share = into.shares.get(id)
    if (share === undefined) continue
    for (const { topic, partition } of owned) {
      const ofTopic = owners.get(topic) ?? new Map<number, Share>()
      ofTopic.set(partition, share)
      owners.set(topic, ofTopic)
    }
  }
  for (const partition of partitions) {
    const topicClass = into.classes.get(partition.topic)
    if (topicClass === undefined) continue
    const owner = owners.get(partition.topic)?.get(partition.partition)
    if (owner !== undefined && topicClass.subscribers.includes(owner)) {
      give(owner, topicClass, partition)
    } else {
      topicClass.free.push(partition)
    }
  }
}

function give(share: Share, topicClass: TopicClass, partition: TopicPartition): void {
  const own = share.byClass.get(topicClass)
  if (own === undefined) share.byClass.set(topicClass, [partition])
  else own.push(partition)
  share.count++
}

function giveAway(topicClass: TopicClass): void {
  for (const partition of topicClass.free) {
    give(emptiest(topicClass.subscribers), topicClass, partition)
  }
}

function emptiest(shares: readonly Share[]): Share {
  let least = shares[0] as Share
  for (const share of shares) if (share.count < least.count) least = share
  return least
}

/** Every move makes the sum of the squares of the numbers smaller, so this comes to an end. */
function levelOut(shares: readonly Share[]): void {
  const fullestFirst = [...shares]
  for (let isUneven = true; isUneven; ) {
    isUneven = false
    fullestFirst.sort((a, b) => b.count - a.count)
    for (const from of fullestFirst) {
      if (moveOne(from)) {
        isUneven = true
        break
      }
    }
  }
}

/** Moves a partition of this member to whoever has the fewest, if that is at least two fewer. */
function moveOne(from: Share): boolean {
  let best: { to: Share; topicClass: TopicClass } | null = null
  for (const [topicClass, own] of from.byClass) {
    if (own.length === 0) continue
    const to = emptiest(topicClass.subscribers)
    if (to.count + 1 >= from.count) continue
    if (best === null || to.count < best.to.count) best = { to, topicClass }
  }
  if (best === null) return false
  const partition = from.byClass.get(best.topicClass)?.pop() as TopicPartition
  from.count--
  give(best.to, best.topicClass, partition)
  return true
}

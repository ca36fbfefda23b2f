/** Which topics a log must have, may have and must not have, as its users know. */
import assert from 'node:assert/strict'

import type { Log, Partition, Topic } from '../../lib/types.ts'
import { type FoundBatch, PartitionModel, textOf } from './model.ts'

/** One topic of the model. */
export interface TopicModel {
  readonly name: string
  readonly id: string
  readonly partitions: PartitionModel[]
  /** Its deletion was asked for and not confirmed. */
  isDeleting: boolean
  /** How many partitions it may have: more than one when a change was not confirmed. */
  counts: Set<number>
  /** Values that its `flushRecords` may have. */
  flushRecords: Set<number>
  /** A change of its settings is under way, perhaps to what they are. */
  isConfiguring: boolean
}

/** All topics. */
export class TopicsModel {
  readonly topics: Map<string, TopicModel> = new Map<string, TopicModel>()
  /** By name: partition counts of creations that were not confirmed. */
  readonly #possible = new Map<string, Set<number>>()

  /** A creation was asked for. */
  creating(name: string, partitions: number): void {
    const counts = this.#possible.get(name) ?? new Set()
    this.#possible.set(name, counts.add(partitions))
  }

  /** It was confirmed. */
  created(topic: Topic, flushRecords: number): TopicModel {
    this.#possible.delete(topic.name)
    const model: TopicModel = {
      name: topic.name,
      id: topic.id,
      partitions: topic.partitions.map(() => new PartitionModel()),
      isDeleting: false,
      counts: new Set([topic.partitions.length]),
      flushRecords: new Set([flushRecords]),
      isConfiguring: false,
    }
    this.topics.set(topic.name, model)
    return model
  }

  /** Partitions were added. */
  widen(topic: TopicModel, total: number): void {
    while (topic.partitions.length < total) topic.partitions.push(new PartitionModel())
  }

  /** The deletion was confirmed. */
  deleted(topic: TopicModel): void {
    if (this.topics.get(topic.name) === topic) this.topics.delete(topic.name)
  }

  /** Compares a log that was just opened, and reads all of it; gives the topics' handles. */
  async check(log: Log, options: { readonly isPowerCut: boolean }): Promise<Map<string, Topic>> {
    const { adoptedTopics, partitions } = log.recovery
    assert.deepEqual(adoptedTopics, [], 'no topic has to be adopted')
    for (const { topic, damage } of partitions) {
      assert.deepEqual(damage, [], `nothing of ${topic} is damaged`)
    }
    const handles = new Map<string, Topic>()
    for (const name of await log.topics()) {
      const topic = await log.topic(name, { create: false })
      handles.set(name, topic)
      await this.#checkTopic(topic, options)
    }
    for (const [name, topic] of this.topics) {
      if (handles.has(name)) continue
      assert.ok(topic.isDeleting, `P1: the topic ${name} is gone`)
      this.topics.delete(name)
    }
    this.#possible.clear()
    return handles
  }

  async #checkTopic(topic: Topic, options: { readonly isPowerCut: boolean }): Promise<void> {
    const { config } = await topic.describe()
    const known = this.topics.get(topic.name)
    let model = known
    if (known === undefined || known.id !== topic.id) {
      assert.ok(known === undefined || known.isDeleting, `another topic is named ${topic.name}`)
      const counts = this.#possible.get(topic.name)
      assert.ok(counts?.has(topic.partitions.length), `the topic ${topic.name} came out of nothing`)
      model = this.created(topic, config.flushRecords.value)
    }
    assert.ok(model !== undefined)
    assert.ok(model.counts.has(topic.partitions.length), `${topic.name} has other partitions`)
    assert.ok(
      model.flushRecords.has(config.flushRecords.value),
      `${topic.name} forgot its settings`,
    )
    model.isDeleting = false
    model.counts = new Set([topic.partitions.length])
    model.flushRecords = new Set([config.flushRecords.value])
    model.isConfiguring = false
    for (const partition of topic.partitions) {
      model.partitions[partition.id] ??= new PartitionModel()
      model.partitions[partition.id]?.check(await readAll(partition), options)
    }
    model.partitions.length = topic.partitions.length
  }
}

/** Everything in a partition, batch by batch. */
export async function readAll(partition: Partition): Promise<FoundBatch[]> {
  const found: FoundBatch[] = []
  for await (const batch of partition.batches()) {
    const values: string[] = []
    for (const record of batch) {
      assert.equal(record.offset, batch.baseOffset + values.length, 'P2: offsets are dense')
      values.push(textOf(record))
    }
    found.push({ baseOffset: batch.baseOffset, leaderEpoch: batch.leaderEpoch, values })
  }
  const end = found.at(-1)
  const endOffset = end === undefined ? 0 : end.baseOffset + end.values.length
  assert.equal(partition.highWatermark, endOffset, 'everything below the high watermark is there')
  assert.equal(partition.logEndOffset, endOffset, 'the log ends where its records end')
  return found
}

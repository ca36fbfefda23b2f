/** Which topics a log must have, and by which rules their records may go, as its users know. */
import assert from 'node:assert/strict'

import type { Topic, TopicConfig } from '../../lib/types.ts'
import { RetainedPartitionModel } from './retention-model.ts'
import type { LossRules, PossibleRules } from './retention-records.ts'

const ruleNames = [
  'cleanupPolicy',
  'retentionMs',
  'retentionBytes',
  'retentionRecords',
  'retentionBy',
  'retainUntilConsumed',
  'deleteRetentionMs',
] as const

/** A topic to come, or one as it may be. */
export interface TopicShape {
  readonly partitions: number
  readonly rules: LossRules
}

/** One topic. */
export class RetainedTopicModel implements PossibleRules {
  readonly name: string
  readonly id: string
  readonly partitions: RetainedPartitionModel[]
  /** Its deletion was asked for and not confirmed. */
  isDeleting: boolean = false
  /** How many partitions it may have: several numbers when a change was not confirmed. */
  counts: Set<number>
  /** Rules by which something may go: the present ones, and those of a sweep that began before. */
  configs: LossRules[] = []
  /** The present ones; null when a change was not confirmed. */
  rules: LossRules | null
  wasCompacted: boolean = false
  leastDeleteRetentionMs: number = Number.POSITIVE_INFINITY

  constructor(topic: Topic, rules: LossRules) {
    this.name = topic.name
    this.id = topic.id
    this.partitions = topic.partitions.map(() => new RetainedPartitionModel())
    this.counts = new Set([topic.partitions.length])
    this.rules = null
    this.mayHave(rules)
    this.has(rules)
  }

  /** Other rules were asked for. */
  mayHave(rules: LossRules): void {
    this.rules = null
    this.configs = [...this.configs, rules]
    this.wasCompacted ||= rules.cleanupPolicy !== 'delete'
    this.leastDeleteRetentionMs = Math.min(this.leastDeleteRetentionMs, rules.deleteRetentionMs)
  }

  /** These are the rules for what begins from now on. */
  has(rules: LossRules): void {
    this.rules = rules
  }

  /** Nothing that began before is under way. */
  isQuiet(): void {
    if (this.rules !== null) this.configs = [this.rules]
  }

  /** The topic has this many partitions for sure. */
  isAsWideAs(topic: Topic): void {
    const { length } = topic.partitions
    assert.ok(this.counts.has(length), `${this.name} has ${length} partitions`)
    this.counts = new Set([length])
    this.widen(length)
    this.partitions.length = length
  }

  /** Partitions were added. */
  widen(total: number): void {
    while (this.partitions.length < total) this.partitions.push(new RetainedPartitionModel())
  }
}

/** All topics. */
export class RetainedTopicsModel {
  readonly topics: Map<string, RetainedTopicModel> = new Map<string, RetainedTopicModel>()
  /** By name: creations that were not confirmed. */
  readonly #possible = new Map<string, TopicShape[]>()

  /** A creation was asked for. */
  creating(name: string, shape: TopicShape): void {
    this.#possible.set(name, [...(this.#possible.get(name) ?? []), shape])
  }

  /** It was confirmed. */
  created(topic: Topic, rules: LossRules): RetainedTopicModel {
    this.#possible.delete(topic.name)
    const model = new RetainedTopicModel(topic, rules)
    this.topics.set(topic.name, model)
    return model
  }

  /** The deletion was confirmed. */
  deleted(topic: RetainedTopicModel): void {
    if (this.topics.get(topic.name) === topic) this.topics.delete(topic.name)
  }

  /** A topic as it was found after an opening. */
  async found(topic: Topic): Promise<RetainedTopicModel> {
    const { config } = await topic.describe()
    const rules = rulesOf(config)
    let model = this.topics.get(topic.name)
    if (model === undefined || model.id !== topic.id) {
      assert.ok(model === undefined || model.isDeleting, `another topic is named ${topic.name}`)
      const isPossible = (this.#possible.get(topic.name) ?? []).some(
        shape => shape.partitions === topic.partitions.length && isSame(shape.rules, rules),
      )
      assert.ok(isPossible, `the topic ${topic.name} came out of nothing`)
      model = this.created(topic, rules)
    }
    const isKnown = model.configs.some(known => isSame(known, rules))
    assert.ok(isKnown, `${topic.name} forgot its rules: ${JSON.stringify(rules)}`)
    model.has(rules)
    model.isDeleting = false
    model.isAsWideAs(topic)
    return model
  }

  /** These are all topics that there are. */
  areAll(names: ReadonlySet<string>): void {
    for (const [name, topic] of this.topics) {
      if (names.has(name)) continue
      assert.ok(topic.isDeleting, `the topic ${name} is gone`)
      this.topics.delete(name)
    }
    this.#possible.clear()
  }
}

/** The rules with changes applied. */
export function changedRules(rules: LossRules, changes: TopicConfig): LossRules {
  const changed: Record<string, unknown> = { ...rules }
  for (const name of ruleNames) {
    if (changes[name] !== undefined) changed[name] = changes[name]
  }
  return changed as unknown as LossRules
}

type Description = Awaited<ReturnType<Topic['describe']>>['config']

function rulesOf(config: Description): LossRules {
  const rules: Record<string, unknown> = {}
  for (const name of ruleNames) rules[name] = config[name].value
  return rules as unknown as LossRules
}

function isSame(one: LossRules, other: LossRules): boolean {
  return ruleNames.every(name => JSON.stringify(one[name]) === JSON.stringify(other[name]))
}

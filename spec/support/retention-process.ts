/**
 * One life of a process in which records go: by retention, `deleteRecords` and compaction. Every call is
 * noted in the model, and so is every answer that came while the process lived.
 */
import assert from 'node:assert/strict'

import type { CompactionReport } from '../../lib/compaction.ts'
import type { ManualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions, Partition, Topic, TopicConfig } from '../../lib/types.ts'
import { foundOf, RetentionReader } from './retention-reader.ts'
import type { FoundRecord, LossRules, NewRecord } from './retention-records.ts'
import { assertSwept, segmentsOnDisk } from './retention-segments.ts'
import { changedRules, type RetainedTopicModel, RetainedTopicsModel } from './retention-topics.ts'
import { outcomeOf, type SimGround, SimLife, simDir } from './sim-life.ts'

/** What outlives a process: the disk, and what was promised. */
export interface RetentionWorld extends SimGround {
  readonly topics: RetainedTopicsModel
  /** Engine time when the last process ended. */
  engineMs: number
  nextRecord: number
  /**
   * Work on segments came to no end: the log may not know when they were appended to, and leaves them
   * alone until it is opened again.
   */
  isHampered: boolean
}

/** A world with an empty disk. */
export function makeRetentionWorld(files: SimGround['files']): RetentionWorld {
  const wallMs = Date.UTC(2024, 0, 1)
  const topics = new RetainedTopicsModel()
  const ground = { files, isPowerCut: false, steps: [], violations: [], wallMs }
  return { ...ground, topics, engineMs: wallMs, nextRecord: 0, isHampered: false }
}

/** Everything of a partition at one moment. */
export interface PartitionState {
  readonly logStartOffset: number
  readonly highWatermark: number
  readonly logEndOffset: number
  readonly records: readonly FoundRecord[]
}

/** A process and its log. */
export class RetentionProcess {
  readonly world: RetentionWorld
  readonly life: SimLife
  readonly #handles = new Map<string, Topic>()
  readonly #readers = new Set<RetentionReader>()
  /** Grows with every call that may change something. */
  #changes = 0

  constructor(world: RetentionWorld, options: { readonly slowness: number }) {
    this.world = world
    this.life = new SimLife(world, options)
  }

  get clock(): ManualClock {
    return this.life.clock
  }

  get log(): Log | null {
    return this.life.log
  }

  get isAlive(): boolean {
    return this.life.isAlive
  }

  /** Nothing is under way that could change something. */
  get isQuiet(): boolean {
    return this.isAlive && this.life.pendingCount === 0
  }

  /** Opens the log; false when that failed. Without faults it must not. */
  open(options: OpenOptions): Promise<boolean> {
    const onEvent: OpenOptions['onEvent'] = event => {
      if (!this.isAlive) return
      this.life.step(`  event ${JSON.stringify(event).slice(0, 200)}`)
      if (event.type === 'partitionsAdded') this.#widened(event.topic)
      if (event.type === 'backgroundFailed') this.world.isHampered = true
      if (event.type !== 'corruption') return
      this.world.violations.push(new Error(`damage that nobody did: ${event.path}`))
    }
    return this.life.open({ ...options, onEvent })
  }

  /** What a dead process leaves for the next one to know; call it when it is dead. */
  bury(): void {
    if (this.log !== null) this.world.engineMs = this.life.engineMs
    this.life.bury()
  }

  /** Compares the log that was just opened with the model. */
  async check(): Promise<void> {
    await this.life.settle('check', this.#check())
  }

  /** Compares the offsets of all partitions with the model. */
  observe(): void {
    if (!this.isAlive) return
    const nowMs = this.life.engineMs
    this.world.engineMs = nowMs
    for (const [name, topic] of this.#handles) {
      const model = this.world.topics.topics.get(name)
      if (model?.id !== topic.id) continue
      for (const partition of topic.partitions) {
        assertInOrder(partition)
        const of = model.partitions[partition.id]
        of?.startsAt(partition.logStartOffset, model, nowMs)
        of?.endsAt(partition.logEndOffset)
      }
    }
  }

  /** Waits until nothing is under way, in the background either. */
  async settle(): Promise<void> {
    await this.life.settleAll()
    await this.life.whenQuiet()
    this.observe()
    if (!this.isAlive || this.life.pendingCount > 0) return
    for (const topic of this.world.topics.topics.values()) topic.isQuiet()
  }

  append(
    model: RetainedTopicModel,
    partition: number,
    append: { readonly records: readonly NewRecord[]; readonly acks: 'durable' | 'written' },
  ): Promise<boolean> {
    const handle = this.#partition(model, partition)
    const of = model.partitions[partition]
    if (handle === undefined || of === undefined) return Promise.resolve(false)
    const { records, acks } = append
    const inputs = records.map(({ id, key, value, timestamp }) => ({
      key,
      value,
      headers: { id },
      ...(timestamp === null ? {} : { timestamp }),
    }))
    const call = of.begin(records, this.life.engineMs)
    const [only] = inputs
    const appended = handle.append(inputs.length === 1 && only ? only : inputs, { acks })
    return this.#track(
      `append ${records[0]?.id} (${acks}) to ${model.name}-${partition}`,
      appended,
      result => {
        this.life.step(`    at ${result.baseOffset}`)
        of.acknowledge(call, acks, { result, nowMs: this.life.engineMs })
      },
      error => of.refuse(call, outcomeOf(error)),
    )
  }

  create(
    name: string,
    shape: { readonly partitions: number; readonly rules: LossRules; readonly config: TopicConfig },
  ): Promise<boolean> {
    const { log, world } = this
    if (log === null) return Promise.resolve(false)
    const { partitions, rules, config } = shape
    world.topics.creating(name, { partitions, rules })
    const created = log.createTopic(name, { ...config, ...rules, partitions })
    this.life.step(JSON.stringify({ ...config, ...rules }))
    return this.#track(`create ${name}`, created, topic => {
      world.topics.created(topic, rules)
      this.#handles.set(name, topic)
    })
  }

  delete(model: RetainedTopicModel): Promise<boolean> {
    const { log, world } = this
    if (log === null) return Promise.resolve(false)
    model.isDeleting = true
    this.#handles.delete(model.name)
    return this.#track(`delete ${model.name}`, log.deleteTopic(model.name), () =>
      world.topics.deleted(model),
    )
  }

  addPartitions(model: RetainedTopicModel, total: number): Promise<boolean> {
    const handle = this.#handles.get(model.name)
    if (handle === undefined) return Promise.resolve(false)
    model.counts.add(total)
    return this.#track(`add partitions to ${model.name}`, handle.addPartitions(total), () => {
      model.isAsWideAs(handle)
    })
  }

  configure(model: RetainedTopicModel, changes: TopicConfig): Promise<boolean> {
    const handle = this.#handles.get(model.name)
    const { rules } = model
    if (handle === undefined || rules === null) return Promise.resolve(false)
    const changed = changedRules(rules, changes)
    model.mayHave(changed)
    const what = `configure ${model.name} ${JSON.stringify(changes)}`
    return this.#track(what, handle.configure(changes), () => model.has(changed))
  }

  /** Sweeps; `isChecked`: the files work, and nothing that is kept may be past its limits. */
  sweep({ isChecked }: { readonly isChecked: boolean }): Promise<boolean> {
    const { log } = this
    if (log === null) return Promise.resolve(false)
    const isSound = this.isQuiet && this.#isFlushed && !this.world.isHampered
    const isAlone = isChecked && isSound
    const changes = this.#changes + 1
    const nowMs = this.life.engineMs
    return this.#track('sweep', log.sweep(), report => {
      const isUndisturbed = isAlone && changes === this.#changes
      if (isUndisturbed && report.failures.length === 0) this.#assertSwept(nowMs)
    })
  }

  /** Compacts; afterwards every key is there once, when nothing disturbs that. */
  compact(model: RetainedTopicModel): Promise<boolean> {
    const handle = this.#handles.get(model.name)
    if (handle === undefined) return Promise.resolve(false)
    const accept = (report: CompactionReport): void => {
      for (const { partition, skipped, firstDirtyOffset } of report.partitions) {
        assert.notEqual(skipped, 'damage', 'nothing is damaged')
        if (skipped === null) model.partitions[partition]?.compacted(firstDirtyOffset)
      }
    }
    return this.#track(`compact ${model.name}`, handle.compact(), accept, () => {
      this.world.isHampered = true
    })
  }

  deleteRecords(model: RetainedTopicModel, partition: number, before: number): Promise<boolean> {
    const handle = this.#partition(model, partition)
    const of = model.partitions[partition]
    if (handle === undefined || of === undefined) return Promise.resolve(false)
    of.deleting(before)
    const what = `delete records of ${model.name}-${partition} below ${before}`
    return this.#track(what, handle.deleteRecords(before), () => {
      assert.ok(handle.logStartOffset >= before, 'deleteRecords moves the log start')
    })
  }

  flush(model: RetainedTopicModel, partition: number): Promise<boolean> {
    const handle = this.#partition(model, partition)
    if (handle === undefined) return Promise.resolve(false)
    return this.#track(`flush ${model.name}-${partition}`, handle.flush(), () => {})
  }

  /** Takes a failed partition back into service, and compares it. Nothing else must be under way. */
  async recover(model: RetainedTopicModel, partition: number): Promise<void> {
    const handle = this.#partition(model, partition)
    if (handle?.state !== 'failed') return
    const what = `recover ${model.name}-${partition}`
    const recovered = await this.life.settle(
      what,
      this.#track(what, handle.recover(), () => {}),
    )
    if (recovered !== true || !this.isAlive) return
    // What the failed flush had covered may be gone, as after a power cut.
    await this.life.settle('check', this.#compare(model, handle, { isPowerCut: true }))
  }

  /** Reads all of a partition at once and compares it; nothing else must be under way. */
  async readAll(model: RetainedTopicModel, partition: number): Promise<void> {
    const handle = this.#partition(model, partition)
    if (handle === undefined || handle.state === 'failed') return
    const of = model.partitions[partition]
    const changes = this.#changes
    const state = await this.life.settle('read all', readState(handle))
    if (!this.isAlive || changes !== this.#changes || of === undefined) return
    this.life.step(`read all of ${model.name}-${partition}: ${state.records.length}`)
    this.observe()
    of.holds(state.records, {
      rules: model,
      nowMs: this.life.engineMs,
      endOffset: state.highWatermark,
    })
  }

  /** Starts a reader that pauses. */
  follow(
    model: RetainedTopicModel,
    partition: number,
    options: { readonly from: number; readonly isLive: boolean; readonly mayJump: boolean },
  ): void {
    const handle = this.#partition(model, partition)
    const of = model.partitions[partition]
    if (handle === undefined || of === undefined) return
    this.life.step(`follow ${model.name}-${partition} ${JSON.stringify(options)}`)
    const reader = new RetentionReader(handle, options, {
      rules: model,
      partition: of,
      life: this.life,
      observe: () => this.observe(),
    })
    this.#readers.add(reader)
    void reader.run().finally(() => this.#readers.delete(reader))
  }

  /** Lets the readers that pause read on. */
  readOn(count: number): void {
    for (const reader of this.#readers) reader.readOn(count)
  }

  /** What every partition holds, by name. */
  async snapshot(): Promise<Readonly<Record<string, PartitionState>>> {
    const states: Record<string, PartitionState> = {}
    for (const [name, topic] of this.#handles) {
      for (const partition of topic.partitions) {
        const state = await this.life.settle('snapshot', readState(partition))
        states[`${name}-${partition.id}`] = state
      }
    }
    return states
  }

  highWatermark(model: RetainedTopicModel, partition: number): number {
    return this.#partition(model, partition)?.highWatermark ?? 0
  }

  logStartOffset(model: RetainedTopicModel, partition: number): number {
    return this.#partition(model, partition)?.logStartOffset ?? 0
  }

  #track<T>(
    what: string,
    call: Promise<T>,
    accept: (result: T) => void,
    refuse: (error: unknown) => void = () => {},
  ): Promise<boolean> {
    this.#changes++
    const heard = (result: T): void => {
      // Before the model learns of other rules, and before what this call allowed is used up.
      this.observe()
      accept(result)
    }
    return this.life.track(what, call, heard, refuse)
  }

  async #check(): Promise<void> {
    const { log, world, life } = this
    assert.ok(log !== null, 'a log can be opened when nothing fails')
    assert.deepEqual(log.recovery.adoptedTopics, [], 'no topic has to be adopted')
    for (const { topic, damage } of log.recovery.partitions) {
      assert.deepEqual(damage, [], `nothing of ${topic} is damaged`)
    }
    const names = new Set(await log.topics())
    for (const name of names) {
      const topic = await log.topic(name, { create: false })
      const model = await world.topics.found(topic)
      for (const partition of topic.partitions) {
        await this.#compare(model, partition, { isPowerCut: world.isPowerCut })
      }
      model.isQuiet()
      this.#handles.set(name, topic)
    }
    world.topics.areAll(names)
    world.isPowerCut = false
    world.isHampered = false
    world.engineMs = life.engineMs
  }

  async #compare(
    model: RetainedTopicModel,
    partition: Partition,
    { isPowerCut }: { readonly isPowerCut: boolean },
  ): Promise<void> {
    const of = model.partitions[partition.id]
    assert.ok(of !== undefined, `${model.name} has partition ${partition.id}`)
    assertInOrder(partition)
    // Opening deletes nothing that had not to go before.
    of.startsAt(partition.logStartOffset, model, this.world.engineMs)
    const { records } = await readState(partition)
    const { logEndOffset: endOffset, highWatermark } = partition
    assert.equal(highWatermark, endOffset, 'all that was recovered can be read')
    const nowMs = this.life.engineMs
    const isClean = this.log?.recovery.clean === true && partition.state === 'ok'
    const isUnclean = !isClean || this.world.isHampered
    of.reopened(records, { rules: model, nowMs, endOffset, isPowerCut, isUnclean })
  }

  #widened(name: string): void {
    const topic = this.#handles.get(name)
    const model = this.world.topics.topics.get(name)
    if (topic === undefined || model === undefined) return
    model.counts.add(topic.partitions.length)
    model.widen(topic.partitions.length)
  }

  get #isFlushed(): boolean {
    const partitions = [...this.#handles.values()].flatMap(topic => topic.partitions)
    return partitions.every(({ highWatermark, logEndOffset }) => highWatermark === logEndOffset)
  }

  #assertSwept(nowMs: number): void {
    for (const [name, topic] of this.#handles) {
      const model = this.world.topics.topics.get(name)
      const rules = model?.rules
      if (model?.id !== topic.id || rules == null || rules.retainUntilConsumed.length > 0) continue
      if (!rules.cleanupPolicy.includes('delete')) continue
      for (const partition of topic.partitions) {
        const of = model.partitions[partition.id]
        const { state, logEndOffset } = partition
        if (of === undefined || state !== 'ok') continue
        const dir = `${simDir}/${name}-${partition.id}`
        const segments = segmentsOnDisk(this.world.files, dir, logEndOffset)
        assertSwept(of, { dir, segments, rules, possible: model, nowMs })
      }
    }
  }

  #partition(model: RetainedTopicModel, partition: number): Partition | undefined {
    const handle = this.#handles.get(model.name)
    return handle?.id === model.id ? handle.partitions[partition] : undefined
  }
}

async function readState(partition: Partition): Promise<PartitionState> {
  const records: FoundRecord[] = []
  const { logStartOffset, highWatermark, logEndOffset } = partition
  for await (const record of partition.records({ maxBytes: 2000 })) records.push(foundOf(record))
  return { logStartOffset, highWatermark, logEndOffset, records }
}

function assertInOrder(partition: Partition): void {
  const { logStartOffset, highWatermark, recoveryPoint, writtenOffset, logEndOffset } = partition
  const offsets = [logStartOffset, highWatermark, recoveryPoint, writtenOffset, logEndOffset]
  const sorted = offsets.toSorted((a, b) => a - b)
  assert.deepEqual(offsets, sorted, 'the offsets are in order')
}

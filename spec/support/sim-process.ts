/**
 * One life of a process that uses a log: every call is noted in the model, and so is every answer
 * that came while the process lived. Nothing here rejects but for a broken promise of the log.
 */
import assert from 'node:assert/strict'

import { LogError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import type { FaultyFiles } from '../../lib/files/faulty-files.ts'
import type { ManualClock } from '../../lib/testing/manual-clock.ts'
import type {
  Acks,
  AppendOptions,
  Log,
  LogRecord,
  OpenOptions,
  Partition,
  Reader,
  Topic,
  TopicConfig,
} from '../../lib/types.ts'
import { type PartitionModel, textOf } from './model.ts'
import { outcomeOf, type SimGround, SimLife } from './sim-life.ts'
import { type TopicModel, TopicsModel } from './sim-topics.ts'

/** What outlives a process: the disk, and what was promised. */
export interface SimWorld extends SimGround {
  readonly topics: TopicsModel
  nextRecord: number
}

/** A world with an empty disk. */
export function makeWorld(files: FaultyFiles): SimWorld {
  return {
    files,
    topics: new TopicsModel(),
    isPowerCut: false,
    steps: [],
    violations: [],
    wallMs: Date.UTC(2024, 0, 1),
    nextRecord: 0,
  }
}

/** An append to come. */
export interface SimAppend {
  readonly recordCount: number
  readonly valueBytes: number
  readonly options: AppendOptions & {
    readonly acks: Acks
    readonly expectedOffset?: number | undefined
  }
}

/** A topic to come. */
export interface SimTopic extends TopicConfig {
  readonly partitions: number
  readonly flushRecords: number
}

/** How far a partition was promised when it failed. */
interface Fence {
  readonly recoveryPoint: number
  readonly writtenOffset: number
}

/** A process and its log, which is null as long as it could not be opened. */
export class SimProcess {
  readonly world: SimWorld
  readonly life: SimLife
  readonly handles: Map<string, Topic> = new Map<string, Topic>()
  readonly #fences = new Map<PartitionModel, Fence>()
  readonly #readers = new Set<Reader<LogRecord>>()

  constructor(world: SimWorld, options: { readonly slowness?: number } = {}) {
    this.world = world
    this.life = new SimLife(world, options)
  }

  get clock(): ManualClock {
    return this.life.clock
  }

  get log(): Log | null {
    return this.life.log
  }

  /** False once the power went or the process was killed; from then on nobody hears of its log. */
  get isAlive(): boolean {
    return this.life.isAlive
  }

  /** Opens the log; false when that failed. Without faults it must not. */
  open(options: OpenOptions = {}): Promise<boolean> {
    return this.life.open({ ...options, onEvent: event => this.#hear(event) })
  }

  /** Compares the log that was just opened with the model. */
  async check(): Promise<void> {
    const { log, world } = this
    assert.ok(log !== null, 'a log can be opened when nothing fails')
    const checking = world.topics.check(log, { isPowerCut: world.isPowerCut })
    const handles = await this.life.settle('check', checking)
    world.isPowerCut = false
    for (const [name, topic] of handles) this.handles.set(name, topic)
  }

  /** Appends, as one batch when there are several records. */
  append(model: TopicModel, partition: number, append: SimAppend): Promise<boolean> {
    const handle = this.#partition(model, partition)
    const of = model.partitions[partition]
    if (handle === undefined || of === undefined) return Promise.resolve(false)
    const { recordCount, valueBytes, options } = append
    const values = Array.from({ length: recordCount }, () => this.#newValue(valueBytes))
    const records = values.map(value => ({ key: value.slice(0, value.indexOf('|')), value }))
    const entry = of.begin(values)
    const [first] = records
    const call = handle.append(recordCount === 1 && first ? first : records, options)
    const accept = (result: Awaited<typeof call>): void => {
      this.life.step(`    at ${result.baseOffset} in epoch ${result.leaderEpoch}`)
      of.acknowledge(entry, options.acks, result)
      const fence = this.#fences.get(of)
      if (fence === undefined || options.acks === 'queued') return
      const reached = options.acks === 'durable' ? fence.recoveryPoint : fence.writtenOffset
      assert.ok(result.nextOffset <= reached, `P4: ${values[0]} was acknowledged after a failure`)
    }
    const refuse = (error: unknown): void => {
      of.refuse(entry, outcomeOf(error))
    }
    // A refusal may be heard only when the power is gone already, and stays true.
    call.catch((error: unknown) => {
      if (entry.state === 'pending' && isPlainRefusal(error)) of.refuse(entry, 'not-written')
    })
    return this.life.track(
      `append ${values[0]?.slice(0, 24)} (${options.acks})`,
      call,
      accept,
      refuse,
    )
  }

  /** Creates a topic. */
  create(name: string, options: SimTopic): Promise<boolean> {
    const { log, world } = this
    if (log === null) return Promise.resolve(false)
    world.topics.creating(name, options.partitions)
    return this.life.track(`create ${name}`, log.createTopic(name, options), topic => {
      world.topics.created(topic, options.flushRecords)
      this.handles.set(name, topic)
    })
  }

  /** Deletes a topic. */
  delete(model: TopicModel): Promise<boolean> {
    const { log, world } = this
    if (log === null) return Promise.resolve(false)
    model.isDeleting = true
    this.handles.delete(model.name)
    return this.life.track(`delete ${model.name}`, log.deleteTopic(model.name), () =>
      world.topics.deleted(model),
    )
  }

  /** Makes a topic have `total` partitions. */
  addPartitions(model: TopicModel, total: number): Promise<boolean> {
    const handle = this.handles.get(model.name)
    if (handle === undefined) return Promise.resolve(false)
    model.counts.add(total)
    return this.life.track(`add partitions to ${model.name}`, handle.addPartitions(total), () => {
      model.counts = new Set([total])
    })
  }

  /** Changes the flush policy, one change at a time. */
  async configure(model: TopicModel, flushRecords: number): Promise<boolean> {
    const handle = this.handles.get(model.name)
    if (handle === undefined || model.isConfiguring) return false
    model.isConfiguring = true
    model.flushRecords.add(flushRecords)
    const changing = handle.configure({ flushRecords })
    const what = `configure ${model.name} with flushRecords ${flushRecords}`
    const isDone = await this.life.track(what, changing, () => {
      model.flushRecords = new Set([flushRecords])
    })
    if (this.life.isAlive) model.isConfiguring = false
    return isDone
  }

  /** Up to where a partition can be read. */
  highWatermark(model: TopicModel, partition: number): number {
    return this.#partition(model, partition)?.highWatermark ?? 0
  }

  /** The next offset of a partition. */
  logEndOffset(model: TopicModel, partition: number): number {
    return this.#partition(model, partition)?.logEndOffset ?? 0
  }

  /** Reads once, from `from` on. */
  read(model: TopicModel, partition: number, from: number): Promise<boolean> {
    const handle = this.#partition(model, partition)
    if (handle === undefined) return Promise.resolve(false)
    const at = `${model.name}-${partition}@${from}`
    return this.life.track(`read ${at}`, handle.read({ from, maxBytes: 700 }), result => {
      for (const batch of result.batches) {
        for (const record of batch) this.#see(model, record, result.highWatermark)
      }
    })
  }

  /** Starts a live reader. */
  follow(model: TopicModel, partition: number): void {
    const handle = this.#partition(model, partition)
    if (handle === undefined) return
    const reader = handle.records({ live: true, maxBytes: 500 })
    this.#readers.add(reader)
    const reading = (async () => {
      let expected = handle.logStartOffset
      for await (const record of reader) {
        if (!this.isAlive) return
        assert.equal(record.offset, expected++, 'P2: a live reader leaves nothing out')
        this.#see(model, record, handle.highWatermark)
      }
    })()
    void reading.catch(error => this.life.judge('follow', error))
  }

  /** Ends the live readers. */
  async unfollow(): Promise<void> {
    for (const reader of this.#readers) await reader.return?.()
    this.#readers.clear()
  }

  /** Flushes one partition. */
  flush(model: TopicModel, partition: number): Promise<boolean> {
    const handle = this.#partition(model, partition)
    if (handle === undefined) return Promise.resolve(false)
    return this.life.track(`flush ${model.name}-${partition}`, handle.flush(), () => {})
  }

  /** Takes failed partitions back into service. */
  recover(model: TopicModel, partition: number): Promise<boolean> {
    const handle = this.#partition(model, partition)
    if (handle?.state !== 'failed') return Promise.resolve(false)
    return this.life.track(`recover ${model.name}-${partition}`, handle.recover(), () => {
      const of = this.#modelOf(model, partition)
      of.fallBack()
      this.#fences.delete(of)
    })
  }

  /** Lets the process run for some turns. */
  async turns(count: number): Promise<void> {
    await this.life.turns(count)
    this.#checkOffsets()
  }

  #partition(model: TopicModel, partition: number): Partition | undefined {
    const handle = this.handles.get(model.name)
    return handle?.id === model.id ? handle.partitions[partition] : undefined
  }

  #newValue(sizeBytes: number): string {
    const id = String(this.world.nextRecord++)
    return `${id}|`.padEnd(sizeBytes, String.fromCharCode(97 + (this.world.nextRecord % 26)))
  }

  #see(model: TopicModel, record: LogRecord, highWatermark: number): void {
    assert.ok(record.offset < highWatermark, 'P7: a reader got a record above the high watermark')
    this.#modelOf(model, record.partition).see(record.offset, textOf(record))
  }

  #modelOf(model: TopicModel, partition: number): PartitionModel {
    const of = model.partitions[partition]
    assert.ok(of !== undefined, `${model.name} has partition ${partition}`)
    return of
  }

  #hear(event: LogEvent): void {
    if (!this.isAlive) return
    this.life.step(`  event ${event.type}`)
    if (event.type === 'partitionsAdded') this.#widen(event.topic, event.partitions)
    if (event.type === 'corruption') {
      this.world.violations.push(new Error(`P3: damage that nobody did: ${event.path}`))
    }
    if (event.type !== 'diskFull' && event.type !== 'partitionStateChanged') return
    const of = this.world.topics.topics.get(event.topic)?.partitions[event.partition]
    of?.fallBack()
    const partition = this.handles.get(event.topic)?.partitions[event.partition]
    if (event.type === 'diskFull' || event.state !== 'failed') return
    if (partition === undefined || of === undefined) return
    const { recoveryPoint, writtenOffset } = partition
    this.#fences.set(of, { recoveryPoint, writtenOffset })
  }

  #widen(topic: string, total: number): void {
    const model = this.world.topics.topics.get(topic)
    if (model !== undefined) this.world.topics.widen(model, total)
  }

  #checkOffsets(): void {
    if (!this.isAlive) return
    for (const { partitions } of this.handles.values()) {
      for (const it of partitions) {
        const { logStartOffset, highWatermark, recoveryPoint, writtenOffset, logEndOffset } = it
        const offsets = [logStartOffset, highWatermark, recoveryPoint, writtenOffset, logEndOffset]
        const sorted = offsets.toSorted((a, b) => a - b)
        assert.deepEqual(offsets, sorted, 'the offsets are in order')
      }
    }
  }
}

/** Whether an append was refused for its own sake, and not because something failed. */
function isPlainRefusal(error: unknown): boolean {
  if (!(error instanceof LogError)) return error instanceof Error && error.name === 'AbortError'
  return error.code === 'OFFSET_MISMATCH' || error.code === 'QUEUE_FULL'
}

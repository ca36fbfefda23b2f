/**
 * One life of a process that uses a log: every call is noted in the model, and so is every answer
 * that came while the process lived. Nothing here rejects but for a broken promise of the log.
 */
import assert from 'node:assert/strict'

import { LogError } from '../../lib/errors.ts'
import type { LogEvent } from '../../lib/events.ts'
import type { FaultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
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
import { type TopicModel, TopicsModel } from './sim-topics.ts'

/** Where the log lies. */
export const simDir = '/data/log'

/** Turns without a call to the files after which nothing is expected to happen by itself. */
const quietTurns = 40

/** How far the clock is moved before something that is still pending counts as hanging, in ms. */
const patienceMs = 400_000

/** What outlives a process: the disk, and what was promised. */
export interface SimWorld {
  readonly files: FaultyFiles
  readonly topics: TopicsModel
  /** Since the last good opening. */
  isPowerCut: boolean
  /** The last steps, for the message of a failure. */
  readonly steps: string[]
  /** What was found wrong outside of any call. */
  readonly violations: unknown[]
  wallMs: number
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
  readonly clock: ManualClock
  log: Log | null = null
  readonly handles: Map<string, Topic> = new Map<string, Topic>()
  readonly #pending = new Set<Promise<unknown>>()
  readonly #fences = new Map<PartitionModel, Fence>()
  readonly #crashes: number
  readonly #readers = new Set<Reader<LogRecord>>()
  /** How often calls into the disk seem slow, so that writes and reads go the long way. */
  readonly #slowness: number
  #driftMs = 0
  #drifts = 0
  #isKilled = false

  constructor(world: SimWorld, options: { readonly slowness?: number } = {}) {
    this.world = world
    this.clock = manualClock(world.wallMs)
    this.#crashes = world.files.crashes
    this.#slowness = options.slowness ?? 0
  }

  /** False once the power went or the process was killed; from then on nobody hears of its log. */
  get isAlive(): boolean {
    return !this.#isKilled && this.world.files.crashes === this.#crashes
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /** Opens the log; false when that failed. Without faults it must not. */
  async open(options: OpenOptions = {}): Promise<boolean> {
    const { clock, world } = this
    const slowClock = {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs() + this.#drift(),
      setTimer: (delayMs: number, callback: () => void) => clock.setTimer(delayMs, callback),
    }
    const opening = openLog(simDir, {
      ...options,
      files: world.files.currentProcess(),
      clock: slowClock,
      onEvent: event => this.#hear(event),
    })
    const opened = this.track('open', opening, log => {
      this.log = log
    })
    return (await this.settle('open', opened)) === true
  }

  /** Compares the log that was just opened with the model. */
  async check(): Promise<void> {
    const { log, world } = this
    assert.ok(log !== null, 'a log can be opened when nothing fails')
    const checking = world.topics.check(log, { isPowerCut: world.isPowerCut })
    const handles = await this.settle('check', checking)
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
      this.step(`    at ${result.baseOffset} in epoch ${result.leaderEpoch}`)
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
    return this.track(`append ${values[0]?.slice(0, 24)} (${options.acks})`, call, accept, refuse)
  }

  /** Creates a topic. */
  create(name: string, options: SimTopic): Promise<boolean> {
    const { log, world } = this
    if (log === null) return Promise.resolve(false)
    world.topics.creating(name, options.partitions)
    return this.track(`create ${name}`, log.createTopic(name, options), topic => {
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
    return this.track(`delete ${model.name}`, log.deleteTopic(model.name), () =>
      world.topics.deleted(model),
    )
  }

  /** Makes a topic have `total` partitions. */
  addPartitions(model: TopicModel, total: number): Promise<boolean> {
    const handle = this.handles.get(model.name)
    if (handle === undefined) return Promise.resolve(false)
    model.counts.add(total)
    return this.track(`add partitions to ${model.name}`, handle.addPartitions(total), () => {
      model.counts = new Set([total])
    })
  }

  /** Changes the flush policy. */
  configure(model: TopicModel, flushRecords: number): Promise<boolean> {
    const handle = this.handles.get(model.name)
    if (handle === undefined) return Promise.resolve(false)
    const before = model.flushRecords
    model.flushRecords = new Set([...before, flushRecords])
    return this.track(`configure ${model.name}`, handle.configure({ flushRecords }), () => {
      model.flushRecords = new Set([flushRecords])
    })
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
    return this.track(`read ${at}`, handle.read({ from, maxBytes: 700 }), result => {
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
    void reading.catch(error => this.#judge('follow', error))
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
    return this.track(`flush ${model.name}-${partition}`, handle.flush(), () => {})
  }

  /** Takes failed partitions back into service. */
  recover(model: TopicModel, partition: number): Promise<boolean> {
    const handle = this.#partition(model, partition)
    if (handle?.state !== 'failed') return Promise.resolve(false)
    return this.track(`recover ${model.name}-${partition}`, handle.recover(), () => {
      const of = this.#modelOf(model, partition)
      of.fallBack()
      this.#fences.delete(of)
    })
  }

  /** Closes the log; false when that failed. */
  async close(): Promise<boolean> {
    const { log } = this
    if (log === null) return false
    const closed = await this.settle(
      'close',
      this.track('close', log.close(), () => {}),
    )
    this.#end()
    return closed === true
  }

  /** Ends the process here and now. */
  kill(): void {
    this.step('kill')
    this.#end()
    this.world.files.killProcess()
  }

  /** Cuts the power here and now. */
  crash(): void {
    this.step('crash')
    this.#end()
    this.world.files.crash()
  }

  /** What a dead process leaves for the next one to know; call it when it is dead. */
  bury(): void {
    if (this.world.files.crashes !== this.#crashes) this.world.isPowerCut = true
    this.#end()
  }

  /** Notes what happens, for the message of a failure. */
  step(text: string): void {
    const { steps } = this.world
    steps.push(text)
    if (steps.length > 400) steps.splice(0, 200)
  }

  /** Lets the process run for some turns. */
  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count && this.isAlive; turn++) await nextTurn()
    this.#checkOffsets()
  }

  /** Runs until nothing is pending. */
  async settleAll(): Promise<void> {
    while (this.#pending.size > 0 && this.isAlive) {
      await this.settle('pending calls', Promise.allSettled([...this.#pending]))
    }
  }

  /**
   * Runs until `work` has settled, moving the clock when only that can help; gives nothing useful
   * when the process dies meanwhile. Something that never settles is a failure.
   */
  async settle<T>(what: string, work: Promise<T>): Promise<T> {
    let isSettled = false
    const end = (): void => {
      isSettled = true
    }
    work.then(end, end)
    let seen = this.world.files.operations
    let quiet = 0
    let movedMs = 0
    while (!isSettled && this.isAlive) {
      await nextTurn()
      quiet = this.world.files.operations === seen ? quiet + 1 : 0
      seen = this.world.files.operations
      if (quiet < quietTurns || isSettled) continue
      assert.ok(movedMs < patienceMs, `${what} hangs: nothing is under way and time does not help`)
      this.clock.advance(movedMs < 3000 ? 1000 : 100_000)
      movedMs += movedMs < 3000 ? 1000 : 100_000
      quiet = 0
    }
    return isSettled ? await work : (undefined as T)
  }

  /**
   * Tracks a call: its answer counts if it comes in time, its error must be a foreseen one. Resolves
   * with whether it succeeded; `settle` makes it come to that.
   */
  track<T>(
    what: string,
    call: Promise<T>,
    accept: (result: T) => void,
    refuse: (error: unknown) => void = () => {},
  ): Promise<boolean> {
    this.step(what)
    const answered = call.then(
      result => {
        if (!this.isAlive) return false
        this.step(`  ${what}: done`)
        accept(result)
        return true
      },
      (error: unknown) => {
        if (!this.isAlive) return false
        this.step(`  ${what}: ${error instanceof Error ? error.message : error}`)
        this.#judge(what, error)
        refuse(error)
        return false
      },
    )
    const tracked = answered.catch((error: unknown) => {
      this.world.violations.push(error)
      return false
    })
    this.#pending.add(tracked)
    void tracked.then(() => this.#pending.delete(tracked))
    return tracked
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
    this.step(`  event ${event.type}`)
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

  #judge(what: string, error: unknown): void {
    if (!this.isAlive || isForeseen(error)) return
    this.world.violations.push(new Error(`${what} failed in a way of its own`, { cause: error }))
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

  #drift(): number {
    if (this.#slowness > 0 && ++this.#drifts % this.#slowness === 0) this.#driftMs += 5
    return this.#driftMs
  }

  #end(): void {
    if (this.#isKilled) return
    if (this.world.files.crashes !== this.#crashes) this.world.isPowerCut = true
    this.#isKilled = true
    this.world.wallMs = this.clock.wallMs() + 1
  }
}

function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

function outcomeOf(error: unknown): 'not-written' | 'unknown' {
  if (!(error instanceof LogError)) return 'not-written'
  // The topic is gone for good, and with it everything in it.
  if (error.code === 'UNKNOWN_TOPIC_OR_PARTITION') return 'unknown'
  assert.ok('outcome' in error, `${error.name} says whether the append may be found`)
  return error.outcome === 'unknown' ? 'unknown' : 'not-written'
}

/** Whether an append was refused for its own sake, and not because something failed. */
function isPlainRefusal(error: unknown): boolean {
  if (!(error instanceof LogError)) return error instanceof Error && error.name === 'AbortError'
  return error.code === 'OFFSET_MISMATCH' || error.code === 'QUEUE_FULL'
}

/** Whether an error is one that the log is documented to report. */
function isForeseen(error: unknown): boolean {
  if (error instanceof Error && error.name === 'AbortError') return true
  if (!(error instanceof LogError)) return false
  if (error.code === 'CORRUPT_RECORD' || error.code === 'NOT_A_LOG') return false
  if (error.code !== 'STORAGE_FAILED') return true
  return 'path' in error && 'operation' in error && error.cause instanceof Error
}

/** A producer as users hold it. */
import { checkMs, checkOptions } from '../checks.ts'
import type { Timer } from '../clock.ts'
import { ClosedError, UnknownTopicOrPartitionError } from '../errors.ts'
import { AppendRules } from '../log/append-rules.ts'
import type { ExtensibleLog } from '../log/extension.ts'
import { checkIsNotInternal } from '../log/internal-topics.ts'
import { type PlainRecord, RecordSerializer } from '../log/serialize.ts'
import { TopicHandle } from '../log/topic.ts'
import type { TopicState } from '../log/topic-state.ts'
import type { Producer, SendOptions } from '../producing.ts'
import { recordSizeBound } from '../record/batch-writer.ts'
import { AppendFailures, allAppends } from '../storage/append-failures.ts'
import { rejectResult } from '../storage/pending-result.ts'
import type { AppendResult, RecordInput, Topic } from '../types.ts'
import { IdempotentDelivery } from './idempotent-delivery.ts'
import { Lane, type LaneHost } from './lane.ts'
import { ownedRecord } from './owned-record.ts'
import { PlainDelivery } from './plain-delivery.ts'
import { ProducerChooser } from './producer-chooser.ts'
import { checkSendOptions, type ResolvedProducerOptions } from './producer-options.ts'
import { Room } from './room.ts'
import { type Generation, Sending, type SendingHost } from './sending.ts'

/** The way of records to a topic, for one handle or for the topic's name. */
interface Route {
  readonly topic: TopicState
  readonly serializer: RecordSerializer
  readonly rules: AppendRules
  readonly chooser: ProducerChooser
}

/** A record that is ready to go. */
interface Prepared {
  readonly record: PlainRecord
  readonly sizeBytes: number
  readonly partition: number
}

/** What a producer is made of. */
export interface LogProducerOptions {
  readonly log: ExtensibleLog
  readonly options: ResolvedProducerOptions
  /** Null unless it is idempotent. */
  readonly producerId: number | null
  /** It is over: nothing of it is pending any more. */
  readonly onClosed: () => void
}

/** Calls may overlap. What it was given is settled before `close()` is. */
export class LogProducer implements Producer, LaneHost, SendingHost {
  readonly producerId: number | null
  readonly options: ResolvedProducerOptions
  readonly #log: ExtensibleLog
  readonly #onClosed: () => void
  readonly #room: Room
  readonly #failures = new AppendFailures()
  readonly #routesByHandle = new WeakMap<object, Route>()
  readonly #routesByName = new Map<string, Route>()
  readonly #lanes = new Map<TopicState, Map<number, Lane>>()
  /** Their open batches are closed when the turn is over. */
  #closing = new Set<Lane>()
  #generation: Generation = { pendingCount: 0 }
  #pendingCount = 0
  /** Those that a flush waits for. */
  readonly #flushed = new Map<Generation, { promise: Promise<void>; resolve: () => void }>()
  #closed: Promise<void> | null = null

  constructor({ log, options, producerId, onClosed }: LogProducerOptions) {
    this.#log = log
    this.options = options
    this.producerId = producerId
    this.#onClosed = onClosed
    this.#room = new Room(log.environment.clock, options.maxInFlightBytes, options.maxBlockMs)
  }

  /** Nothing that it was given is unsettled. */
  get isIdle(): boolean {
    return this.#pendingCount === 0
  }

  get isFlushing(): boolean {
    return this.#flushed.size > 0
  }

  send<K, V>(
    topic: Topic<K, V> | string,
    record: RecordInput<K, V>,
    options?: SendOptions,
  ): Promise<AppendResult>
  send<K, V>(
    topic: Topic<K, V> | string,
    records: readonly RecordInput<K, V>[],
    options?: SendOptions,
  ): Promise<readonly AppendResult[]>
  // Not an async function: promises of one partition settle in the order of its offsets.
  send(
    topic: unknown,
    records: unknown,
    options?: SendOptions,
  ): Promise<AppendResult | readonly AppendResult[]> {
    try {
      if (this.#closed !== null) throw new ClosedError('the producer')
      checkSendOptions(options)
      const route = this.#routeTo(topic)
      if (!Array.isArray(records)) {
        return this.#sendOne(route, this.#prepare(route, records as PlainRecord), options)
      }
      // All are checked before one is sent: a bad one must not leave half of a call in the log.
      const prepared = records.map(record => this.#prepare(route, record))
      return allAppends(prepared.map(record => this.#sendOne(route, record, options)))
    } catch (error) {
      return Promise.reject(error)
    }
  }

  whenReady(): Promise<void> {
    return this.#closed === null ? this.#room.whenReady() : Promise.resolve()
  }

  async flush(): Promise<void> {
    const report = this.#failures.flushStarted()
    await this.#whenAllSettled()
    const failure = this.#failures.flushEnded(report)
    if (failure !== null) throw failure
  }

  close(options: { readonly timeoutMs?: number | undefined } = {}): Promise<void> {
    if (this.#closed !== null) return this.#closed
    try {
      checkOptions('producer.close', options, { checks: { timeoutMs: checkMs } })
    } catch (error) {
      return Promise.reject(error)
    }
    this.#closed = this.#close(options.timeoutMs ?? -1)
    return this.#closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  /** Rejects everything that is not settled. */
  giveUp(): void {
    const error = new ClosedError('the producer', 'unknown')
    this.#room.refuseAll(new ClosedError('the producer'))
    for (const lane of this.#allLanes()) lane.giveUp(error)
  }

  // ---- what the lanes tell

  closeAtEndOfTurn(lane: Lane): void {
    this.#closing.add(lane)
    this.#log.environment.turns.schedule(this)
  }

  endOfTurn(): void {
    this.#failures.endOfTurn()
    const lanes = this.#closing
    this.#closing = new Set()
    for (const lane of lanes) lane.closeOpen()
  }

  settled(sending: Sending, result: AppendResult): void {
    if (sending.isSettled) return
    sending.resolve(result)
    this.#over(sending)
    this.#room.release(sending.sizeBytes)
  }

  failed(sending: Sending, error: Error): void {
    if (sending.isSettled) return
    this.refused(sending, error)
    this.#room.release(sending.sizeBytes)
  }

  /** It failed without having had room. */
  refused(sending: Sending, error: Error): void {
    this.#failures.reject(sending, error)
    this.#log.environment.turns.schedule(this)
    this.#over(sending)
  }

  // ---- sending

  #routeTo(topic: unknown): Route {
    const route = typeof topic === 'string' ? this.#routeByName(topic) : this.#routeByHandle(topic)
    if (!route.topic.isUsable) throw route.topic.refusal()
    return route
  }

  #routeByName(name: string): Route {
    const topic = this.#log.topic(name)
    checkIsNotInternal(name)
    if (topic === undefined) throw new UnknownTopicOrPartitionError(name)
    const known = this.#routesByName.get(name)
    // The topic of that name may be another one by now.
    if (known?.topic === topic) return known
    const route = {
      topic,
      serializer: new RecordSerializer(null, null),
      rules: new AppendRules(topic),
      chooser: this.#chooserFor(topic, undefined),
    }
    this.#routesByName.set(name, route)
    return route
  }

  #routeByHandle(handle: unknown): Route {
    const known = this.#routesByHandle.get(handle as object)
    if (known !== undefined) return known
    const parts = TopicHandle.partsOf(handle)
    if (parts === null) {
      throw new TypeError('expected `topic` to be the name of a topic, or a topic of this log')
    }
    const { state, serializer, rules, partitioner } = parts
    checkIsNotInternal(state.name)
    if (state.isUsable && this.#log.topic(state.name) !== state) {
      throw new TypeError(`expected a topic of this log, got ${state.name} of another one`)
    }
    const chooser = this.#chooserFor(state, partitioner)
    const route = { topic: state, serializer, rules, chooser }
    this.#routesByHandle.set(handle as object, route)
    return route
  }

  #chooserFor(
    topic: TopicState,
    own: ConstructorParameters<typeof ProducerChooser>[1]['partitioner'] | undefined,
  ): ProducerChooser {
    const { batchBytes } = this.options
    return new ProducerChooser(topic, {
      partitioner: this.options.partitioner ?? own ?? 'murmur2',
      batchBytes,
    })
  }

  #prepare(route: Route, record: PlainRecord): Prepared {
    const { topic, serializer, rules, chooser } = route
    const plain = serializer.record(record)
    // Before it is copied: what is no record must be refused, and not copied into one.
    recordSizeBound(plain)
    if (rules.checksRecords) rules.check([plain])
    const owned = ownedRecord(plain, topic.time.nowMs())
    const partition = chooser.choose(owned, topic.partitions.length)
    return { record: owned, sizeBytes: recordSizeBound(owned), partition }
  }

  #sendOne(
    { topic }: Route,
    prepared: Prepared,
    options: SendOptions | undefined,
  ): Promise<AppendResult> {
    const lane = this.#laneTo(topic, prepared.partition)
    const generation = this.#generation
    const sending = new Sending(prepared, { host: this, lane, generation })
    this.#pendingCount++
    generation.pendingCount++
    if (options?.signal !== undefined) this.#listen(options.signal, sending)
    try {
      this.#room.enter(sending)
    } catch (error) {
      this.refused(sending, error as Error)
    }
    return sending.promise
  }

  #listen(signal: AbortSignal, sending: Sending): void {
    const onAbort = (): void => {
      const isHeld = !this.#room.withdraw(sending)
      if (isHeld && !sending.withdraw()) return
      // The caller's own doing: no flush speaks of it.
      rejectResult(sending, signal.reason as Error)
      this.#over(sending)
      if (isHeld) this.#room.release(sending.sizeBytes)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    sending.stopListening = () => signal.removeEventListener('abort', onAbort)
  }

  #laneTo(topic: TopicState, partition: number): Lane {
    const lanes = this.#lanes.get(topic) ?? this.#newLanes(topic)
    const known = lanes.get(partition)
    if (known !== undefined) return known
    const target = { topic, partition }
    const delivery =
      this.producerId === null
        ? new PlainDelivery(this, target)
        : new IdempotentDelivery(this, target, this.producerId)
    const lane = new Lane(this, target, delivery)
    lanes.set(partition, lane)
    return lane
  }

  #newLanes(topic: TopicState): Map<number, Lane> {
    for (const [known, gone] of this.#lanes) {
      if (known.isUsable) continue
      // What is in them is refused, and then nothing is left that needs them.
      for (const lane of gone.values()) lane.closeOpen()
      this.#lanes.delete(known)
      if (this.#routesByName.get(known.name)?.topic === known) this.#routesByName.delete(known.name)
    }
    const lanes = new Map<number, Lane>()
    this.#lanes.set(topic, lanes)
    return lanes
  }

  #allLanes(): readonly Lane[] {
    return [...this.#lanes.values()].flatMap(lanes => [...lanes.values()])
  }

  // ---- settling

  #over(sending: Sending): void {
    sending.isSettled = true
    sending.stopListening?.()
    this.#pendingCount--
    const { generation } = sending
    generation.pendingCount--
    if (generation.pendingCount > 0) return
    this.#flushed.get(generation)?.resolve()
    this.#flushed.delete(generation)
  }

  /** Resolves when everything that was sent before the call has been settled. */
  async #whenAllSettled(): Promise<void> {
    if (this.#generation.pendingCount > 0) {
      let resolve = (): void => {}
      const promise = new Promise<void>(done => {
        resolve = done
      })
      this.#flushed.set(this.#generation, { promise, resolve })
      this.#generation = { pendingCount: 0 }
      for (const lane of this.#allLanes()) lane.closeOpen()
    }
    // Those of flushes before this one as well.
    await Promise.all([...this.#flushed.values()].map(({ promise }) => promise))
  }

  async #close(timeoutMs: number): Promise<void> {
    let timer: Timer | null = null
    if (timeoutMs !== -1) {
      const { clock } = this.#log.environment
      timer = clock.setTimer(timeoutMs, () => this.giveUp(), { keepAlive: true })
    }
    this.#room.wake()
    const flushed = this.flush()
    for (const lane of this.#allLanes()) lane.stopRetrying()
    await flushed.finally(() => {
      timer?.cancel()
      this.#onClosed()
    })
  }
}

/** What `run()` does: records go to the handler, as many at a time and in the order that was asked for. */
import { setMaxListeners } from 'node:events'

import type { Clock, Timer } from '../clock.ts'
import type { Concurrency, RecordHandler } from '../consuming.ts'
import { HandlerError } from '../errors.ts'
import type { LogRecord } from '../types.ts'
import type { AssignedPartition } from './assigned-partition.ts'
import type { AutoCommit } from './auto-commit.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { FinishedPrefix } from './finished-prefix.ts'
import { type LaneJob, Lanes } from './lanes.ts'
import type { PartitionSource } from './partition-source.ts'
import { backoffAfter, type RetryPolicy } from './retry.ts'
import type { Usage } from './usage.ts'

/** Records taken out of chunks and not finished, over all partitions; a hot key stops reading there. */
const maxUnfinished = 10_000

/** Of one partition, records looked through at a time for keys that are free. */
const lookAhead = 64

/** Records that one partition gives in a row before it is the turn of the others. */
const maxInARow = 500

/** Partitions that keep a chunk in memory though it is not their turn. */
const maxBuffered = 64

/** Handlers that end at once are called this often before anything else of the process gets its turn. */
const callsPerTurn = 256

/** What a run is made of. */
export interface RunLoopOptions {
  readonly source: PartitionSource
  readonly clock: Clock
  readonly handler: RecordHandler<unknown, unknown>
  readonly concurrency: { readonly by: Concurrency['by']; readonly max: number }
  readonly retry: RetryPolicy
  readonly group: string | null
  /** Null: it commits nothing. */
  readonly autoCommit: AutoCommit | null
  /** Null: a record whose last attempt fails ends the run. */
  readonly deadLetters: DeadLetters | null
  /** A commit that was the last one of a partition failed. */
  readonly onCommitFailure: (error: unknown) => void
}

/** What is under way in one partition. */
interface Work {
  readonly partition: AssignedPartition
  readonly lanes: Lanes<Job>
  readonly controller: AbortController
  /** Handlers and dead letters that have not ended. */
  running: number
  /** Records given out in a row. */
  inARow: number
  /** It is handed back or gone: what of it has not begun never will. */
  isOver: boolean
  readonly backoffs: Set<Timer>
  /** Jobs whose turn came while the partition was paused. */
  readonly held: Job[]
  whenIdle: (() => void) | null
}

interface Job extends LaneJob {
  readonly work: Work
  readonly prefix: FinishedPrefix
  readonly number: number
  record: LogRecord<unknown, unknown>
  attempt: number
}

/** One run. `run` is called once. */
export class RunLoop implements Usage {
  readonly #options: RunLoopOptions
  readonly #max: number
  readonly #work = new Map<AssignedPartition, Work>()
  /** Jobs that may begin, the first first. */
  #ready: Job[] = []
  #running = 0
  #unfinished = 0
  #isOver = false
  #failure: { readonly error: unknown } | null = null

  constructor(options: RunLoopOptions) {
    this.#options = options
    this.#max = options.concurrency.max
  }

  /** Gives out records until `stop`. @throws what ended it before */
  async run(): Promise<void> {
    const { source } = this.#options
    for (let calls = 1; !this.#isOver; calls++) {
      if (!this.#step()) await source.wait()
      else if (calls % callsPerTurn === 0) await new Promise(resolve => setImmediate(resolve))
    }
    if (this.#failure !== null) throw this.#failure.error
  }

  /** Gives out nothing more; `run` resolves. What is under way is ended partition by partition. */
  stop(): void {
    this.#isOver = true
    this.#options.source.wake()
  }

  /** Partitions that were paused go on. */
  resumed(): void {
    for (const { partition, held } of this.#work.values()) {
      if (partition.isPaused) continue
      this.#ready.push(...held.splice(0))
    }
    this.#options.source.wake()
  }

  async end(partition: AssignedPartition): Promise<void> {
    const { autoCommit, onCommitFailure } = this.#options
    const work = this.#work.get(partition)
    if (work !== undefined) {
      this.#endWork(work)
      if (work.running > 0) {
        await new Promise<void>(resolve => {
          work.whenIdle = resolve
        })
      }
    }
    await autoCommit?.flush(partition).catch(onCommitFailure)
    this.#work.delete(partition)
  }

  abandon(partition: AssignedPartition): void {
    const work = this.#work.get(partition)
    if (work !== undefined) this.#endWork(work)
    this.#work.delete(partition)
  }

  #endWork(work: Work): void {
    if (work.isOver) return
    work.isOver = true
    this.#unfinished -= work.lanes.count
    for (const timer of work.backoffs) timer.cancel()
    this.#ready = this.#ready.filter(job => job.work !== work)
    work.controller.abort()
    // Room for other partitions.
    this.#options.source.wake()
  }

  /** Does one thing, if there is one to be done now. */
  #step(): boolean {
    if (this.#running >= this.#max) return false
    const job = this.#ready.shift()
    if (job !== undefined) {
      this.#begin(job)
      return true
    }
    if (this.#unfinished >= maxUnfinished) return false
    const partition = this.#options.source.next()
    if (partition === null) return false
    if (partition.hasBuffered) this.#take(partition)
    else void this.#fetch(partition)
    return true
  }

  async #fetch(partition: AssignedPartition): Promise<void> {
    try {
      await partition.fetch()
      this.#options.source.enqueue(partition, true)
    } catch (error) {
      this.#readFailed(partition, error)
    }
  }

  #readFailed(partition: AssignedPartition, error: unknown): void {
    // Its topic is being deleted, or the log closed: the member hears of that by itself.
    if (partition.isEnding || !partition.state.isUsable) return
    this.#fail(error)
  }

  #fail(error: unknown): void {
    this.#failure ??= { error }
    this.stop()
  }

  #workOf(partition: AssignedPartition): Work {
    const known = this.#work.get(partition)
    if (known !== undefined) return known
    const controller = new AbortController()
    // Every handler at work may listen.
    setMaxListeners(0, controller.signal)
    const work: Work = {
      partition,
      lanes: new Lanes(),
      controller,
      running: 0,
      inARow: 0,
      isOver: false,
      backoffs: new Set(),
      held: [],
      whenIdle: null,
    }
    this.#work.set(partition, work)
    return work
  }

  /** Takes the next record; by key, the next few, until one of them may begin. */
  #take(partition: AssignedPartition): void {
    const { concurrency, source } = this.#options
    const work = this.#workOf(partition)
    const isByKey = concurrency.by === 'key'
    // One record of a partition at a time: it gets its next turn when that one is finished.
    if (!isByKey && work.lanes.count > 0) return
    try {
      for (let taken = 0; taken < (isByKey ? lookAhead : 1); taken++) {
        const record = partition.takeRecord()
        if (record === null) break
        const job = this.#jobOf(record, work)
        if (!work.lanes.add(job)) continue
        this.#ready.push(job)
        break
      }
    } catch (error) {
      this.#readFailed(partition, error)
      return
    }
    if (isByKey || work.lanes.count === 0) source.enqueue(partition, this.#staysNext(work))
  }

  #jobOf(record: LogRecord<unknown, unknown>, work: Work): Job {
    this.#unfinished++
    const { prefix } = work.partition
    const isByKey = this.#options.concurrency.by === 'key'
    const lane = isByKey ? (record.keyBytes?.toString('latin1') ?? null) : null
    return { work, prefix, number: prefix.begin(record.offset), lane, record, attempt: 1 }
  }

  /** Chunk by chunk, so that few are in memory; but nobody waits for the end of a chunk that takes long. */
  #staysNext(work: Work): boolean {
    if (work.partition.hasBuffered && ++work.inARow < maxInARow) return true
    work.inARow = 0
    const buffered = this.#options.source.partitions.filter(({ hasBuffered }) => hasBuffered)
    if (buffered.length > maxBuffered) work.partition.putBack()
    return false
  }

  #begin(job: Job): void {
    const { work } = job
    if (work.isOver) return
    if (job.prefix !== work.partition.prefix) {
      // From before a seek.
      this.#leaveLane(job)
      return
    }
    if (work.partition.isPaused) {
      work.held.push(job)
      return
    }
    this.#running++
    work.running++
    let result: unknown
    try {
      result = this.#options.handler(job.record, {
        signal: work.controller.signal,
        attempt: job.attempt,
      })
    } catch (error) {
      this.#threw(job, error)
      return
    }
    if (isThenable(result)) {
      result.then(
        () => this.#finished(job),
        (error: unknown) => this.#threw(job, error),
      )
    } else {
      this.#finished(job)
    }
  }

  #finished(job: Job): void {
    const { work } = job
    const { partition } = work
    const isCurrent = job.prefix === partition.prefix
    if (job.prefix.finish(job.number) && isCurrent) this.#options.autoCommit?.moved(partition)
    this.#ended(work)
    this.#leaveLane(job)
  }

  #threw(job: Job, error: unknown): void {
    const { retry, clock } = this.#options
    const { work } = job
    if (work.isOver || this.#isOver || job.prefix !== work.partition.prefix) {
      // Not finished: whoever gets the partition next gets the record, too.
      this.#ended(work)
      this.#leaveLane(job)
      return
    }
    const backoffMs = backoffAfter(job.attempt, retry)
    if (backoffMs === null) {
      void this.#giveUp(job, error)
      return
    }
    this.#ended(work)
    // It may wait for long, and would keep its chunk in memory.
    job.record = job.record.detach()
    job.attempt++
    const timer = clock.setTimer(
      backoffMs,
      () => {
        work.backoffs.delete(timer)
        this.#ready.push(job)
        this.#options.source.wake()
      },
      { keepAlive: true },
    )
    work.backoffs.add(timer)
  }

  async #giveUp(job: Job, error: unknown): Promise<void> {
    const { deadLetters, group } = this.#options
    const { work, record, attempt } = job
    if (deadLetters === null) {
      this.#fail(new HandlerError(record.detach(), attempt, error))
      this.#ended(work)
      return
    }
    try {
      await deadLetters.send(record, { group, attempts: attempt, error })
    } catch (cause) {
      if (!work.isOver) this.#fail(new HandlerError(record.detach(), attempt, both(error, cause)))
      this.#ended(work)
      return
    }
    this.#finished(job)
  }

  /** A handler has ended, whatever came of it. */
  #ended(work: Work): void {
    this.#running--
    work.running--
    if (work.running === 0) work.whenIdle?.()
    this.#options.source.wake()
  }

  #leaveLane(job: Job): void {
    const { work } = job
    const next = work.lanes.end(job)
    if (work.isOver) return
    this.#unfinished--
    if (next !== null) this.#ready.push(next)
    if (this.#options.concurrency.by === 'partition') {
      this.#options.source.enqueue(work.partition, this.#staysNext(work))
    }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    (typeof value === 'object' || typeof value === 'function') &&
    value !== null &&
    'then' in value &&
    typeof value.then === 'function'
  )
}

function both(error: unknown, cause: unknown): AggregateError {
  return new AggregateError([error, cause], 'the handler failed, and so did its dead letter')
}

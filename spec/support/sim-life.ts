/**
 * One life of a simulated process: its clock, its log, and the calls that it waits for. Answers count
 * that come while the process lives. Nothing here rejects but for a broken promise of the log.
 */
import assert from 'node:assert/strict'

import { LogError } from '../../lib/errors.ts'
import type { FaultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, OpenOptions } from '../../lib/types.ts'

/** Where the log lies. */
export const simDir = '/data/log'

/** Turns without a call to the files after which nothing is expected to happen by itself. */
const quietTurns = 40

/** How far the clock is moved before something that is still pending counts as hanging, in ms. */
const patienceMs = 400_000

/** What outlives a process. */
export interface SimGround {
  readonly files: FaultyFiles
  /** Since the last good opening. */
  isPowerCut: boolean
  /** The last steps, for the message of a failure. */
  readonly steps: string[]
  /** What was found wrong outside of any call. */
  readonly violations: unknown[]
  wallMs: number
}

/** A process and its log, which is null as long as it could not be opened. */
export class SimLife {
  readonly clock: ManualClock
  log: Log | null = null
  readonly #ground: SimGround
  readonly #pending = new Set<Promise<unknown>>()
  readonly #crashes: number
  readonly #startMs: number
  /** How often calls into the disk seem slow, so that writes and reads go the long way. */
  readonly #slowness: number
  #driftMs = 0
  #drifts = 0
  #isKilled = false

  constructor(ground: SimGround, options: { readonly slowness?: number } = {}) {
    this.#ground = ground
    this.clock = manualClock(ground.wallMs)
    this.#crashes = ground.files.crashes
    this.#startMs = ground.wallMs
    this.#slowness = options.slowness ?? 0
  }

  /** False once the power went or the process was killed; from then on nobody hears of its log. */
  get isAlive(): boolean {
    return !this.#isKilled && this.#ground.files.crashes === this.#crashes
  }

  /** Time as the log counts it: the wall clock as it was at the start, carried on by the other. */
  get engineMs(): number {
    return this.#startMs + this.clock.monotonicMs() + this.#driftMs
  }

  get pendingCount(): number {
    return this.#pending.size
  }

  /** Opens the log; false when that failed. Without faults it must not. */
  async open(options: OpenOptions): Promise<boolean> {
    const { clock } = this
    const slowClock = {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs() + this.#drift(),
      setTimer: (delayMs: number, callback: () => void) => clock.setTimer(delayMs, callback),
    }
    const files = this.#ground.files.currentProcess()
    const opening = openLog(simDir, { ...options, files, clock: slowClock })
    const opened = this.track('open', opening, log => {
      this.log = log
    })
    return (await this.settle('open', opened)) === true
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
    this.#ground.files.killProcess()
  }

  /** Cuts the power here and now. */
  crash(): void {
    this.step('crash')
    this.#end()
    this.#ground.files.crash()
  }

  /** What a dead process leaves for the next one to know; call it when it is dead. */
  bury(): void {
    if (this.#ground.files.crashes !== this.#crashes) this.#ground.isPowerCut = true
    this.#end()
  }

  /** Notes what happens, for the message of a failure. */
  step(text: string): void {
    const { steps } = this.#ground
    steps.push(text)
    if (steps.length > 400) steps.splice(0, 200)
  }

  /** Lets the process run for some turns. */
  async turns(count: number): Promise<void> {
    for (let turn = 0; turn < count && this.isAlive; turn++) await nextTurn()
  }

  /** Runs until nothing is pending. */
  async settleAll(): Promise<void> {
    while (this.#pending.size > 0 && this.isAlive) {
      await this.settle('pending calls', Promise.allSettled([...this.#pending]))
    }
  }

  /** Runs until nothing calls the files any more. */
  async whenQuiet(): Promise<void> {
    const { files } = this.#ground
    let seen = -1
    for (let quiet = 0; quiet < quietTurns && this.isAlive; quiet++) {
      await nextTurn()
      if (files.operations !== seen) quiet = 0
      seen = files.operations
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
    const { files } = this.#ground
    let seen = files.operations
    let quiet = 0
    let movedMs = 0
    while (!isSettled && this.isAlive) {
      await nextTurn()
      quiet = files.operations === seen ? quiet + 1 : 0
      seen = files.operations
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
        this.judge(what, error)
        refuse(error)
        return false
      },
    )
    const tracked = answered.catch((error: unknown) => {
      this.#ground.violations.push(error)
      return false
    })
    this.#pending.add(tracked)
    void tracked.then(() => this.#pending.delete(tracked))
    return tracked
  }

  /** A promise was broken where nobody waits for it. */
  violated(error: unknown): void {
    this.#ground.violations.push(error)
  }

  /** Takes an error that is not documented for a violation. */
  judge(what: string, error: unknown): void {
    if (!this.isAlive || isForeseen(error)) return
    this.#ground.violations.push(new Error(`${what} failed in a way of its own`, { cause: error }))
  }

  #drift(): number {
    if (this.#slowness > 0 && ++this.#drifts % this.#slowness === 0) this.#driftMs += 5
    return this.#driftMs
  }

  #end(): void {
    if (this.#isKilled) return
    if (this.#ground.files.crashes !== this.#crashes) this.#ground.isPowerCut = true
    this.#isKilled = true
    this.#ground.wallMs = this.clock.wallMs() + 1
  }
}

function nextTurn(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve))
}

/** Whether a rejected append may be in the log all the same. */
export function outcomeOf(error: unknown): 'not-written' | 'unknown' {
  if (!(error instanceof LogError)) return 'not-written'
  // The topic is gone for good, and with it everything in it.
  if (error.code === 'UNKNOWN_TOPIC_OR_PARTITION') return 'unknown'
  assert.ok('outcome' in error, `${error.name} says whether the append may be found`)
  return error.outcome === 'unknown' ? 'unknown' : 'not-written'
}

/** Whether an error is one that the log is documented to report. */
function isForeseen(error: unknown): boolean {
  if (error instanceof Error && error.name === 'AbortError') return true
  if (!(error instanceof LogError)) return false
  if (error.code === 'CORRUPT_RECORD' || error.code === 'NOT_A_LOG') return false
  if (error.code !== 'STORAGE_FAILED') return true
  return 'path' in error && 'operation' in error && error.cause instanceof Error
}

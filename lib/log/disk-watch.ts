/**
 * Watching the disk of an open log: its state, the ballast, and the answer to appends that are held.
 *
 * The disk is looked at when the log is opened, after so many bytes were written that a threshold may
 * have been reached, every few seconds while there is something to wait for, and when an append is
 * refused, so that nobody waits for a timer once space is back. One look runs at a time.
 *
 * What a file system says is free need not be there for us: a quota may be used up, or the inodes. So
 * when something could not be written for want of room, the next looks write a small file as well, until
 * that works; while it does not, the log is read-only, whatever is said to be free.
 */
import type { Clock, Timer } from '../clock.ts'
import { DiskFullError, type DiskFullReason } from '../errors.ts'
import type { LogEvent } from '../events.ts'
import type { DiskSpace, Files } from '../files/files.ts'
import type { DiskKeeper, DiskRoom, RoomRequest } from '../storage/disk-room.ts'
import { isOutOfSpace } from '../storage/file-io.ts'
import { Ballast } from './ballast.ts'
import { fileNames } from './directory-layout.ts'
import {
  ballastSize,
  bytesUntilLook,
  type DiskLimits,
  type DiskState,
  type DiskThresholds,
  nextDiskState,
  probeSize,
  thresholdsFor,
} from './disk-state.ts'

/** How often the disk is looked at while bytes are written, or space is short. */
const busyLookMs = 5000

/** How often it is looked at while nothing happens: others write, too. */
const idleLookMs = 60_000

/** The options of a `DiskWatch`. */
export interface DiskWatchOptions {
  readonly files: Files
  readonly dir: string
  readonly clock: Clock
  readonly room: DiskRoom
  readonly limits: DiskLimits
  readonly emit: (event: LogEvent) => void
}

/** The disk of one log. Calls may overlap. */
export class DiskWatch implements DiskKeeper {
  readonly #options: DiskWatchOptions
  readonly #ballast: Ballast
  readonly #probe: Ballast
  #disk: DiskState = 'ok'
  #isOverLimit = false
  /** Something could not be written for want of room, and nothing of its kind since. */
  #isSuspect = false
  /** The probe could not be written either: with this error. */
  #refusedBy: unknown = null
  #freeBytes = Number.MAX_SAFE_INTEGER
  #bytesLeft = Number.MAX_SAFE_INTEGER
  #hasWritten = false
  #timer: Timer | null = null
  #isOpen = false
  #isStatfsFailing = false
  #isBallastFailing = false
  #isProbeFailing = false
  /** Why the last look failed; null when it did not. */
  #cause: unknown = null
  /** Ends with the last piece of work that was asked for. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()
  /** A look that was asked for and has not begun: later callers share it. */
  #waitingLook: Promise<void> | null = null
  #onShut: (error: DiskFullError) => void = () => {}
  #recheckLimit: () => void = () => {}

  constructor(options: DiskWatchOptions) {
    this.#options = options
    this.#ballast = new Ballast(options.files, options.dir)
    this.#probe = new Ballast(options.files, options.dir, fileNames.probe)
  }

  get state(): DiskState {
    return this.#isOverLimit || this.#refusedBy !== null ? 'read-only' : this.#disk
  }

  /** `callback` refuses what waits to be accepted; called whenever the log becomes read-only. */
  onShut(callback: (error: DiskFullError) => void): void {
    this.#onShut = callback
  }

  /**
   * `callback` looks again whether the log exceeds its limit, and says so by `setOverLimit` before it
   * returns; called when an append is about to be refused for that reason.
   */
  onLimitQuestion(callback: () => void): void {
    this.#recheckLimit = callback
  }

  /**
   * The log has reached `maxTotalBytes` and nothing of it may be deleted; or that is over. Appends are
   * refused as they are on a full disk.
   */
  setOverLimit(isOverLimit: boolean): void {
    this.#change(() => {
      this.#isOverLimit = isOverLimit
    })
  }

  /** Looks for the first time and makes the ballast; from now on looks by itself. */
  async start(): Promise<void> {
    this.#isOpen = true
    // The last session may have ended in the midst of trying. It is tried again when there is a reason.
    await this.#probe.release().catch(() => undefined)
    await this.look()
  }

  /** Resolves when a look that began after this call is over. Never rejects. */
  look(): Promise<void> {
    this.#waitingLook ??= this.#inTurn(() => {
      this.#waitingLook = null
      return this.#look()
    })
    return this.#waitingLook
  }

  async ask({ dir, isInternal }: RoomRequest): Promise<DiskFullError | null> {
    await this.look()
    if (isInternal) {
      // Its own writes tell whether there is room; what is kept for it is given up only then.
      return this.#freeBytes > 0 || (await this.#options.room.release()) ? null : this.#refusal(dir)
    }
    if (this.#isOverLimit) this.#recheckLimit()
    return this.state === 'read-only' ? this.#refusal(dir) : null
  }

  release(): Promise<boolean> {
    return this.#inTurn(async () => {
      try {
        const isReleased = await this.#ballast.release()
        if (isReleased) this.#setTimer(busyLookMs)
        return isReleased
      } catch {
        // The want of room that led here is the failure to report.
        return false
      }
    })
  }

  wrote(sizeBytes: number): void {
    this.#bytesLeft -= sizeBytes
    if (this.#bytesLeft <= 0) {
      this.#bytesLeft = Number.MAX_SAFE_INTEGER
      void this.look()
    } else if (!this.#hasWritten) {
      this.#hasWritten = true
      this.#setTimer(busyLookMs)
    }
  }

  refused(error: unknown): void {
    if (isOutOfSpace(error)) this.#isSuspect = true
    if (this.#isOpen) void this.look()
  }

  /**
   * Ends the timer; resolves when nothing is under way any more. Ballast that was given up is made of
   * what is left: others may fill the disk before the log is opened again, which needs some.
   */
  async close(): Promise<void> {
    const wasOpen = this.#isOpen
    this.#isOpen = false
    this.#timer?.cancel()
    this.#timer = null
    await this.#inTurn(async () => {
      if (!wasOpen) return
      const { files, dir } = this.#options
      await this.#keepBallast(await files.freeSpace(dir))
    }).catch(() => undefined)
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(work)
    this.#tail = done.catch(() => undefined)
    return done
  }

  async #look(): Promise<void> {
    const { files, dir, limits } = this.#options
    this.#hasWritten = false
    try {
      const space = await files.freeSpace(dir)
      this.#isStatfsFailing = false
      this.#cause = null
      const thresholds = thresholdsFor(limits, space)
      // The ballast goes first: space that it takes was never there for appends.
      const usedBytes = this.#isOpen ? await this.#keepBallast(space) : 0
      const refusedBy = await this.#tryRoom(space, thresholds)
      const freeBytes = space.freeBytes - usedBytes
      this.#freeBytes = freeBytes
      this.#bytesLeft = bytesUntilLook(freeBytes, thresholds)
      this.#change(() => {
        this.#disk = nextDiskState(this.#disk, freeBytes, thresholds)
        this.#refusedBy = refusedBy
      })
    } catch (error) {
      // Not knowing is no reason to stop: the state stays, and a write that finds no room says so.
      this.#cause = error
      this.#bytesLeft = Number.MAX_SAFE_INTEGER
      this.#report('looking at the free space', error, this.#isStatfsFailing)
      this.#isStatfsFailing = true
    }
    this.#setTimer(this.state === 'ok' && !this.#isSuspect ? idleLookMs : busyLookMs)
  }

  /** Where room was refused: tries whether there is some. Gives what is in the way; null when nothing is. */
  async #tryRoom(space: DiskSpace, { reserveBytes }: DiskThresholds): Promise<unknown> {
    if (!this.#isSuspect) return null
    // Where there is none by its own account the last of it is not for trying.
    if (!this.#isOpen || space.freeBytes < reserveBytes) return this.#refusedBy
    try {
      await this.#probe.make(probeSize(space))
      await this.#probe.release()
      this.#isSuspect = false
      this.#isProbeFailing = false
      return null
    } catch (error) {
      if (isOutOfSpace(error)) return error
      this.#report('trying whether there is room', error, this.#isProbeFailing)
      this.#isProbeFailing = true
      return this.#refusedBy
    }
  }

  /**
   * Makes the ballast when there is none, and a larger one once there is room for it. After it was given
   * up on a full disk it is made of half of what is left. Says how much less is free then.
   */
  async #keepBallast(space: DiskSpace): Promise<number> {
    try {
      const present = this.#ballast.sizeBytes
      const wanted = ballastSize(this.#options.limits, space)
      const isWorthIt = present === 0 ? wanted > 0 : this.state === 'ok' && wanted > present
      if (isWorthIt) await this.#ballast.make(wanted)
      this.#isBallastFailing = false
      return isWorthIt ? wanted - present : 0
    } catch (error) {
      if (isOutOfSpace(error)) this.#isSuspect = true
      this.#report('making the ballast', error, this.#isBallastFailing)
      this.#isBallastFailing = true
      return 0
    }
  }

  #change(apply: () => void): void {
    const before = this.state
    apply()
    const { state } = this
    this.#options.room.isShut = state === 'read-only'
    if (state === before) return
    if (state === 'read-only') this.#onShut(this.#refusal(this.#options.dir))
    const isDisk = this.#disk === state || this.#refusedBy !== null
    const reason = isDisk ? 'disk-space' : 'max-total-bytes'
    const event = { type: 'stateChanged', state, freeBytes: this.#freeBytes } as const
    this.#options.emit(state === 'ok' ? event : { ...event, reason })
  }

  #refusal(dir: string): DiskFullError {
    const reason: DiskFullReason =
      this.#freeBytes === 0 || this.#refusedBy !== null
        ? 'no-space'
        : this.#disk === 'read-only' || !this.#isOverLimit
          ? 'reserve'
          : 'max-total-bytes'
    return new DiskFullError(dir, this.#cause ?? this.#refusedBy ?? undefined, reason)
  }

  #setTimer(delayMs: number): void {
    if (!this.#isOpen) return
    this.#timer?.cancel()
    this.#timer = this.#options.clock.setTimer(delayMs, () => void this.look())
  }

  /** Tells of the first of a row of failures. */
  #report(what: string, error: unknown, isKnown: boolean): void {
    if (!isKnown) this.#options.emit({ type: 'backgroundFailed', what, error: error as Error })
  }
}

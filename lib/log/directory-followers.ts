/**
 * Following a directory that another process writes: a look whenever it changes, as long as somebody
 * waits for news, and at intervals beside that.
 */
import type { Timer } from '../clock.ts'
import type { TurnMember } from '../storage/turn-scheduler.ts'
import type { Opening } from './opening.ts'

/** How often the directory is looked at where it cannot be watched. */
const pollMs = 100

/** How often it is looked at beside a watch, which some file systems let miss changes. */
const watchedPollMs = 1000

/** Those who follow one directory. Nothing is watched, and no timer runs, while there are none. */
export class DirectoryFollowers implements TurnMember {
  readonly #opening: Opening
  readonly #look: () => void
  #count = 0
  #stopWatching: (() => void) | null = null
  #pollTimer: Timer | null = null

  /** `look` takes in what the directory says by now; what it throws is told as an event. */
  constructor(opening: Opening, look: () => void) {
    this.#opening = opening
    this.#look = look
  }

  /** Looks at once, and from now on until the returned function is called. */
  follow(): () => void {
    this.#count++
    if (this.#count === 1) this.#watch()
    // What changed before the watch began.
    this.#tryLook()
    let isFollowing = true
    return () => {
      if (!isFollowing) return
      isFollowing = false
      this.#count--
      if (this.#count === 0) this.end()
    }
  }

  /** The directory has changed in this turn, however often. */
  endOfTurn(): void {
    if (this.#count > 0) this.#tryLook()
  }

  /** Watches no more, whoever still follows. */
  end(): void {
    this.#stopWatching?.()
    this.#stopWatching = null
    this.#pollTimer?.cancel()
    this.#pollTimer = null
  }

  /** A look that fails is made up for by the next one. */
  #tryLook(): void {
    try {
      this.#look()
    } catch (error) {
      const what = 'following the writer of the log'
      this.#opening.events.emit({ type: 'backgroundFailed', what, error: error as Error })
    }
  }

  #watch(): void {
    const { files, path, environment } = this.#opening
    try {
      this.#stopWatching = files.watch(path, () => environment.turns.schedule(this))
    } catch {
      // No watch to be had here, or no more of them: polling does.
      this.#stopWatching = null
    }
    this.#schedulePoll()
  }

  #schedulePoll(): void {
    const delayMs = this.#stopWatching === null ? pollMs : watchedPollMs
    this.#pollTimer = this.#opening.environment.clock.setTimer(delayMs, () => {
      this.#schedulePoll()
      this.endOfTurn()
    })
  }
}

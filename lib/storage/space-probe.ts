/** Where appends are held for want of room: whether there is room again. */
import type { DiskFullError } from '../errors.ts'
import type { DiskRoom, RoomRequest } from './disk-room.ts'

/** What a probe tells its answer to. */
export interface SpaceProbeHost {
  /** Resolves when what a failed write left is cut: nothing goes behind it. */
  whenQuiet(): Promise<void>
  /** `refusal`: what waits is refused with; null when there is room. */
  spaceProbed(refusal: DiskFullError | null): void
}

/** Asks for one partition, one question at a time. */
export class SpaceProbe {
  readonly #room: DiskRoom
  readonly #request: RoomRequest
  readonly #host: SpaceProbeHost
  #isAsking = false

  constructor(room: DiskRoom, request: RoomRequest, host: SpaceProbeHost) {
    this.#room = room
    this.#request = request
    this.#host = host
  }

  /** Does nothing while an answer is outstanding. */
  async ask(): Promise<void> {
    if (this.#isAsking) return
    this.#isAsking = true
    const refusal = await this.#room.ask(this.#request)
    if (refusal === null) await this.#host.whenQuiet()
    this.#isAsking = false
    this.#host.spaceProbed(refusal)
  }
}

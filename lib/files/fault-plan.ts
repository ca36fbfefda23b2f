/** The calls that are counted and that can be made to fail. `sync` is `OpenFile.syncData`. */
export type FaultyOperation =
  | 'open'
  | 'read'
  | 'write'
  | 'sync'
  | 'truncate'
  | 'readFile'
  | 'list'
  | 'stat'
  | 'makeDirectory'
  | 'rename'
  | 'link'
  | 'remove'
  | 'removeDirectory'
  | 'syncDirectory'
  | 'freeSpace'
  | 'lock'

/**
 * What happens to a call.
 *
 * An errno code: it fails with that error. A write that fails with EIO may have written a part, with
 * another code it has written nothing; a failed sync gives up the data that it covered: readable
 * still, never written by a later sync, gone after a crash; a failed call about names changes nothing.
 * `short`: a write or read does a part and says so. `crash`: the power goes while the call is under
 * way, as by `crash()`.
 */
export type FaultKind =
  | 'EIO'
  | 'ENOSPC'
  | 'EDQUOT'
  | 'EFBIG'
  | 'EMFILE'
  | 'ENFILE'
  | 'EACCES'
  | 'EROFS'
  | 'short'
  | 'crash'

/** A fault to come. */
export interface Fault {
  /** Which of the calls from now on, among those that `on` and `path` admit: 1 is the next. */
  readonly operation: number
  readonly kind: FaultKind
  /** Go on with every such call behind it, until `clearFaults`. @default false */
  readonly sticky?: boolean | undefined
  /** The calls that count. @default all; for `short` writes alone */
  readonly on?: FaultyOperation | readonly FaultyOperation[] | undefined
  /** Only calls on a path that matches count. @default all */
  readonly path?: RegExp | undefined
}

/** One call, as it is counted and traced. */
export interface FaultyCall {
  readonly operation: FaultyOperation
  readonly path: string
  readonly position?: number | undefined
  readonly sizeBytes?: number | undefined
  /** The second path of a rename or link. */
  readonly to?: string | undefined
}

interface ArmedFault {
  readonly fault: Fault
  readonly operations: readonly FaultyOperation[] | undefined
  /** Matching calls until it strikes; 0 and below: it has. */
  countdown: number
}

interface TracedCall {
  readonly number: number
  readonly call: FaultyCall
  readonly fault: FaultKind | undefined
}

const TRACED_CALLS = 200

/** Counts the calls, remembers the last of them, and says which of them are to fail. */
export class FaultPlan {
  #operations = 0
  #armed: ArmedFault[] = []
  /** A ring: the call with number n is at n - 1 modulo its size. */
  readonly #traced: TracedCall[] = []

  /** How many calls there were. */
  get operations(): number {
    return this.#operations
  }

  /** The last 200 calls, oldest first. */
  get trace(): readonly string[] {
    return this.#traced.toSorted((a, b) => a.number - b.number).map(describe)
  }

  /** @throws {RangeError} when the fault can never strike. */
  arm(fault: Fault): void {
    if (!Number.isSafeInteger(fault.operation) || fault.operation < 1) {
      throw new RangeError(
        `expected \`operation\` to be an integer from 1 up, got \`${fault.operation}\``,
      )
    }
    const given = typeof fault.on === 'string' ? [fault.on] : fault.on
    const operations = given ?? (fault.kind === 'short' ? ['write' as const] : undefined)
    if (fault.kind === 'short' && operations?.some(it => it !== 'write' && it !== 'read')) {
      throw new RangeError('only a write or a read can be short')
    }
    this.#armed.push({ fault, operations, countdown: fault.operation })
  }

  /** Takes back all faults that have not struck, and the sticky ones. */
  clear(): void {
    this.#armed = []
  }

  /** Counts a call and gives what is to happen to it; the fault armed first wins. */
  next(call: FaultyCall): FaultKind | undefined {
    this.#operations++
    let struck: FaultKind | undefined
    if (this.#armed.length > 0) {
      for (const armed of this.#armed) {
        if (!matches(armed, call)) continue
        armed.countdown--
        if (armed.countdown <= 0) struck ??= armed.fault.kind
      }
      this.#armed = this.#armed.filter(it => it.countdown > 0 || it.fault.sticky === true)
    }
    const traced = { number: this.#operations, call, fault: struck }
    this.#traced[(this.#operations - 1) % TRACED_CALLS] = traced
    return struck
  }
}

function matches({ fault, operations }: ArmedFault, call: FaultyCall): boolean {
  if (operations !== undefined && !operations.includes(call.operation)) return false
  // Not `test`, which a regular expression with the flag g answers differently each time.
  return fault.path === undefined || call.path.search(fault.path) !== -1
}

function describe({ number, call, fault }: TracedCall): string {
  const size = call.sizeBytes === undefined ? '' : ` ${call.sizeBytes} bytes`
  const position = call.position === undefined ? '' : ` at ${call.position}`
  const to = call.to === undefined ? '' : ` to ${call.to}`
  const outcome = fault === undefined ? '' : ` -> ${fault}`
  return `${number} ${call.operation} ${call.path}${to}${size}${position}${outcome}`
}

import { constants } from 'node:os'
import { getSystemErrorMap } from 'node:util'

/** Kept, because Node makes a new map at each call. */
let systemErrors: ReadonlyMap<number, [string, string]> | undefined

/** What an errno error says beside its code. */
export interface ErrnoFacts {
  /** The call that failed, as Node names it: `open`, `write`, `fdatasync`, … */
  readonly syscall: string
  readonly path?: string | undefined
  /** The second path of a rename or link. */
  readonly dest?: string | undefined
  /** Appended to the message in parentheses. */
  readonly note?: string | undefined
}

/** Makes an error of the shape that `node:fs` throws: `code`, `errno`, `syscall`, `path`, `dest`. */
export function errnoError(code: string, facts: ErrnoFacts): NodeJS.ErrnoException {
  const known: Readonly<Record<string, number>> = constants.errno
  const number = known[code]
  systemErrors ??= getSystemErrorMap()
  const text = number === undefined ? undefined : systemErrors.get(-number)?.[1]
  const path = facts.path === undefined ? '' : ` '${facts.path}'`
  const dest = facts.dest === undefined ? '' : ` -> '${facts.dest}'`
  const note = facts.note === undefined ? '' : ` (${facts.note})`
  const message = `${code}: ${text ?? 'storage fault'}, ${facts.syscall}${path}${dest}${note}`
  return Object.assign(new Error(message), {
    code,
    syscall: facts.syscall,
    ...(number === undefined ? {} : { errno: -number }),
    ...(facts.path === undefined ? {} : { path: facts.path }),
    ...(facts.dest === undefined ? {} : { dest: facts.dest }),
  })
}

/** The code of an errno error, undefined for anything else. */
export function errnoCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

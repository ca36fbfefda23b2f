import { once } from 'node:events'
import { writeSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setImmediate as nextTurn } from 'node:timers/promises'

/** Says a line to whoever started this process; it is in the pipe when this returns. */
export function say(...words: readonly (string | number | boolean)[]): void {
  writeSync(1, `${words.join(' ')}\n`)
}

/**
 * What of this process is still at work, by kind; asked when the call that led here is over as well.
 * Its standard streams may be among it, so what counts is the difference.
 */
export async function atWork(): Promise<string> {
  await nextTurn()
  return process.getActiveResourcesInfo().sort().join() || 'nothing'
}

/** The number of an argument. @throws {TypeError} when it is none */
export function numberArgument(index: number): number {
  const given = process.argv[index] ?? ''
  const value = Number(given)
  if (given === '' || !Number.isFinite(value)) throw new TypeError(`argument ${index} is no number`)
  return value
}

/** Waits for a line on standard input; the process then reads no more of it. */
export async function hearLine(): Promise<string> {
  const input = createInterface({ input: process.stdin })
  const [line] = (await once(input, 'line')) as [string]
  input.close()
  process.stdin.unref()
  return line
}

/** What the appending program writes, so that whoever reads it can tell every byte of it. */
import type { RecordInput } from '../../../lib/types.ts'

/** The appends of one run of the program to one partition are numbered from 0 on. */
export interface AppendName {
  readonly run: number
  readonly sequence: number
}

/** Which record of an append a record is. */
export interface RecordName extends AppendName {
  readonly index: number
  readonly count: number
}

/** The value of a record: its name, and bytes that follow from it. */
export function recordValue({ run, sequence, index, count }: RecordName): string {
  return `${run}:${sequence}:${index}:${count}:`.padEnd(
    24 + ((sequence * 37 + index * 11) % 300),
    'x',
  )
}

/** The records of one append. */
export function recordsOf(name: AppendName, count: number): RecordInput[] {
  return Array.from({ length: count }, (_, index) => ({
    key: `${name.run}`,
    value: recordValue({ ...name, index, count }),
  }))
}

/** The name in a value. @throws {Error} when the value is not exactly what belongs to a name */
export function nameIn(value: string): RecordName {
  const [run, sequence, index, count] = value.split(':').map(Number)
  const name = { run, sequence, index, count } as RecordName
  if (recordValue(name) !== value) throw new Error(`a value that was never written: ${value}`)
  return name
}

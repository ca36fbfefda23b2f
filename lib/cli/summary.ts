/** What a person wants to see at the end of a run. */
import { relative } from 'node:path'
import { styleText } from 'node:util'

import type { Log, LogDescription, PartitionDescription } from '../types.ts'
import type { Input } from './inputs.ts'
import { keyRule } from './line-records.ts'
import type { Passage, RoundTrip } from './round-trip.ts'
import { count, counted, drawTable, size } from './table.ts'

/** All that the summary tells. */
export interface SummaryOptions {
  readonly log: Log
  readonly topic: string
  readonly inputs: readonly Input[]
  readonly trip: RoundTrip
  readonly colors: boolean
}

/** The text of the summary, with a newline at its end. */
export async function summary(options: SummaryOptions): Promise<string> {
  const { log, topic, inputs, trip, colors } = options
  const description = await log.describe()
  const partitions = description.topics.find(({ name }) => name === topic)?.partitions ?? []
  const bold = (text: string): string => (colors ? styleText('bold', text) : text)
  const { records } = trip.published.tally
  const source = inputs.length === 1 ? inputs[0]?.name : counted(inputs.length, 'file')
  return [
    '',
    `${bold(counted(records, 'line'))} of ${source} → topic ${bold(topic)}, ${counted(partitions.length, 'partition')}, keyed by ${keyRule(inputs)}`,
    '',
    drawTable({ heading: speedHeading, rows: speedRows(trip) }, colors),
    drawTable({ heading: partitionHeading, rows: partitionRows(partitions, trip) }, colors),
    '',
    verdict(trip, colors),
    `segments  ${segmentsOf(description, partitions)}`,
    `lock      ${description.lock.kind}`,
    `remove    rm -r ${removable(description.dir)}`,
    '',
  ].join('\n')
}

const speedHeading = ['', 'records', 'bytes', 'time', 'records/s', 'per second']

function speedRows({ published, read }: RoundTrip): readonly (readonly string[])[] {
  return [speedRow('published, durable', published), speedRow('read and compared', read)]
}

function speedRow(what: string, { tally, durationMs }: Passage): readonly string[] {
  const seconds = Math.max(durationMs, 0.001) / 1000
  return [
    what,
    count(tally.records),
    size(tally.bytes),
    `${seconds.toFixed(seconds < 10 ? 2 : 1)} s`,
    count(tally.records / seconds),
    size(tally.bytes / seconds),
  ]
}

const partitionHeading = ['partition', 'offsets', 'records', 'bytes', 'segments', 'checksum']

function partitionRows(
  partitions: readonly PartitionDescription[],
  { read, offsets }: RoundTrip,
): readonly (readonly string[])[] {
  return read.tally.partitions.map(({ records, bytes, checksum }, partition) => {
    const first = offsets[partition] ?? 0
    return [
      String(partition),
      `[${first}, ${first + records})`,
      count(records),
      size(bytes),
      count(partitions[partition]?.segmentCount ?? 0),
      checksum.toString(16).padStart(8, '0'),
    ]
  })
}

function verdict({ differences, read }: RoundTrip, colors: boolean): string {
  if (differences.length === 0) {
    const text = `verified  ${counted(read.tally.records, 'record')} came back: each byte, each key, in the order of its partition`
    return colors ? styleText('green', text) : text
  }
  const text = ['NOT the same:', ...differences].join('\n  ')
  return colors ? styleText('red', text) : text
}

/** Where the segment files lie, with the first of them as an example. */
function segmentsOf(
  { dir, sizeBytes }: LogDescription,
  partitions: readonly PartitionDescription[],
): string {
  const filled = partitions.find(({ segmentCount }) => segmentCount > 0)
  const where = `${size(sizeBytes)} in ${dir}`
  if (filled === undefined) return where
  return `${where}, such as ${relative(dir, filled.dir)}/${String(filled.logStartOffset).padStart(20, '0')}.log`
}

/** The directory as a shell takes it, from here where it lies below. */
function removable(dir: string): string {
  const path = relative(process.cwd(), dir)
  return quoted(path === '' || path.startsWith('..') ? dir : path)
}

function quoted(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`
}

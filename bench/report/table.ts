/** The rows of the tables: the same in Markdown and on the page. */
import type { Probe } from '../harness/probe.ts'
import { formatBytes, formatCount, formatMicros, significant } from './format.ts'
import type { Report, SideReport, TargetReport, VariantReport } from './report.ts'

/** Headings of a workload's table. */
export const columns: readonly string[] = [
  'variant',
  'side',
  'durability',
  'records/s',
  'MB/s',
  'p50',
  'p99',
  'p99.9',
  'CPU/record',
  'loop delay p99',
  'peak RSS',
  'on disk',
]

/** One row for a side. */
export function rowOf(variant: VariantReport, side: SideReport): readonly string[] {
  const micros = (value: number | null): string => (value === null ? '' : formatMicros(value))
  return [
    variant.name,
    side.name,
    side.durability ?? '',
    formatCount(side.recordsPerSecond),
    side.bytesPerSecond === 0 ? '' : significant(side.bytesPerSecond / 1e6),
    micros(side.p50Micros),
    micros(side.p99Micros),
    micros(side.p999Micros),
    formatMicros(side.cpuNanosPerRecord / 1000),
    `${significant(side.loopDelayP99Ms)} ms`,
    formatBytes(side.peakRssBytes),
    side.bytesOnDisk === null ? '' : formatBytes(side.bytesOnDisk),
  ]
}

/** Record and call sizes of a variant in words; empty where they mean nothing. */
export function shapeOf(variant: VariantReport): string {
  const { recordBytes, recordsPerCall } = variant
  if (recordBytes === null) return ''
  return `${recordBytes.toLocaleString('en')} B × ${(recordsPerCall ?? 1).toLocaleString('en')}`
}

/** A target with its figure, how far the rounds are apart, and whether it is reached, by how many of them. */
export function describeTarget(target: TargetReport): string {
  const { figure, rounds, reachedRounds } = target
  if (figure === null) return `${target.text}: not measured`
  const span = `${formatCount(Math.min(...rounds))} … ${formatCount(Math.max(...rounds))}`
  const value = `${formatCount(figure)} (${rounds.length > 1 ? span : 'one round'})`
  if (reachedRounds === null) return `${target.text}: ${value}`
  const verdict = target.isReached ? 'reached' : 'missed'
  // Where the rounds do not agree, the verdict is as weak as that.
  const isUnanimous = reachedRounds === (target.isReached ? rounds.length : 0)
  const share = isUnanimous ? '' : ` (reached by ${reachedRounds} of ${rounds.length} rounds)`
  return `${target.text}: ${value}, ${verdict}${share}`
}

/** The figures of a side that have no column. */
export function describeFigures(side: SideReport): string {
  return Object.entries(side.figures)
    .filter(([name]) => name !== 'checksum')
    .map(([name, value]) => `${name}: ${formatCount(value)}`)
    .join('; ')
}

/** The machine and what it can do, as pairs of name and value. */
export function headOf(report: Report): readonly (readonly [string, string])[] {
  const { machine } = report
  return [
    ['date', `${machine.date} UTC`],
    ['processor', `${machine.processor}, ${machine.cores} cores`],
    ['memory', formatBytes(machine.memoryBytes)],
    ['disk', machine.disk],
    ['file system', machine.fileSystem],
    ['system', machine.system],
    ['Node', `${machine.node}, V8 ${machine.v8}, thread pool of ${machine.threadPoolSize}`],
    ['load before the run', significant(machine.loadBefore)],
    ['command', machine.command],
    ...probeOf(report.probe),
  ]
}

function probeOf(probe: Probe): readonly (readonly [string, string])[] {
  const { fdatasync } = probe
  return [
    [
      'write 4 KiB + fdatasync',
      `p50 ${formatMicros(fdatasync.p50)}, p99 ${formatMicros(fdatasync.p99)}`,
    ],
    ['raw write', `${formatBytes(probe.rawWrite)}/s`],
    ['raw read, from the page cache', `${formatBytes(probe.rawRead)}/s`],
    [`CRC-32C alone (${probe.crcKind})`, `${formatBytes(probe.crc)}/s`],
    ['encoder alone, 100 B', `${formatCount(probe.encoder)} records/s`],
  ]
}

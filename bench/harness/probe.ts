/** The machine's own speed, measured before everything else: the head of every report. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'

import { batchHeaderBytes } from '../../lib/record/batch-format.ts'
import { BatchWriter } from '../../lib/record/batch-writer.ts'
import { crc32c, crc32cKind } from '../../lib/record/crc32c.ts'
import { bareLoop, rawRead, rawWrite } from './limits.ts'
import { makeValues, seededBytes } from './payload.ts'
import { metrics } from './targets.ts'
import type { Context, Latency } from './workload.ts'

/** What the disk, the CRC and the encoder can do. */
export interface Probe {
  /** A write of 4 KiB and its fdatasync, in µs. */
  readonly fdatasync: Latency
  /** Bytes a second of 1 MiB writes with an fdatasync alongside every 16 MiB. */
  readonly rawWrite: number
  /** Bytes a second of 1 MiB reads from the page cache. */
  readonly rawRead: number
  /** Bytes a second of CRC-32C alone, over 100 KB at a time. */
  readonly crc: number
  readonly crcKind: string
  /** Records of 100 bytes a second of the encoder alone, into warm memory. */
  readonly encoder: number
}

/** Measures all of it; some seconds, or almost nothing in smoke mode. */
export async function probe(context: Context): Promise<Probe> {
  const file = { bytes: context.pick(1 << 30, 1 << 20), records: 1, warmUpBytes: 0 }
  const written = await rawWrite(context, file)
  const path = join(context.dir, 'raw')
  const read = await rawRead([path], { records: 1, memory: 'reused' })
  rmSync(path)
  const synced = await bareLoop(context.dir, { recordBytes: 4096, records: context.pick(2000, 20) })
  return {
    fdatasync: synced.latency ?? { p50: Number.NaN, p99: Number.NaN, p999: Number.NaN },
    rawWrite: metrics.bytesPerSecond(written),
    rawRead: metrics.bytesPerSecond(read),
    crc: crcRate(context),
    crcKind: crc32cKind(),
    encoder: encoderRate(context),
  }
}

function crcRate(context: Context): number {
  const bytes = seededBytes(100_000, 5)
  let checksum = 0
  return rateOf(
    context.pick(20_000, 20),
    () => {
      checksum ^= crc32c(bytes, 0, bytes.length)
      return bytes.length
    },
    () => checksum,
  )
}

function encoderRate(context: Context): number {
  const records = makeValues(1000, 100).map(value => ({ value }))
  const target = Buffer.alloc(batchHeaderBytes + records.length * 128)
  const writer = new BatchWriter()
  let checksum = 0
  return rateOf(
    context.pick(5000, 5),
    () => {
      writer.begin(target, 0)
      writer.addAll(records, 1_700_000_000_000)
      checksum += writer.finish({ baseOffset: 0, leaderEpoch: 0 })
      return records.length
    },
    () => checksum,
  )
}

/** Units a second of `step`, which returns how many it did; `result` keeps the work from vanishing. */
function rateOf(steps: number, step: () => number, result: () => number): number {
  for (let warmUp = 0; warmUp < steps / 10; warmUp++) step()
  const start = performance.now()
  let units = 0
  for (let index = 0; index < steps; index++) units += step()
  const seconds = (performance.now() - start) / 1000
  return Number.isFinite(result()) ? units / seconds : Number.NaN
}

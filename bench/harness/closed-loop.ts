/**
 * The bare closed loop: callers who hand over bytes, wait until they are synced, and hand over the
 * next, without a log. With an encoder, it is what a log can do at best whose one thread encodes.
 */
import { closeSync } from 'node:fs'

import { diskUsage } from './disk-usage.ts'
import { seededBytes } from './payload.ts'
import { createFile, fdatasyncOf, writeAt } from './raw-files.ts'
import { LatencyRecorder } from './statistics.ts'
import { measureInStints } from './stints.ts'
import type { Context, Outcome } from './workload.ts'

/** The largest single write. */
const largestWriteBytes = 1 << 20

/** So much is encoded in a turn of the event loop, so that the end of a write is heard soon. */
const encodeBytesPerTurn = 256 << 10

/** So many of the largest writes are encoded ahead, in memory that is used again and again. */
const encodedWrites = 4

/** Encodes a call at the position of the target. */
export type EncodeCall = (call: number, target: Buffer, position: number) => void

interface FileLoad {
  readonly calls: number
  readonly inFlight: number
  readonly callBytes: number
  readonly callsPerWrite: number
  /** Places for calls, used in turn. */
  readonly buffer: Buffer
  readonly encode: EncodeCall | undefined
  readonly latencies: LatencyRecorder
}

/**
 * `inFlight` callers who each hand over `callBytes`, wait until they are synced, and hand over the
 * next; one write and one fdatasync of a file are under way at a time, and a caller is answered by the
 * first fdatasync that started after his bytes were written. Callers and calls are shared out evenly
 * over `files` (default 1). With `encode` what is written is what that makes of each call, on the one
 * thread. `warmUpCalls` go before the clock runs.
 */
export async function bareClosedLoop(
  context: Context,
  of: {
    readonly callBytes: number
    readonly calls: number
    readonly warmUpCalls: number
    readonly inFlight: number
    readonly recordsPerCall: number
    readonly files?: number
    readonly encode?: EncodeCall
  },
): Promise<Outcome> {
  const { dir } = context
  const { callBytes, encode, files = 1 } = of
  const calls = Math.ceil(of.calls / files)
  const inFlight = Math.min(calls, Math.ceil(of.inFlight / files))
  const callsPerWrite = Math.min(inFlight, Math.max(1, Math.floor(largestWriteBytes / callBytes)))
  const writes = encode === undefined ? 1 : encodedWrites
  const buffer = seededBytes(writes * callsPerWrite * callBytes, 3)
  const fds = Array.from({ length: files }, (_, index) => createFile(dir, `raw-${index}`))
  const run = async (callsOfFile: number, latencies: LatencyRecorder): Promise<void> => {
    const load = { inFlight, callBytes, callsPerWrite, buffer, encode, latencies }
    await Promise.all(fds.map(fd => loopOn(fd, { ...load, calls: callsOfFile })))
  }
  await run(Math.ceil(of.warmUpCalls / files), new LatencyRecorder(0))
  const usedBytes = diskUsage(dir)
  const latencies = new LatencyRecorder(calls * files)
  const units = { units: calls, unitBytes: callBytes * files }
  const phase = await measureInStints(context, units, own => run(own, latencies))
  for (const fd of fds) closeSync(fd)
  return {
    ...phase,
    records: calls * files * of.recordsPerCall,
    bytes: calls * files * callBytes,
    bytesOnDisk: diskUsage(dir) - usedBytes,
    latency: latencies.summary(),
  }
}

function loopOn(fd: number, of: FileLoad): Promise<void> {
  const { calls, callBytes, callsPerWrite, buffer, encode, latencies } = of
  const inFlight = Math.min(calls, of.inFlight)
  const places = buffer.length / callBytes
  const encodedPerTurn = Math.max(1, Math.floor(encodeBytesPerTurn / callBytes))
  return new Promise((resolve, reject) => {
    const startedAt = new Float64Array(calls).fill(performance.now(), 0, inFlight)
    let submitted = inFlight
    let encoded = encode === undefined ? inFlight : 0
    let written = 0
    let answered = 0
    let isWriting = false
    let isSyncing = false
    let isTurnDue = false
    const turn = (): void => {
      if (answered === calls) resolve()
      if (!isSyncing && answered < written) syncNext()
      if (encode === undefined) encoded = submitted
      else if (encoded < submitted) encodeNext(encode)
      if (!isWriting && written < encoded) writeNext()
    }
    const encodeNext = (encodeCall: EncodeCall): void => {
      if (isTurnDue) return
      const upTo = Math.min(submitted, written + places, encoded + encodedPerTurn)
      if (encoded === upTo) return
      for (; encoded < upTo; encoded++) encodeCall(encoded, buffer, (encoded % places) * callBytes)
      isTurnDue = true
      setImmediate(() => {
        isTurnDue = false
        turn()
      })
    }
    const writeNext = (): void => {
      const place = encode === undefined ? 0 : written % places
      const count = Math.min(encoded - written, callsPerWrite, places - place)
      isWriting = true
      writeAt(fd, buffer.subarray(place * callBytes, (place + count) * callBytes)).then(() => {
        isWriting = false
        written += count
        turn()
      }, reject)
    }
    const syncNext = (): void => {
      const upTo = written
      isSyncing = true
      fdatasyncOf(fd).then(() => {
        isSyncing = false
        const now = performance.now()
        while (answered < upTo) {
          latencies.add(now - (startedAt[answered++] as number))
          if (submitted < calls) startedAt[submitted++] = now
        }
        turn()
      }, reject)
    }
    turn()
  })
}

/**
 * How long the turns of the event loop take. While one lasts, everybody else of the process waits.
 *
 * On a machine that others use, too, the clock on the wall says little: Linux tells how long the
 * thread was on a processor, and what other processes took is none of that. What the host of a virtual
 * machine takes away is.
 */
import { closeSync, openSync, readSync } from 'node:fs'
import { createHistogram } from 'node:perf_hooks'

/** Turns of the event loop, in milliseconds. */
export interface TurnFigures {
  readonly count: number
  readonly longestMs: number
  readonly p999Ms: number
  /** Time on the processor; null where the system does not tell. */
  readonly longestCpuMs: number | null
  readonly p999CpuMs: number | null
}

/** Measures every turn, and keeps the loop from ever sleeping, until what it returns is called. */
export function watchTurns(): () => TurnFigures {
  const cpuTime = threadCpuTime()
  const walls = createHistogram()
  const cpus = createHistogram()
  let isOver = false
  let startMs = performance.now()
  let startCpuMs = cpuTime?.nowMs() ?? 0
  const note = (): void => {
    if (isOver) return
    const nowMs = performance.now()
    const nowCpuMs = cpuTime?.nowMs() ?? 0
    walls.record(nanoseconds(nowMs - startMs))
    cpus.record(nanoseconds(nowCpuMs - startCpuMs))
    startMs = nowMs
    startCpuMs = nowCpuMs
    setImmediate(note)
  }
  setImmediate(note)
  return () => {
    isOver = true
    cpuTime?.close()
    const isKnown = cpuTime !== null
    return {
      count: walls.count,
      longestMs: walls.max / 1e6,
      p999Ms: walls.percentile(99.9) / 1e6,
      longestCpuMs: isKnown ? cpus.max / 1e6 : null,
      p999CpuMs: isKnown ? cpus.percentile(99.9) / 1e6 : null,
    }
  }
}

/** Counts the turns of the event loop that begin; what it returns ends that, and tells how many there were. */
export function countTurns(): () => number {
  let turns = 0
  let isOver = false
  const count = (): void => {
    turns++
    if (!isOver) setImmediate(count)
  }
  setImmediate(count)
  return () => {
    isOver = true
    return turns
  }
}

/** What a histogram takes: whole numbers from 1 up. */
function nanoseconds(ms: number): number {
  return Math.max(1, Math.round(ms * 1e6))
}

/** The time that this thread has been on a processor; null when nobody tells. */
function threadCpuTime(): { nowMs(): number; close(): void } | null {
  let fd: number
  try {
    fd = openSync('/proc/thread-self/schedstat', 'r')
  } catch {
    return null
  }
  const text = Buffer.alloc(64)
  return {
    nowMs() {
      // Without this the kernel answers as of its last tick, up to 4 ms ago.
      process.cpuUsage()
      const size = readSync(fd, text, 0, text.length, 0)
      return Number.parseInt(text.toString('latin1', 0, size), 10) / 1e6
    },
    close: () => closeSync(fd),
  }
}

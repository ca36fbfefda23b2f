/** Time, processor time, memory and event-loop delay of one piece of work. */
import { readFileSync, writeFileSync } from 'node:fs'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'

import type { Phase } from './workload.ts'

const loopSampleMs = 2

/**
 * Runs `work` and tells what it took; what was set up before does not count. Nothing is collected first:
 * V8 sets its limits by what a collection has left, so that behind a forced one it collects again for
 * every 32 MB of buffers, and a loop that reads into fresh memory makes 0.5 to 2 GB/s instead of 4.
 */
export async function measure<T>(work: () => Promise<T>): Promise<{ phase: Phase; value: T }> {
  resetPeakRss()
  const loop = monitorEventLoopDelay({ resolution: loopSampleMs })
  loop.enable()
  // Its first turn only sets its clock: work that blocks from the start would leave no sample.
  await delay(2 * loopSampleMs)
  const cpu = process.cpuUsage()
  const start = performance.now()
  const value = await work()
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  const peakRssBytes = peakRss()
  // Work that never let a timer through has left no sample yet: its one delay comes now.
  await delay(2 * loopSampleMs)
  loop.disable()
  return {
    phase: {
      seconds,
      cpuSeconds: (user + system) / 1e6,
      loopDelayP99Ms: loop.count === 0 ? 0 : Math.max(0, loop.percentile(99) / 1e6 - loopSampleMs),
      peakRssBytes,
    },
    value,
  }
}

/** Linux counts the peak anew after this; elsewhere the peak of the process's whole life is told. */
function resetPeakRss(): void {
  try {
    writeFileSync('/proc/self/clear_refs', '5')
  } catch {
    // Not Linux, or not allowed here.
  }
}

function peakRss(): number {
  try {
    const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]
    if (kibibytes !== undefined) return Number(kibibytes) * 1024
  } catch {
    // Not Linux.
  }
  return process.resourceUsage().maxRSS * 1024
}

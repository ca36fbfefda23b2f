/**
 * Latencies of two ways to do the same, in one process and in short blocks by turns: a disk whose
 * fdatasync takes 200 µs in one second and 280 in the next is the same disk for both.
 */
import { measure } from './measure.ts'
import { LatencyRecorder } from './statistics.ts'
import type { Latency, Phase } from './workload.ts'

/** What the calls of one way took; the event loop and the memory are those of the process. */
export interface Alternated extends Phase {
  readonly calls: number
  readonly latency: Latency
}

/** Calls of a block; its first few are not counted. */
const blockCalls = 200
const uncountedCalls = 20

/** Calls the ways by turns, `calls` counted ones each after `warmUpCalls`, one call after another. */
export async function alternate<Name extends string>(
  ways: Readonly<Record<Name, () => Promise<unknown>>>,
  of: { readonly calls: number; readonly warmUpCalls: number },
): Promise<Readonly<Record<Name, Alternated>>> {
  const runs = (Object.entries(ways) as [Name, () => Promise<unknown>][]).map(([name, call]) => ({
    name,
    call,
    latencies: new LatencyRecorder(of.calls),
    totalMs: 0,
    cpuSeconds: 0,
  }))
  for (const { call } of runs) {
    for (let index = 0; index < of.warmUpCalls; index++) await call()
  }
  const { phase } = await measure(async () => {
    for (let done = 0; done < of.calls; done += blockCalls) {
      const counted = Math.min(blockCalls, of.calls - done)
      for (const run of runs) {
        for (let index = 0; index < uncountedCalls; index++) await run.call()
        const cpu = process.cpuUsage()
        for (let index = 0; index < counted; index++) {
          const start = performance.now()
          await run.call()
          const tookMs = performance.now() - start
          run.latencies.add(tookMs)
          run.totalMs += tookMs
        }
        const { user, system } = process.cpuUsage(cpu)
        run.cpuSeconds += (user + system) / 1e6
      }
    }
  })
  const outcomes = runs.map(({ name, latencies, totalMs, cpuSeconds }) => [
    name,
    {
      ...phase,
      seconds: totalMs / 1000,
      cpuSeconds,
      calls: of.calls,
      latency: latencies.summary(),
    },
  ])
  return Object.fromEntries(outcomes) as Record<Name, Alternated>
}

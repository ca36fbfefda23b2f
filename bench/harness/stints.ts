/**
 * Work that writes gigabytes, in stints for each of which the page cache has memory at hand
 * (page-cache.ts). That lasts a second: without stints a side that is a little slower than another comes to
 * the slow memory earlier, and 0.9 of its rate becomes 0.6.
 */
import { measure } from './measure.ts'
import { touchPageCache } from './page-cache.ts'
import { median } from './statistics.ts'
import type { Context, Phase } from './workload.ts'

/** Written in less than a second at the rates that are seen; where memory is missed, it is little of the whole. */
const stintBytes = 256 * 2 ** 20

interface Stint extends Phase {
  readonly units: number
}

/**
 * `work` does so many of the `units`, which write `unitBytes` each; only the time inside of it counts. Time
 * and processor time of a unit are those of the median stint: one that came to slow memory all the same
 * takes five times as long. Event-loop delay and peak memory are the worst stint's.
 */
export async function measureInStints(
  context: Context,
  of: { readonly units: number; readonly unitBytes: number },
  work: (units: number) => Promise<void>,
): Promise<Phase> {
  const { units, unitBytes } = of
  const stints = Math.max(1, Math.round((units * unitBytes) / stintBytes))
  const unitsPerStint = Math.ceil(units / stints)
  const stintsDone: Stint[] = []
  for (let left = units; left > 0; left -= unitsPerStint) {
    const own = Math.min(left, unitsPerStint)
    if (!context.isSmoke) await touchPageCache(context.dir, own * unitBytes)
    const { phase } = await measure(() => work(own))
    stintsDone.push({ ...phase, units: own })
  }
  const perUnit = (of: (stint: Stint) => number): number =>
    median(stintsDone.map(stint => of(stint) / stint.units))
  return {
    seconds: units * perUnit(({ seconds }) => seconds),
    cpuSeconds: units * perUnit(({ cpuSeconds }) => cpuSeconds),
    loopDelayP99Ms: Math.max(...stintsDone.map(({ loopDelayP99Ms }) => loopDelayP99Ms)),
    peakRssBytes: Math.max(...stintsDone.map(({ peakRssBytes }) => peakRssBytes)),
  }
}

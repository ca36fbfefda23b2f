/** The command line of the suite. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** What was asked for. */
export interface RunOptions {
  readonly isSmoke: boolean
  readonly withPeers: boolean
  readonly isProfiling: boolean
  /** Workloads whose names start with one of these; all where there is none. */
  readonly only: readonly string[]
  readonly rounds: number
  /** Where the reports go. */
  readonly outDir: string
  /** Where the data goes: the disk that is measured. */
  readonly dataDir: string
}

/** How to call it. */
export const usage = `npm run bench -- [options]

  --only NAME    workloads whose name starts so; may be repeated (micro: the micro-benchmarks)
  --peers        with the other stores (npm run bench:peers installs them)
  --rounds N     rounds of each workload (5)
  --dir DIR      where the data goes; its disk is what is measured (bench/results)
  --out DIR      where results.json, report.html and table.md go (bench/results)
  --profile      processor profiles of varve's sides, with the hottest functions
  --smoke        everything tiny: does it work? The figures mean nothing (also BENCH_SMOKE=1)`

/** @throws {TypeError} when an option is unknown or has no sense. */
export function parseOptions(args: readonly string[], benchDir: string): RunOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      smoke: { type: 'boolean', default: process.env['BENCH_SMOKE'] === '1' },
      peers: { type: 'boolean', default: false },
      profile: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      rounds: { type: 'string' },
      dir: { type: 'string' },
      out: { type: 'string' },
    },
  })
  const rounds = Number(values.rounds ?? (values.smoke ? 1 : 5))
  if (!Number.isInteger(rounds) || rounds < 1) {
    throw new TypeError(`expected --rounds to be an integer from 1 up, got ${values.rounds}`)
  }
  const results = join(benchDir, 'results')
  return {
    isSmoke: values.smoke,
    withPeers: values.peers,
    isProfiling: values.profile,
    only: values.only,
    rounds,
    outDir: resolve(values.out ?? (values.smoke ? join(results, 'smoke') : results)),
    dataDir: resolve(values.dir ?? results),
  }
}

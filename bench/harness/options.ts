/** The command line of the suite. */
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'

/** An option that is unknown or has no sense: told without a stack. */
export class OptionError extends Error {
  override readonly name = 'OptionError'
}

/** What was asked for. */
export interface RunOptions {
  readonly isSmoke: boolean
  readonly withPeers: boolean
  readonly isProfiling: boolean
  /** Workloads, and `micro/` files, whose names start with one of these; all where there is none. */
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
  --smoke        everything tiny: does it work? The figures mean nothing (also BENCH_SMOKE=1)
  --help         this`

const mostRounds = 1000

/**
 * `names`: what `--only` can choose from.
 *
 * @throws {OptionError} when an option is unknown or has no sense.
 */
export function parseOptions(
  args: readonly string[],
  of: { readonly benchDir: string; readonly names: readonly string[] },
): RunOptions {
  const values = valuesOf(args)
  const rounds = Number(values.rounds ?? (values.smoke ? 1 : 5))
  if (!Number.isInteger(rounds) || rounds < 1 || rounds > mostRounds) {
    throw new OptionError(
      `expected --rounds to be an integer from 1 to ${mostRounds}, got '${values.rounds}'`,
    )
  }
  for (const start of values.only) {
    if (start === '' || !of.names.some(name => name.startsWith(start))) {
      throw new OptionError(
        `no workload's name starts with '${start}', there are: ${of.names.join(', ')}`,
      )
    }
  }
  if (values.dir === '' || values.out === '') {
    throw new OptionError('expected --dir and --out to name a directory, got nothing')
  }
  if (values.profile && values.smoke) {
    throw new OptionError('a profile of a smoke run would tell nothing: leave one of them out')
  }
  const results = join(of.benchDir, 'results')
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

interface Values {
  readonly smoke: boolean
  readonly peers: boolean
  readonly profile: boolean
  readonly only: string[]
  readonly rounds?: string
  readonly dir?: string
  readonly out?: string
}

function valuesOf(args: readonly string[]): Values {
  try {
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
    return values
  } catch (error) {
    throw new OptionError(error instanceof Error ? error.message : String(error))
  }
}

/** What `npm start` understands on its command line. */
import { parseArgs } from 'node:util'

/** The text of `--help`. */
export const usage = `Publishes every line of some files to a topic, durably, reads it all back and verifies it.

  npm start                               text that is already here: this project and its packages
  npm start -- access.log error.log       these files
  cat big.log | npm start -- -            standard input

  --dir DIR         the log's directory; what is there stays, the lines go behind it
                    (default .varve-demo, whose last run is deleted first)
  --keep            do not delete the last run, in .varve-demo either
  --topic NAME      the topic (default lines)
  --partitions N    partitions of a new topic (default 4)
  --help            this text

Every line is one record: its bytes as they are, without the newline. Exit codes: 0 verified,
1 failed, 2 wrong arguments or input, 130 interrupted.
`

/** The checked command line. */
export interface StartArguments {
  readonly files: readonly string[]
  readonly dir: string
  /** Null: as many as the topic has, four for a new one. */
  readonly partitions: number | null
  readonly topic: string
  /** Leave what an earlier run published. */
  readonly keep: boolean
  readonly help: boolean
}

/** The command line or the input is wrong, in words for the person who gave it; exit code 2. */
export class UsageError extends Error {}

/**
 * Reads the arguments behind the program's name.
 *
 * @throws {UsageError} when they are not what `usage` says
 */
export function parseArguments(args: readonly string[]): StartArguments {
  const { values, positionals } = parsed(args)
  return {
    files: positionals,
    dir: values.dir ?? '.varve-demo',
    partitions: values.partitions === undefined ? null : partitionCount(values.partitions),
    topic: values.topic ?? 'lines',
    keep: values.keep === true || values.dir !== undefined,
    help: values.help === true,
  }
}

function parsed(args: readonly string[]): {
  values: { dir?: string; partitions?: string; topic?: string; keep?: boolean; help?: boolean }
  positionals: string[]
} {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        dir: { type: 'string' },
        partitions: { type: 'string' },
        topic: { type: 'string' },
        keep: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function partitionCount(text: string): number {
  const count = Number(text)
  if (Number.isInteger(count) && count >= 1 && count <= 1000) return count
  throw new UsageError(`expected --partitions to be an integer from 1 to 1000, got ${text}`)
}

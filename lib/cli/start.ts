/** `npm start`: the main job on real input; `arguments.ts` has the usage. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { InvalidTopicError, LogError } from '../errors.ts'
import { openLog } from '../open.ts'
import type { Log, Topic } from '../types.ts'
import { parseArguments, type StartArguments, UsageError, usage } from './arguments.ts'
import { type Input, namedInputs, textFilesBelow } from './inputs.ts'
import { roundTrip } from './round-trip.ts'
import { summary } from './summary.ts'
import { counted, hasColors } from './table.ts'

const defaultPartitions = 4

/** The project, or the package, that this file belongs to. */
const root = join(fileURLToPath(import.meta.url), '..', '..', '..')

/** Somebody asked the program to stop; the exit code is the shell's for that signal. */
class Interruption extends Error {
  readonly exitCode: number

  constructor(exitCode: number) {
    super('interrupted')
    this.exitCode = exitCode
  }
}

async function main(): Promise<number> {
  const interruption = new AbortController()
  // Once: who asks twice does not want to wait for a clean end.
  process.once('SIGINT', () => interruption.abort(new Interruption(130)))
  process.once('SIGTERM', () => interruption.abort(new Interruption(143)))
  try {
    const given = parseArguments(process.argv.slice(2))
    if (given.help) {
      process.stdout.write(usage)
      return 0
    }
    const inputs = given.files.length > 0 ? namedInputs(given.files) : textFilesBelow(root)
    return await run(given, inputs, interruption.signal)
  } catch (error) {
    return report(error)
  }
}

async function run(
  given: StartArguments,
  inputs: readonly Input[],
  signal: AbortSignal,
): Promise<number> {
  const log = await openLog(given.dir, { signal })
  try {
    if (!log.recovery.clean) process.stderr.write('recovered from a run that was cut short\n')
    const topic = await topicFor(log, given)
    try {
      const trip = await roundTrip({ topic, inputs, signal, progress: process.stderr })
      const colors = hasColors(process.stdout)
      process.stdout.write(await summary({ log, topic: topic.name, inputs, trip, colors }))
      return trip.differences.length === 0 ? 0 : 1
    } catch (error) {
      process.stderr.write(`${whatStays(log, topic)}\n`)
      throw error
    }
  } finally {
    await log.close()
  }
}

async function topicFor(
  log: Log,
  { topic: name, partitions, keep }: StartArguments,
): Promise<Topic> {
  const exists = (await log.topics()).includes(name)
  if (exists && !keep) await log.deleteTopic(name)
  if (exists && keep) return await log.topic(name, { partitions: partitions ?? undefined })
  return await log.createTopic(name, { partitions: partitions ?? defaultPartitions })
}

function whatStays(log: Log, topic: Topic): string {
  const records = topic.partitions.reduce(
    (sum, { logStartOffset, highWatermark }) => sum + highWatermark - logStartOffset,
    0,
  )
  return `topic ${topic.name} in ${log.dir} holds ${counted(records, 'record')}, all durable`
}

/** Says what went wrong, with a stack only where it is this program's fault, and gives the exit code. */
function report(error: unknown): number {
  const isForeseen =
    error instanceof UsageError || error instanceof Interruption || error instanceof LogError
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`${isForeseen ? error.message : stack}\n`)
  if (error instanceof Interruption) return error.exitCode
  return error instanceof UsageError || error instanceof InvalidTopicError ? 2 : 1
}

main().then(
  code => {
    process.exitCode = code
    // An input that nobody ends, a terminal say, would keep a run that has failed alive.
    if (code !== 0) process.exit()
  },
  error => {
    process.stderr.write(`${String(error)}\n`)
    process.exit(1)
  },
)

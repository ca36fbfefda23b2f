/** `log.verify()`: one partition after the other, at a bounded rate, beside everything else. */
import { checkBoolean, checkFunction, checkOptions, checkSignal, integer } from '../checks.ts'
import { ClosedError, UnknownTopicOrPartitionError } from '../errors.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import {
  type PartitionFindings,
  seenTwice,
  type VerifiablePartition,
  verifyPartition,
} from '../storage/verify-partition.ts'
import { WorkPace } from '../storage/work-pace.ts'
import type {
  Finding,
  KnownGap,
  PartitionVerification,
  VerifyOptions,
  VerifyReport,
} from '../verification.ts'
import { asStorageError } from './directory-layout.ts'
import {
  lookAtDirectory,
  type VerifiableTopic,
  type VerifiedDirectory,
} from './verify-directory.ts'

/** Half of what a common disk of a small machine reads, so that the other half is left. */
const defaultBytesPerSecond = 64 * 1024 * 1024

/** The log that is verified. */
export interface VerifiableLog extends VerifiedDirectory {
  readonly environment: StorageEnvironment
  isOpen(): boolean
  topics(): readonly VerifiableTopic[]
}

/** What was found, with the partitions that it was found in. */
export interface VerifiedLog {
  readonly report: VerifyReport
  readonly partitions: readonly {
    readonly partition: VerifiablePartition
    readonly found: PartitionFindings
  }[]
}

/** Throws for options of the wrong type or range. `owner` is the call that they were given to. */
export function checkVerifyOptions(owner: string, options: VerifyOptions): void {
  checkOptions(owner, options, {
    checks: {
      topic: (name, value) => {
        if (typeof value !== 'string') throw new TypeError(`expected \`${name}\` to be a string`)
      },
      deep: checkBoolean,
      maxBytesPerSecond: integer({ from: 1, orNoLimit: true }),
      signal: checkSignal,
      onProgress: checkFunction,
    },
  })
}

/**
 * Verifies the log, or one topic of it. Options are checked already.
 *
 * @throws {UnknownTopicOrPartitionError} when there is no such topic
 * @throws {ClosedError} when the log is closed meanwhile
 * @throws {CodecMissingError} when records are to be decoded and the package of their codec is not there
 * @throws {StorageError} when a file cannot be read
 */
export async function verifyLog(log: VerifiableLog, options: VerifyOptions): Promise<VerifiedLog> {
  const { clock } = log.environment
  const startMs = clock.monotonicMs()
  const { deep = false, maxBytesPerSecond = defaultBytesPerSecond, signal = null } = options
  const pace = new WorkPace(clock, { maxBytesPerSecond, signal })
  signal?.throwIfAborted()
  log.refresh()
  const topics = chosenTopics(log, options.topic)
  const total = new Progress(log, topics, options)
  const findings: Finding[] = [...(await lookTwice(log, topics, pace))]
  const partitions: { partition: VerifiablePartition; found: PartitionFindings }[] = []
  for (const topic of topics) {
    for (const partition of topic.partitions) {
      const isGone = (): boolean => !log.topics().includes(topic)
      const onChecked = total.of(partition)
      try {
        const request = { deep, pace, onChecked }
        const found = await verifyPartition(log.environment, partition, request)
        if (isGone()) break
        partitions.push({ partition, found })
        findings.push(...found.findings)
      } catch (error) {
        // A topic that was deleted meanwhile has nothing more to be wrong.
        if (!log.isOpen()) throw new ClosedError()
        if (!isGone()) throw asStorageError(error, partition.dir, 'verify')
        break
      }
    }
  }
  const report = {
    ok: findings.length === 0,
    deep,
    durationMs: clock.monotonicMs() - startMs,
    partitions: partitions.map(summaryOf),
    findings,
    gaps: knownGaps(topics),
  }
  return { report, partitions }
}

/** The gaps on record in these topics. */
export function knownGaps(topics: readonly VerifiableTopic[]): readonly KnownGap[] {
  return topics.flatMap(topic =>
    topic.partitions.flatMap(({ identity, damage }) =>
      damage
        .filter(it => it.isSettled === true)
        .map(({ from, to, path, position }) => ({ ...identity, from, to, path, position })),
    ),
  )
}

function chosenTopics(log: VerifiableLog, name: string | undefined): readonly VerifiableTopic[] {
  if (name === undefined) return log.topics()
  const topic = log.topics().find(it => it.name === name)
  if (topic === undefined) throw new UnknownTopicOrPartitionError(name)
  return [topic]
}

async function lookTwice(
  log: VerifiableLog,
  topics: readonly VerifiableTopic[],
  pace: WorkPace,
): Promise<readonly Finding[]> {
  const first = await lookAtDirectory(log, topics, pace)
  if (first.length === 0) return first
  await pace.spent(1)
  return seenTwice(first, await lookAtDirectory(log, topics, pace))
}

function summaryOf(of: VerifiedLog['partitions'][number]): PartitionVerification {
  const { from, to, segments, bytes, batches, records, findings } = of.found
  const { topic, partition } = of.partition.identity
  const counts = { segments, bytes, batches, records, findings: findings.length }
  return { topic, partition, from, to, ...counts }
}

/** Adds up what was read, and notices when the log was closed. */
class Progress {
  readonly #log: VerifiableLog
  readonly #onProgress: VerifyOptions['onProgress']
  readonly #totalBytes: number
  #checkedBytes = 0

  constructor(log: VerifiableLog, topics: readonly VerifiableTopic[], options: VerifyOptions) {
    this.#log = log
    this.#onProgress = options.onProgress
    let totalBytes = 0
    for (const { partitions } of topics) {
      for (const partition of partitions) totalBytes += partition.sizeBytes
    }
    this.#totalBytes = totalBytes
  }

  of({ identity }: VerifiablePartition): (bytes: number) => void {
    return bytes => {
      if (!this.#log.isOpen()) throw new ClosedError()
      this.#checkedBytes += bytes
      // What is found is read twice, and there may be more by now.
      const totalBytes = Math.max(this.#totalBytes, this.#checkedBytes)
      this.#onProgress?.({ ...identity, checkedBytes: this.#checkedBytes, totalBytes })
    }
  }
}

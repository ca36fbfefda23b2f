/** `log.repair()`: verify, put right what was found, verify that again. */
import { ClosedError } from '../errors.ts'
import { type RepairablePartition, repairPartition } from '../storage/repair-partition.ts'
import { WorkPace } from '../storage/work-pace.ts'
import type { PartitionState } from '../types.ts'
import type { Finding, RepairOptions, RepairReport } from '../verification.ts'
import { makePartitionDirectory, storageWait } from './directory-layout.ts'
import { lookAtDirectory, type VerifiableTopic } from './verify-directory.ts'
import { knownGaps, type VerifiableLog, type VerifiedLog, verifyLog } from './verify-log.ts'

/** A topic of the log that this process writes. */
export interface RepairableTopic extends VerifiableTopic {
  readonly partitions: readonly (RepairablePartition & { readonly state: PartitionState })[]
}

/** The log that is repaired. */
export interface RepairableLog extends VerifiableLog {
  topics(): readonly RepairableTopic[]
  /** Writes the catalog as it is known. */
  rewriteCatalog(): Promise<void>
  /** Writes every checkpoint anew. */
  rewriteCheckpoints(): Promise<void>
}

/**
 * Repairs the log, or one topic of it. Options are checked already.
 *
 * @throws {LogError} what verifying throws, and `StorageError` when a file cannot be written
 */
export async function repairLog(log: RepairableLog, options: RepairOptions): Promise<RepairReport> {
  const { clock } = log.environment
  const startMs = clock.monotonicMs()
  const first = await verifyLog(log, options)
  let damagedBytes = 0
  let quarantinedBytes = 0
  await repairDirectory(log, first.report.findings)
  const pace = new WorkPace(clock, { maxBytesPerSecond: -1, signal: options.signal ?? null })
  for (const { partition, found } of first.partitions) {
    if (found.findings.length === 0) continue
    const own = partitionOf(log, partition)
    if (own === null) continue
    await pace.spent(0)
    if (!log.isOpen()) throw new ClosedError()
    const bytes = await storageWait(own.dir, 'repair', () =>
      repairPartition(log.environment, own, { found, pace }),
    )
    damagedBytes += bytes.damagedBytes
    quarantinedBytes += bytes.quarantinedBytes
  }
  const left = await lookAgain(log, first, options)
  const isLeft = (finding: Finding): boolean =>
    left.some(
      it =>
        it.type === finding.type &&
        it.path === finding.path &&
        (it.type !== 'damage' || it.from === finding.from),
    )
  return {
    ok: left.length === 0,
    durationMs: clock.monotonicMs() - startMs,
    repaired: first.report.findings.filter(finding => !isLeft(finding)),
    left,
    gaps: knownGaps(log.topics().filter(topic => isChosen(topic, options))),
    damagedBytes,
    quarantinedBytes,
  }
}

function isChosen(topic: VerifiableTopic, options: RepairOptions): boolean {
  return options.topic === undefined || options.topic === topic.name
}

/** The partition, if it is still there and its files may be written. */
function partitionOf(
  log: RepairableLog,
  partition: VerifiedLog['partitions'][number]['partition'],
): RepairablePartition | null {
  const all = log.topics().flatMap(topic => topic.partitions)
  const own = all.find(it => it === partition)
  return own === undefined || own.state === 'failed' ? null : own
}

/** The files of the log directory, from what this process knows; it read them when it opened the log. */
async function repairDirectory(log: RepairableLog, findings: readonly Finding[]): Promise<void> {
  const has = (type: Finding['type']): boolean => findings.some(finding => finding.type === type)
  if (has('catalog')) await log.rewriteCatalog()
  if (has('checkpoint')) await log.rewriteCheckpoints()
  for (const finding of findings) {
    if (finding.type !== 'metadata') continue
    const topic = log.topics().find(it => it.name === finding.topic)
    const partition = topic?.partitions.find(it => it.identity.partition === finding.partition)
    if (topic === undefined || partition === undefined) continue
    await makePartitionDirectory(log.files, partition.dir, topic.id)
  }
}

/** What is left of the findings: the topics that had some are verified once more. */
async function lookAgain(
  log: RepairableLog,
  { report }: VerifiedLog,
  options: RepairOptions,
): Promise<readonly Finding[]> {
  if (report.ok) return []
  const names = new Set(report.findings.map(finding => finding.topic))
  const pace = new WorkPace(log.environment.clock, { maxBytesPerSecond: -1 })
  const left: Finding[] = [...(await lookAtDirectory(log, [], pace))]
  for (const topic of log.topics()) {
    if (!names.has(topic.name)) continue
    const again = await verifyLog(log, { ...options, topic: topic.name })
    left.push(...again.report.findings.filter(finding => finding.topic !== null))
  }
  return left
}

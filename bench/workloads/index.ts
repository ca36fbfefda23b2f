/** All workloads, in the order in which they run and are reported. */
import type { Workload } from '../harness/workload.ts'
import { appendAwaited } from './append-awaited.ts'
import { appendBatches } from './append-batches.ts'
import { appendCallers } from './append-callers.ts'
import { appendCurve } from './append-curve.ts'
import { appendLarge } from './append-large.ts'
import { appendPartitions } from './append-partitions.ts'
import { appendUnawaited } from './append-unawaited.ts'
import { compaction } from './compaction.ts'
import { compression } from './compression.ts'
import { endToEndLatency } from './end-to-end.ts'
import { groupCommits } from './group-commits.ts'
import { groupReaders } from './group-readers.ts'
import { groupRebalance } from './group-rebalance.ts'
import { groupRun } from './group-run.ts'
import { growthRates } from './growth.ts'
import { idlePartitions } from './idle-partitions.ts'
import { openMany } from './open.ts'
import { readBatches } from './read-batches.ts'
import { readRandom } from './read-random.ts'
import { readRaw } from './read-raw.ts'
import { readValues } from './read-values.ts'

/** Every workload of the suite. */
export const workloads: readonly Workload[] = [
  appendBatches,
  appendCurve,
  appendPartitions,
  appendLarge,
  appendAwaited,
  appendCallers,
  appendUnawaited,
  readBatches,
  readValues,
  readRaw,
  readRandom,
  endToEndLatency,
  openMany,
  groupReaders,
  groupRun,
  groupCommits,
  groupRebalance,
  idlePartitions,
  compression,
  compaction,
  growthRates,
]

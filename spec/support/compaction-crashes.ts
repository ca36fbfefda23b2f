/** A partition of small segments whose compaction is cut short, and what must hold of it whatever happened. */
import assert from 'node:assert/strict'

import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import {
  assertCompacted,
  assertGapless,
  assertUnlisted,
  compact,
  type KnownRecord,
  readRecords,
  swapNames,
  wholePartition,
} from './compaction.ts'
import { durable, openPartition, type TestPartition } from './open-partition.ts'
import { SeededRandom } from './random.ts'

/** Segments of a few records each. */
export const smallSegments = { segmentBytes: 700, indexIntervalBytes: 100 }

/** A partition that may be compacted, and what was appended to it. */
export interface Prepared {
  readonly files: FaultyFiles
  readonly opened: TestPartition
  readonly appended: readonly KnownRecord[]
}

/** Five small segments and an empty one, with tombstones of which some have come of age. */
export async function prepare(seed: number): Promise<Prepared> {
  const files = faultyFiles({ seed })
  const random = new SeededRandom(seed)
  const opened = await openPartition({ files: files.currentProcess(), config: smallSegments })
  const appended: KnownRecord[] = []
  const { partition, clock } = opened
  const append = async (count: number): Promise<void> => {
    for (let left = count; left > 0; left--) {
      const key = random.chance(0.1) ? null : `k${random.below(6)}`
      const value = key !== null && random.chance(0.2) ? null : `v${left}${'.'.repeat(40)}`
      const result = await partition.append({ key, value }, durable)
      appended.push({ offset: result.baseOffset, key, value, timestamp: result.timestamp })
    }
  }
  await append(12)
  await compact(partition)
  await append(14)
  await partition.roll()
  clock.advance(5000)
  await files.syncDirectory('.')
  return { files, opened, appended }
}

/** Compacts without rolling first: every call that is counted is the compaction's. */
export async function run({ opened }: Prepared): Promise<Error | null> {
  const signal = new AbortController().signal
  return opened.partition.compact(wholePartition, signal).then(
    () => null,
    (error: Error) => error,
  )
}

/** What a crash left is opened: all that must be there is, and the next compaction does what is left. */
export async function reopenAndCheck(prepared: Prepared, context: string): Promise<void> {
  const { files, appended } = prepared
  assertUnlisted(files, 'p-0', context)
  const reopened = await openPartition({
    files: files.currentProcess(),
    config: smallSegments,
    recoveryPoint: appended.length,
    logStart: 0,
  })
  const { partition } = reopened
  assert.equal(partition.state, 'ok', context)
  assert.equal(partition.logEndOffset, appended.length, context)
  assertCompacted(await readRecords(partition), appended, context)
  assert.deepEqual(swapNames(files, reopened.dir), [], context)
  assertGapless(files, reopened.dir, context)
  const { skipped } = await compact(partition)
  assert.equal(skipped, null, context)
  assertCompacted(await readRecords(partition), appended, context)
  await partition.close()
}

/** What a failure is told with. */
export function contextOf({ files }: Prepared, call: number): string {
  return `call ${call}, seed ${files.seed}\n${files.trace.join('\n')}`
}

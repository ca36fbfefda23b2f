/**
 * What a partition is in memory as long as it is neither written nor read: its offsets, its segments,
 * its epochs and its producers.
 */
import type { PartitionListener, StorageEnvironment } from './environment.ts'
import { PartitionOffsets } from './partition-offsets.ts'
import type { PipelineParts } from './pipeline-host.ts'
import type { ProducerState } from './producer-state.ts'
import type { RecoveredPartition } from './recovered-partition.ts'
import { SegmentSet } from './segment-set.ts'

/** The epoch under which a partition is written, and whether that is durable already. */
export interface WritingEpoch {
  readonly leaderEpoch: number
  readonly isEpochSaved: boolean
}

/** Replaced as a whole by recovery. */
export interface PartitionParts extends PipelineParts {
  readonly producers: ProducerState
}

/** Makes the parts from what opening or recovery found. */
export function partsOf(
  recovered: RecoveredPartition,
  of: {
    readonly environment: StorageEnvironment
    readonly dir: string
    readonly listener: PartitionListener
    readonly epoch: WritingEpoch
  },
): PartitionParts {
  const { sealed, active, damage, remembered, logStartOffset, logEndOffset } = recovered
  const segments = new SegmentSet(of.environment, of.dir, {
    sealed,
    active,
    damage: [...remembered, ...damage],
    hasNewDamage: damage.length > 0,
    logStartOffset,
    isListed: recovered.isListed,
    listener: of.listener,
  })
  return {
    offsets: new PartitionOffsets(logStartOffset, logEndOffset),
    segments,
    epochs: recovered.epochs,
    leaderEpoch: of.epoch.leaderEpoch,
    isEpochSaved: of.epoch.isEpochSaved,
    lastAppendMs: recovered.lastAppendMs,
    producers: recovered.producers,
  }
}

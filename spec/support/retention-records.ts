/** Records as a model of what may be lost knows them, and the rules by which they go. */

/** The part of a topic's configuration by which records go. -1: no limit. */
export interface LossRules {
  readonly cleanupPolicy: 'delete' | 'compact' | 'compact,delete'
  readonly retentionMs: number
  readonly retentionBytes: number
  readonly retentionRecords: number
  readonly retentionBy: 'append' | 'record'
  readonly retainUntilConsumed: readonly string[]
  readonly deleteRetentionMs: number
}

/** Rules that are, or may be, in force. */
export interface PossibleRules {
  readonly configs: readonly LossRules[]
  /** Some policy since the topic was created contained `compact`. */
  readonly wasCompacted: boolean
  /** The shortest `deleteRetentionMs` since then. */
  readonly leastDeleteRetentionMs: number
}

/** A record to come. `value` null: a tombstone. */
export interface NewRecord {
  readonly id: string
  readonly key: string
  readonly value: string | null
  /** Null: the log's own time. */
  readonly timestamp: number | null
}

/** A record that was read. */
export interface FoundRecord {
  readonly offset: number
  readonly id: string
  readonly key: string
  readonly value: string | null
  readonly timestamp: number
}

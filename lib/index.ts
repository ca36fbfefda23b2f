/// <reference types="node" preserve="true" />
/**
 * The public face of the package: adding a name here is a minor version, removing one a major. What
 * is not listed here, or in `testing/index.ts`, may change at any time.
 */
export type { Clock, Timer } from './clock.ts'
export type { CompactionReport, CompactionSkip, PartitionCompaction } from './compaction.ts'
export type {
  AppendOutcome,
  CorruptReason,
  DiskFullReason,
  LockHolder,
  LogErrorCode,
} from './errors.ts'
export {
  ClosedError,
  CodecMissingError,
  CorruptRecordError,
  DeserializationError,
  DiskFullError,
  InvalidProducerEpochError,
  InvalidRecordError,
  InvalidTimestampError,
  InvalidTopicError,
  LockedError,
  LogError,
  NotALogError,
  OffsetMismatchError,
  OffsetOutOfRangeError,
  OutOfOrderSequenceError,
  PolicyViolationError,
  QueueFullError,
  ReadOnlyError,
  RecordBatchTooLargeError,
  RecordTooLargeError,
  StorageError,
  TopicExistsError,
  TopicMismatchError,
  UnknownTopicOrPartitionError,
  UnsupportedFormatError,
} from './errors.ts'
export type { LogEvent } from './events.ts'
export type {
  DirectoryEntry,
  DirectoryLock,
  DiskSpace,
  FileStat,
  Files,
  LockKind,
  OpenFile,
  OpenMode,
} from './files/files.ts'
export { openLog } from './open.ts'
export type {
  Producer,
  ProducerOptions,
  ProducerPartitioner,
  SendOptions,
} from './producing.ts'
export type { StandardIssue, StandardResult, StandardSchema } from './record/serde.ts'
export { serde } from './record/serde.ts'
export type {
  Acks,
  AppendOptions,
  AppendProgress,
  AppendResult,
  Bytes,
  CleanupPolicy,
  CompressionType,
  ConfigSource,
  DeletionReason,
  From,
  HeadersInput,
  Input,
  KeptBecause,
  Log,
  LogDescription,
  LogRecord,
  Metrics,
  Offset,
  OpenOptions,
  Partition,
  PartitionDescription,
  Partitioner,
  PartitionReadOptions,
  PartitionReadResult,
  PartitionRecovery,
  PartitionState,
  Reader,
  ReadOptions,
  RecordBatch,
  RecordInput,
  RecoveryReport,
  Serde,
  Topic,
  TopicConfig,
  TopicDescription,
  TopicFrom,
  TopicOptions,
} from './types.ts'
export type {
  Finding,
  FindingType,
  KnownGap,
  PartitionVerification,
  RepairOptions,
  RepairReport,
  VerifyOptions,
  VerifyProgress,
  VerifyReport,
} from './verification.ts'

/// <reference types="node" preserve="true" />
/**
 * What tests of a program that uses the log need: files that fail and crash on demand, files in
 * memory, and a clock that is moved by hand. Give them to `openLog` as `files` and `clock`.
 */
export type { Clock, Timer } from '../clock.ts'
export type { Fault, FaultKind, FaultyOperation } from '../files/fault-plan.ts'
export { type FaultyFiles, type FaultyFilesOptions, faultyFiles } from '../files/faulty-files.ts'
export type {
  DirectoryEntry,
  DirectoryLock,
  DiskSpace,
  FileStat,
  Files,
  LockKind,
  OpenFile,
  OpenMode,
} from '../files/files.ts'
export { type MemoryFilesOptions, memoryFiles } from '../files/memory-files.ts'
export { type ManualClock, manualClock } from './manual-clock.ts'

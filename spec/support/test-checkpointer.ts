/** A checkpointer whose partitions are objects that the test flushes and prepares; its clock is moved by hand. */
import {
  type CheckpointedPartition,
  Checkpointer,
  type CheckpointHandle,
} from '../../lib/log/checkpointer.ts'
import { DiskRoom } from '../../lib/storage/disk-room.ts'
import { parseOffsetCheckpoint } from '../../lib/storage/offset-checkpoints.ts'
import { type ManualClock, manualClock, memoryFiles } from '../../lib/testing/index.ts'
import { type HeldFiles, heldFiles } from './held-files.ts'
import { turn } from './open-partition.ts'

/** Where the checkpoints lie. */
export const dir = '/log'
/** Name of the file. */
export const recoveryPoints = 'recovery-point-offset-checkpoint'
/** Name of the file. */
export const logStarts = 'log-start-offset-checkpoint'
/** Name of the file. */
export const highWatermarks = 'replication-offset-checkpoint'
/** So much flushed is checkpointed at once. */
export const dueBytes: number = 64 * 1024 * 1024

/** A partition that is flushed and prepared by the test. */
export class TestPartition implements CheckpointedPartition {
  readonly identity: { topic: string; partition: number }
  logStartOffset = 0
  highWatermark: number
  recoveryPoint: number
  /** How often it was asked to prepare. */
  preparations = 0
  prepare: () => Promise<void> = () => Promise.resolve()

  constructor(partition: number, recoveryPoint: number) {
    this.identity = { topic: 'orders', partition }
    this.recoveryPoint = recoveryPoint
    this.highWatermark = recoveryPoint
  }

  checkpoint(): Promise<void> {
    this.preparations++
    return this.prepare()
  }

  reach(offset: number): void {
    this.recoveryPoint = offset
    this.highWatermark = offset
  }
}

/** What a spec works with. */
export interface TestCheckpointer {
  readonly files: HeldFiles
  readonly clock: ManualClock
  readonly room: DiskRoom
  readonly checkpointer: Checkpointer
  readonly failures: Error[]
  /** Names of the files in the order in which they were replaced. */
  readonly replaced: string[]
  /** Adds a partition whose recovery point is 10. */
  add(id?: number): { partition: TestPartition; handle: CheckpointHandle }
}

/** A checkpointer without partitions. */
export function testCheckpointer(files: HeldFiles = newFiles()): TestCheckpointer {
  const clock = manualClock()
  const failures: Error[] = []
  const replaced: string[] = []
  const { replace } = files
  files.replace = async (from, to) => {
    await replace(from, to)
    replaced.push(to.slice(dir.length + 1))
  }
  const onFailure = (error: Error): void => void failures.push(error)
  const room = new DiskRoom(files)
  const checkpointer = new Checkpointer({ files, dir, clock, room, onFailure })
  const add = (id = 0): { partition: TestPartition; handle: CheckpointHandle } => {
    const partition = new TestPartition(id, 10)
    return { partition, handle: checkpointer.add(partition) }
  }
  return { files, clock, room, checkpointer, failures, replaced, add }
}

/** What a spec with one partition works with. */
export interface PartitionCheckpointer extends TestCheckpointer {
  readonly partition: TestPartition
  readonly handle: CheckpointHandle
}

/** A checkpointer with one partition, `orders-0`, whose recovery point is 10. */
export function partitionCheckpointer(): PartitionCheckpointer {
  const checkpointer = testCheckpointer()
  return { ...checkpointer, ...checkpointer.add() }
}

/** The same, flushed up to 20, with a write under way that waits for `open`. */
export async function preparingCheckpointer(): Promise<
  PartitionCheckpointer & { readonly written: Promise<void>; readonly open: () => void }
> {
  const scene = partitionCheckpointer()
  const { passed, open } = gate()
  scene.partition.prepare = () => passed
  scene.partition.reach(20)
  const written = scene.checkpointer.write()
  await idle()
  return { ...scene, written, open }
}

/**
 * In `work` the disk fails when a file of that name is replaced: instead of it, or behind it, when that is
 * not known to be durable.
 */
export async function whileReplacingFails(
  files: HeldFiles,
  at: { readonly name: string; readonly isReplaced: boolean },
  work: () => Promise<void>,
): Promise<void> {
  const { replace } = files
  files.replace = async (from, to) => {
    const isFailing = to.endsWith(at.name)
    if (!isFailing || at.isReplaced) await replace(from, to)
    if (isFailing) throw diskError()
  }
  await work()
  files.replace = replace
}

/** Files with nothing but the directory. */
export function newFiles(): HeldFiles {
  const files = heldFiles(memoryFiles())
  files.makeDirectory(dir)
  return files
}

/** What is in a checkpoint, null when there is none. */
export function linesOf(
  files: HeldFiles,
  name: string = recoveryPoints,
): Record<string, number> | null {
  const bytes = files.readFile(`${dir}/${name}`)
  return bytes === null ? null : Object.fromEntries(parseOffsetCheckpoint(bytes.toString()))
}

/** Lets everything happen that waits for nobody. */
export async function idle(): Promise<void> {
  for (let count = 0; count < 60; count++) await turn()
}

/** A promise and what ends it. */
export function gate(): { passed: Promise<void>; open: () => void } {
  let open = (): void => {}
  const passed = new Promise<void>(resolve => {
    open = resolve
  })
  return { passed, open }
}

/** What a disk that is broken says. */
export function diskError(): Error {
  return Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'rename' })
}

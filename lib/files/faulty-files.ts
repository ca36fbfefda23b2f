/**
 * A file system that fails as disks and machines do, as often and as exactly as a test wants. All
 * that is left to chance is drawn by a seed, so a failure is replayed by its seed.
 *
 * - Every call has a start and an end. Asynchronous ones end in an order drawn by the seed.
 * - A sync makes durable exactly what was completed when it started. A write that overlaps with the
 *   sync may survive a crash or not. A sync of a file does nothing for its name: creations, renames
 *   and removals, of directories too, become durable by a sync of the directory that they are in.
 * - A crash leaves of what was not synced any part (`faulty-content.ts`): pages of 4 KiB, each old,
 *   new, zeros or torn at 512 bytes; each truncate, creation, rename and removal by itself. Synced
 *   bytes stay, except where they were overwritten. Nothing, all and a part are each likely.
 * - A failed sync of a file leaves its data readable and clean: the next sync succeeds, a crash
 *   loses the data. Names and sizes whose sync failed stay as un-synced as they were.
 */
import { type Clock, systemClock } from '../clock.ts'
import { LockedError } from '../errors.ts'
import type { Fault, FaultyCall, FaultyOperation } from './fault-plan.ts'
import { FaultyFile } from './faulty-file.ts'
import { FaultyMachine, type ProcessLife } from './faulty-machine.ts'
import { Directory } from './file-tree.ts'
import type {
  DirectoryEntry,
  DirectoryLock,
  DiskSpace,
  FileStat,
  Files,
  OpenFile,
  OpenMode,
} from './files.ts'
import { OpenFaultyFile } from './open-faulty-file.ts'

/** Settings of a faulty file system. */
export interface FaultyFilesOptions {
  /** An integer. The same seed and the same calls give the same run. @default a new one each time */
  readonly seed?: number | undefined
  /** Where modification times come from. @default the machine's clock */
  readonly clock?: Clock | undefined
}

/** A file system in memory with faults on demand. */
export interface FaultyFiles extends Files {
  /** What replays this run; the message of every injected error names it too. */
  readonly seed: number
  /** How many calls there were, those that failed included. */
  readonly operations: number
  /** How many times the power went. */
  readonly crashes: number
  /** The last 200 calls, oldest first, for the message of a failed test. */
  readonly trace: readonly string[]
  /**
   * Cuts the power. The content becomes one of the states that a crash may leave, drawn by the seed.
   * Handles and locks die; calls under way, and later ones on the dead handles, reject with the code
   * ECRASHED. The file system itself is usable at once: the machine has been started again.
   */
  crash(): void
  /**
   * Kills the process, as by kill -9. As `crash()`, but all that the operating system was given
   * stays; of a write under way it was given nothing, a part or all. A later crash may still take
   * what was not synced.
   */
  killProcess(): void
  /**
   * The same files as the process that runs now sees them: after the next crash or kill every call
   * on what is returned fails with ECRASHED. Given to a log, it keeps what is left running of that
   * log from touching the files of its successor.
   */
  currentProcess(): Files
  /**
   * Makes a call to come fail. Several faults may be set; each counts the calls for itself.
   *
   * @throws {RangeError} when such a fault can never strike.
   */
  failAt(fault: Fault): void
  /** Takes back the faults that have not struck, and the sticky ones. */
  clearFaults(): void
  /**
   * Limits the sum of all file sizes, null: not at all. Where a write reaches the limit it is short;
   * beyond, it fails with ENOSPC. `freeSpace` goes by it.
   */
  setCapacity(bytes: number | null): void
}

/** Makes a file system that is empty but for the working directory. */
export function faultyFiles(options: FaultyFilesOptions = {}): FaultyFiles {
  const seed = options.seed ?? Math.floor(Math.random() * 2 ** 32)
  return new FaultyView(new FaultyMachine(seed, options.clock ?? systemClock))
}

class FaultyView implements FaultyFiles {
  readonly kind = 'faulty'
  readonly #machine: FaultyMachine
  /** Undefined: whichever process runs. */
  readonly #boundTo: ProcessLife | undefined

  constructor(machine: FaultyMachine, boundTo?: ProcessLife) {
    this.#machine = machine
    this.#boundTo = boundTo
  }

  get seed(): number {
    return this.#machine.random.seed
  }

  get operations(): number {
    return this.#machine.plan.operations
  }

  get crashes(): number {
    return this.#machine.crashes
  }

  get trace(): readonly string[] {
    return this.#machine.plan.trace
  }

  crash(): void {
    this.#machine.crash()
  }

  killProcess(): void {
    this.#machine.kill()
  }

  currentProcess(): Files {
    return new FaultyView(this.#machine, this.#process)
  }

  failAt(fault: Fault): void {
    this.#machine.plan.arm(fault)
  }

  clearFaults(): void {
    this.#machine.plan.clear()
  }

  setCapacity(bytes: number | null): void {
    this.#machine.setCapacity(bytes)
  }

  open(path: string, mode: OpenMode): OpenFile {
    const machine = this.#machine
    const process = this.#process
    return machine.perform({ operation: 'open', path }, process, () => {
      const isNew = mode === 'create'
      const file = isNew ? new FaultyFile(machine.random) : machine.tree.file(path, 'open')
      if (isNew) machine.tree.create(path, file)
      const { directory } = machine.tree.place(path, 'open')
      const canWrite = mode !== 'read'
      return new OpenFaultyFile({ path, machine, process, file, directory, canWrite })
    })
  }

  readFile(path: string): Buffer | null {
    return this.#perform('readFile', path, () => {
      if (this.#machine.tree.find(path) === undefined) return null
      const file = this.#machine.tree.file(path, 'open')
      const content = Buffer.allocUnsafe(file.sizeBytes)
      file.read(content, 0)
      return content
    })
  }

  list(dir: string): readonly DirectoryEntry[] {
    return this.#perform('list', dir, () => this.#machine.tree.list(dir))
  }

  stat(path: string): FileStat | null {
    return this.#perform('stat', path, () => this.#machine.tree.stat(path))
  }

  makeDirectory(path: string): void {
    this.#perform('makeDirectory', path, () =>
      this.#machine.tree.create(path, new Directory<FaultyFile>()),
    )
  }

  rename(from: string, to: string): void {
    const call: FaultyCall = { operation: 'rename', path: from, to }
    this.#machine.perform(call, this.#process, () => this.#machine.tree.rename(from, to))
  }

  async replace(from: string, to: string): Promise<void> {
    const { random, tree } = this.#machine
    const call: FaultyCall = { operation: 'rename', path: from, to }
    const fault = this.#machine.begin(call, this.#process)
    const complete = (): void => {
      if (fault !== undefined) throw this.#machine.failure(fault, call)
      tree.rename(from, to)
    }
    const interrupt = (): void => {
      if (random.chance(0.5) && tree.stat(from) !== null) tree.rename(from, to)
    }
    return this.#machine.start(fault, { complete, interrupt })
  }

  link(from: string, to: string): void {
    const call: FaultyCall = { operation: 'link', path: from, to }
    this.#machine.perform(call, this.#process, () => this.#machine.tree.link(from, to))
  }

  async remove(path: string): Promise<void> {
    const { random, tree } = this.#machine
    const call: FaultyCall = { operation: 'remove', path }
    const fault = this.#machine.begin(call, this.#process)
    const complete = (): void => {
      if (fault !== undefined) throw this.#machine.failure(fault, call)
      tree.remove(path)
    }
    const interrupt = (): void => {
      if (random.chance(0.5) && tree.stat(path)?.isDirectory === false) tree.remove(path)
    }
    return this.#machine.start(fault, { complete, interrupt })
  }

  removeDirectory(path: string): void {
    this.#perform('removeDirectory', path, () => this.#machine.tree.removeDirectory(path))
  }

  async syncDirectory(path: string): Promise<void> {
    const { names, tree } = this.#machine
    const call: FaultyCall = { operation: 'syncDirectory', path }
    const fault = this.#machine.begin(call, this.#process)
    const covered = names.startSync(tree.directory(path, 'open'))
    const complete = (): void => {
      if (fault !== undefined) throw this.#machine.failure(fault, call)
      names.completeSync(covered)
    }
    return this.#machine.start(fault, { complete })
  }

  freeSpace(path: string): Promise<DiskSpace> {
    return this.#performLater('freeSpace', path, () => {
      this.#machine.tree.assertExists(path, 'statfs')
      return { freeBytes: this.#machine.freeBytes, totalBytes: this.#machine.totalBytes }
    })
  }

  watch(dir: string, onChange: () => void): () => void {
    this.#machine.assertAlive({ operation: 'list', path: dir }, this.#process)
    return this.#machine.watchers.watch(this.#machine.tree.directory(dir, 'watch'), onChange)
  }

  lock(dir: string): Promise<DirectoryLock> {
    const { locked, tree } = this.#machine
    return this.#performLater('lock', dir, () => {
      const directory = tree.directory(dir, 'open')
      if (locked.has(directory)) throw new LockedError(dir, { sameProcess: true })
      locked.add(directory)
      const owner = this.#process
      const release = async (): Promise<void> => {
        // A lock that died with its process must not release that of a later one.
        if (!owner.isDead && isHeld) locked.delete(directory)
        isHeld = false
      }
      let isHeld = true
      return { kind: 'none', reason: 'a simulated machine has one process', release }
    })
  }

  get #process(): ProcessLife {
    return this.#boundTo ?? this.#machine.process
  }

  #perform<T>(operation: FaultyOperation, path: string, action: () => T): T {
    return this.#machine.perform({ operation, path }, this.#process, action)
  }

  #performLater<T>(operation: FaultyOperation, path: string, action: () => T): Promise<T> {
    return this.#machine.performLater({ operation, path }, this.#process, action)
  }
}

import type { Clock } from '../clock.ts'
import { errnoError } from './errno.ts'
import { type FaultKind, FaultPlan, type FaultyCall, type FaultyOperation } from './fault-plan.ts'
import type { CrashShare, FaultyFile } from './faulty-file.ts'
import { DurableNames } from './faulty-names.ts'
import { type Directory, type EntryChange, FileTree } from './file-tree.ts'
import { type CallSteps, PendingCalls } from './pending-calls.ts'
import { SeededRandom } from './seeded-random.ts'
import { Watchers } from './watchers.ts'

/** The life of a process: what was opened in it dies with it. */
export interface ProcessLife {
  isDead: boolean
}

/** The disk space of a machine whose capacity is not limited. */
const UNLIMITED_BYTES = Number.MAX_SAFE_INTEGER

/** How Node names the system call behind each operation. */
const syscalls: Readonly<Record<FaultyOperation, string>> = {
  open: 'open',
  read: 'read',
  write: 'write',
  sync: 'fdatasync',
  truncate: 'ftruncate',
  readFile: 'open',
  list: 'scandir',
  stat: 'stat',
  makeDirectory: 'mkdir',
  rename: 'rename',
  link: 'link',
  remove: 'unlink',
  removeDirectory: 'rmdir',
  syncDirectory: 'fsync',
  freeSpace: 'statfs',
  lock: 'flock',
}

/** A machine with one disk, of which every call may fail and whose power may go at any time. */
export class FaultyMachine {
  readonly random: SeededRandom
  readonly tree: FileTree<FaultyFile>
  readonly names: DurableNames<FaultyFile>
  readonly plan: FaultPlan = new FaultPlan()
  readonly watchers: Watchers<Directory<FaultyFile>> = new Watchers<Directory<FaultyFile>>()
  readonly locked: Set<Directory<FaultyFile>> = new Set<Directory<FaultyFile>>()
  readonly #pending: PendingCalls
  readonly #clock: Clock
  #process: ProcessLife = { isDead: false }
  #crashes = 0
  #capacityBytes: number | null = null

  constructor(seed: number, clock: Clock) {
    this.random = new SeededRandom(seed)
    this.#pending = new PendingCalls(this.random)
    this.#clock = clock
    this.tree = new FileTree<FaultyFile>({
      now: () => this.now(),
      onChange: change => this.#onNames(change),
    })
    this.names = new DurableNames(this.tree.root)
  }

  /** The process that runs now. */
  get process(): ProcessLife {
    return this.#process
  }

  /** How often the power went. */
  get crashes(): number {
    return this.#crashes
  }

  get totalBytes(): number {
    return this.#capacityBytes ?? UNLIMITED_BYTES
  }

  get freeBytes(): number {
    let free = this.totalBytes
    for (const file of new Set(this.tree.files())) free -= file.sizeBytes
    return Math.max(0, free)
  }

  /** Whether writes have to be checked against the free space. */
  get isLimited(): boolean {
    return this.#capacityBytes !== null
  }

  setCapacity(bytes: number | null): void {
    this.#capacityBytes = bytes
  }

  now(): number {
    return this.#clock.wallMs()
  }

  /** Counts a call and gives the fault that strikes it. Throws ECRASHED in a dead process. */
  begin(call: FaultyCall, process: ProcessLife): FaultKind | undefined {
    this.assertAlive(call, process)
    return this.plan.next(call)
  }

  /** Throws ECRASHED in a dead process. */
  assertAlive(call: FaultyCall, process: ProcessLife): void {
    if (process.isDead) throw this.failure('ECRASHED', call)
  }

  /** Does a synchronous call. */
  perform<T>(call: FaultyCall, process: ProcessLife, action: () => T): T {
    const fault = this.begin(call, process)
    if (fault === undefined) return action()
    if (fault !== 'crash') throw this.failure(fault, call)
    try {
      action()
    } catch {
      // The caller is gone before it could hear of it.
    }
    this.crash()
    throw this.failure('ECRASHED', call)
  }

  /** Does an asynchronous call, whose effect is at its end. */
  async performLater<T>(call: FaultyCall, process: ProcessLife, action: () => T): Promise<T> {
    const fault = this.begin(call, process)
    const error = fault === undefined ? undefined : this.failure(fault, call)
    const complete = (): T => {
      if (error !== undefined) throw error
      return action()
    }
    return this.start(fault, { complete })
  }

  /** Begins an asynchronous call; the power goes while it is under way when its fault says so. */
  start<T>(fault: FaultKind | undefined, steps: CallSteps<T>): Promise<T> {
    const result = this.#pending.start(steps)
    if (fault === 'crash') this.crash()
    return result
  }

  /** The error of a call that fails. It names the seed, because that is what replays it. */
  failure(code: string, call: FaultyCall): NodeJS.ErrnoException {
    return errnoError(code, {
      syscall: syscalls[call.operation],
      path: call.path,
      dest: call.to,
      note: `operation ${this.plan.operations}, seed ${this.random.seed}`,
    })
  }

  /** Ends the process. What the operating system was given stays. */
  kill(): void {
    this.#process.isDead = true
    this.#process = { isDead: false }
    this.watchers.clear()
    this.locked.clear()
    this.#pending.interruptAll(
      errnoError('ECRASHED', { syscall: 'call under way', note: `seed ${this.random.seed}` }),
    )
  }

  /** Cuts the power: ends the process and draws what is left on the disk. */
  crash(): void {
    this.kill()
    this.#crashes++
    const share = this.random.pick<CrashShare>(['none', 'all', 'some', 'some'])
    const probability = this.random.pick([0.2, 0.5, 0.8])
    this.names.crash(this.tree.root, () =>
      share === 'some' ? this.random.chance(probability) : share === 'all',
    )
    for (const file of new Set(this.tree.files())) {
      file.crash(share === 'some' ? this.random.pick<CrashShare>(['none', 'all', 'some']) : share)
    }
  }

  #onNames(change: EntryChange<FaultyFile>): void {
    this.names.record(change)
    if (change.from !== undefined) this.watchers.notify(change.from.directory)
    if (change.to !== undefined) this.watchers.notify(change.to.directory)
  }
}

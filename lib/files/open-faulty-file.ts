import { errnoError } from './errno.ts'
import type { FaultKind, FaultyCall, FaultyOperation } from './fault-plan.ts'
import type { ChangingCall } from './faulty-content.ts'
import type { FaultyFile } from './faulty-file.ts'
import type { FaultyMachine, ProcessLife } from './faulty-machine.ts'
import type { Directory } from './file-tree.ts'
import type { OpenFile } from './files.ts'

/** What a handle on a file of a faulty machine is made of. */
export interface OpenFaultyFileFacts {
  readonly path: string
  readonly machine: FaultyMachine
  readonly process: ProcessLife
  readonly file: FaultyFile
  /** Where its name was when it was opened; the watchers there hear of its changes. */
  readonly directory: Directory<FaultyFile>
  readonly canWrite: boolean
}

/** How much a write does, and how it ends. */
interface WritePlan {
  readonly count: number
  readonly error: Error | undefined
}

/** A handle on a file of a faulty machine. It dies with the process that opened it. */
export class OpenFaultyFile implements OpenFile {
  readonly path: string
  readonly #machine: FaultyMachine
  readonly #file: FaultyFile
  readonly #facts: OpenFaultyFileFacts
  #isOpen = true

  constructor(facts: OpenFaultyFileFacts) {
    this.path = facts.path
    this.#machine = facts.machine
    this.#file = facts.file
    this.#facts = facts
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    const call = this.#call('read', position, buffer.length)
    const fault = this.#begin(call)
    const complete = (): number => this.#read(buffer, position, { call, fault })
    return this.#machine.start(fault, { complete })
  }

  readSync(buffer: Buffer, position: number): number {
    const call = this.#call('read', position, buffer.length)
    const fault = this.#begin(call)
    if (fault === 'crash') this.#machine.crash()
    return this.#read(buffer, position, { call, fault })
  }

  async write(buffer: Buffer, position: number): Promise<number> {
    const call = this.#call('write', position, buffer.length)
    const fault = this.#begin(call)
    const { count, error } = this.#planWrite(call, fault)
    const bytes = Buffer.from(buffer.subarray(0, count))
    const state: ChangingCall = { isDone: false }
    // Readers see a write that is under way not at all, in part or wholly.
    const seen = this.#part(count)
    this.#write(bytes.subarray(0, seen), position, state)
    const complete = (): number => {
      this.#write(bytes.subarray(seen), position + seen, state)
      state.isDone = true
      if (error !== undefined) throw error
      return count
    }
    const interrupt = (): void => {
      const done = seen + this.#part(count - seen)
      this.#write(bytes.subarray(seen, done), position + seen, state)
    }
    return this.#machine.start(fault, { complete, interrupt })
  }

  writeSync(buffer: Buffer, position: number): number {
    const call = this.#call('write', position, buffer.length)
    const fault = this.#begin(call)
    const { count, error } = this.#planWrite(call, fault)
    const done = fault === 'crash' ? this.#part(count) : count
    this.#write(Buffer.from(buffer.subarray(0, done)), position, { isDone: true })
    if (fault === 'crash') this.#machine.crash()
    if (error !== undefined) throw error
    return count
  }

  async syncData(): Promise<void> {
    const call = this.#call('sync')
    const fault = this.#begin(call)
    const covered = this.#file.startSync()
    const complete = (): void => {
      if (fault !== undefined) {
        this.#file.failSync(covered)
        throw this.#machine.failure(fault, call)
      }
      this.#file.completeSync(covered)
    }
    return this.#machine.start(fault, { complete })
  }

  truncate(sizeBytes: number): void {
    const call = this.#call('truncate', undefined, sizeBytes)
    this.#assertOpen(call)
    this.#machine.perform(call, this.#facts.process, () => {
      if (!this.#facts.canWrite)
        throw errnoError('EINVAL', { syscall: 'ftruncate', path: this.path })
      this.#file.truncate(sizeBytes, { isDone: true })
      this.#onChange()
    })
  }

  sizeBytes(): number {
    this.#assertOpen(this.#call('stat'))
    return this.#file.sizeBytes
  }

  close(): void {
    this.#isOpen = false
  }

  #call(operation: FaultyOperation, position?: number, sizeBytes?: number): FaultyCall {
    return { operation, path: this.path, position, sizeBytes }
  }

  #begin(call: FaultyCall): FaultKind | undefined {
    this.#assertOpen(call)
    if (call.operation === 'write' && !this.#facts.canWrite) {
      throw errnoError('EBADF', { syscall: 'write', path: this.path })
    }
    return this.#machine.begin(call, this.#facts.process)
  }

  #assertOpen(call: FaultyCall): void {
    this.#machine.assertAlive(call, this.#facts.process)
    if (!this.#isOpen) throw errnoError('EBADF', { syscall: call.operation, path: this.path })
  }

  #read(
    buffer: Buffer,
    position: number,
    { call, fault }: { call: FaultyCall; fault: FaultKind | undefined },
  ): number {
    if (fault === 'crash') throw this.#machine.failure('ECRASHED', call)
    if (fault === 'short') {
      return this.#file.read(
        buffer.subarray(0, this.#machine.random.below(buffer.length)),
        position,
      )
    }
    if (fault !== undefined) throw this.#machine.failure(fault, call)
    return this.#file.read(buffer, position)
  }

  #planWrite(call: FaultyCall, fault: FaultKind | undefined): WritePlan {
    const length = call.sizeBytes ?? 0
    const position = call.position ?? 0
    const { random } = this.#machine
    if (fault === undefined) {
      const room = this.#machine.isLimited ? this.#roomAt(position) : length
      const isFull = room <= 0 && length > 0
      const error = isFull ? this.#machine.failure('ENOSPC', call) : undefined
      return { count: Math.max(0, Math.min(length, room)), error }
    }
    if (fault === 'short') {
      return { count: length > 1 ? 1 + random.below(length - 1) : 0, error: undefined }
    }
    if (fault === 'crash') return { count: length, error: this.#machine.failure('ECRASHED', call) }
    const count = fault === 'EIO' ? this.#part(length) : 0
    return { count, error: this.#machine.failure(fault, call) }
  }

  /** How many bytes from a position on the disk has room for; what is there already needs none. */
  #roomAt(position: number): number {
    return this.#file.sizeBytes + this.#machine.freeBytes - position
  }

  #write(bytes: Buffer, position: number, call: ChangingCall): void {
    this.#file.write(bytes, position, call)
    this.#onChange()
  }

  #onChange(): void {
    this.#file.modifiedMs = this.#machine.now()
    this.#machine.watchers.notify(this.#facts.directory)
  }

  /** None, all, or some of so many bytes. */
  #part(count: number): number {
    const share = this.#machine.random.pick(['none', 'all', 'some'])
    if (share === 'some') return this.#machine.random.below(count + 1)
    return share === 'all' ? count : 0
  }
}

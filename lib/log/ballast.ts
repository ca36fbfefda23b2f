/**
 * `.ballast`: bytes without meaning that take up space in the log's directory. When the disk is full
 * the file is removed, and what must be written then (checkpoints, committed offsets, the lock, what
 * recovery changes) has room. It is never read: losing it, or finding half of it after a crash, loses
 * nothing. The bytes are written, not skipped over, and look random, so that a file system that
 * leaves out holes or compresses takes real blocks for them.
 */
import { join } from 'node:path'

import { DiskFullError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { fileNames } from './directory-layout.ts'

/** Bytes written at once. */
const pieceBytes = 64 * 1024

/** Such a file of one log directory, the ballast unless it has another name. Calls must not overlap. */
export class Ballast {
  readonly #files: Files
  readonly #path: string

  constructor(files: Files, dir: string, name: string = fileNames.ballast) {
    this.#files = files
    this.#path = join(dir, name)
  }

  /** 0 when there is none. Errors of the file system pass through. */
  get sizeBytes(): number {
    return this.#files.stat(this.#path)?.sizeBytes ?? 0
  }

  /** Makes it, in place of one that is there. Leaves none when that fails; the error passes through. */
  async make(sizeBytes: number): Promise<void> {
    if (this.#files.stat(this.#path) !== null) await this.#files.remove(this.#path)
    const file = this.#files.open(this.#path, 'create')
    try {
      const piece = incompressible(Math.min(pieceBytes, sizeBytes))
      for (let position = 0; position < sizeBytes; ) {
        const count = await file.write(piece.subarray(0, sizeBytes - position), position)
        if (count === 0) throw new DiskFullError(this.#path)
        position += count
      }
      // Without it a file system that gives out blocks late may have promised and not given them.
      await file.syncData()
    } catch (error) {
      file.close()
      await this.#files.remove(this.#path).catch(() => undefined)
      throw error
    }
    file.close()
  }

  /** Gives the space back; false when there was none to give. Errors of the file system pass through. */
  async release(): Promise<boolean> {
    if (this.sizeBytes === 0) return false
    await this.#files.remove(this.#path)
    return true
  }
}

/** Bytes of a xorshift generator. */
function incompressible(sizeBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(sizeBytes)
  let state = 0x9e3779b9
  for (let position = 0; position < sizeBytes; position++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    bytes[position] = state
  }
  return bytes
}

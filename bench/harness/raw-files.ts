/** Files without anything around them, for what is done without varve. */
import { constants, fdatasync, openSync, read, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'

export const fdatasyncOf: (fd: number) => Promise<void> = promisify(fdatasync)

/** Write and read as promises of a plain number, cheaper than `promisify`'s objects. */
export function writeAt(fd: number, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    write(fd, bytes, 0, bytes.length, null, (error, written) => {
      if (error !== null) reject(error)
      else if (written !== bytes.length) reject(new Error('short write'))
      else resolve()
    })
  })
}

export function readAt(fd: number, bytes: Buffer, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(fd, bytes, 0, bytes.length, position, (error, count) => {
      if (error !== null) reject(error)
      else resolve(count)
    })
  })
}

/** A new file that grows by every write. */
export function createFile(dir: string, name = 'raw'): number {
  return openSync(join(dir, name), constants.O_CREAT | constants.O_WRONLY | constants.O_APPEND)
}

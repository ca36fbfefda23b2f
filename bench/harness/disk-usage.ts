/** What a directory takes on the disk. */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const bytesPerBlock = 512

/** Allocated bytes of everything below `dir`. */
export function diskUsage(dir: string): number {
  return allocatedBytes(
    readdirSync(dir, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name)),
  )
}

/** Allocated bytes of these files. */
export function allocatedBytes(paths: readonly string[]): number {
  return paths.reduce((bytes, path) => bytes + lstatSync(path).blocks * bytesPerBlock, 0)
}

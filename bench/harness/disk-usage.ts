/** What a directory takes on the disk. */
import { lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const bytesPerBlock = 512

/** Allocated bytes of everything below `dir`. */
export function diskUsage(dir: string): number {
  let bytes = 0
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile())
      bytes += lstatSync(join(entry.parentPath, entry.name)).blocks * bytesPerBlock
  }
  return bytes
}

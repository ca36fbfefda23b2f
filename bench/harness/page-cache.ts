/**
 * Memory for the page cache that was in use a moment ago. A virtual machine may give its free memory back
 * to the host (free page reporting, ballooning), and whoever uses it next waits for the host at every page:
 * a file of 1 MiB writes then goes into the page cache at 0.4 GB/s where it takes 4.5 otherwise. Which side
 * of a comparison pays for that is chance.
 */
import { closeSync, rmSync } from 'node:fs'
import { join } from 'node:path'

import { createFile, writeAt } from './raw-files.ts'

const mebibyte = 1 << 20

/** What is written next does not take exactly what was freed last. */
const spareFactor = 1.25

/** The second time finds the most of it, and what it does not find is little. */
const passes = 2

/**
 * Writes a file of a little more than `bytes` into `dir` and deletes it before it gets to the disk. The same
 * kind of pages is free then, and the next to be used; the host takes them back from a second later on.
 */
export async function touchPageCache(dir: string, bytes: number): Promise<void> {
  const buffer = Buffer.alloc(mebibyte, 1)
  for (let pass = 0; pass < passes; pass++) {
    const fd = createFile(dir, 'touched')
    for (let left = bytes * spareFactor; left > 0; left -= mebibyte) await writeAt(fd, buffer)
    closeSync(fd)
    rmSync(join(dir, 'touched'))
  }
}

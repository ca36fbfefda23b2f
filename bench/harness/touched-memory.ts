/**
 * Memory that has been touched. A virtual machine may give its free memory back to the host (free page
 * reporting, ballooning); the next to use it waits for the host at every page, and files go into the
 * page cache at 0.4 GB/s where they take 1.6 otherwise. Which side of a comparison pays that is chance.
 */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { freemem } from 'node:os'

/** Of what is free, so that nothing else is driven out. */
const mostOfFree = 0.5

/**
 * Touches up to `bytes` of free memory and frees them, in a process of its own, which has ended when
 * this resolves. What the host takes back, it takes in the seconds after that.
 */
export async function touchMemory(bytes: number): Promise<void> {
  const mebibytes = Math.floor(Math.min(bytes, availableBytes() * mostOfFree) / 2 ** 20)
  const script = `const kept = []
    for (let left = ${mebibytes}; left > 0; left -= 64) kept.push(Buffer.alloc(64 << 20, 1))`
  const child = spawn(process.execPath, ['-e', script], { stdio: 'ignore' })
  // Without it the side runs on what there is.
  await new Promise<void>(resolve =>
    child.once('error', () => resolve()).once('exit', () => resolve()),
  )
}

/** With the page cache, which is given up for it. */
function availableBytes(): number {
  try {
    const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]
    if (kibibytes !== undefined) return Number(kibibytes) * 1024
  } catch {
    // Not Linux.
  }
  return freemem()
}

/** What is read from the disk, and not from the system's memory. Only Linux tells. */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

/** Bytes that this process has made the disk read so far; 0 where the system does not tell. */
export function diskReadBytes(): number {
  try {
    const bytes = /^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]
    return Number(bytes ?? 0)
  } catch {
    return 0
  }
}

/** Makes the next read of these files one from the disk, where the system's `dd` can ask for that. */
export function dropFromPageCache(paths: readonly string[]): void {
  for (const path of paths) {
    try {
      const args = [`if=${path}`, 'iflag=nocache', 'count=0', 'status=none']
      execFileSync('dd', args, { stdio: 'ignore' })
    } catch {
      // Another dd: the files stay where they are.
    }
  }
}

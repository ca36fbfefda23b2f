/**
 * How much memory a process takes that appends gigabytes, and one that reads them meanwhile: what is
 * under way is bounded, so the amount must not matter. `node --import tsx spec/support/soak-memory.ts
 * --mb=5000` runs it on its own and prints what it took.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { type AtEnd, type Program, startProgram } from './processes/programs.ts'

/** What neither process may exceed, in bytes: 150 MB. */
export const maxRssBytes = 150e6

/** What one of the two processes did. */
export interface MemoryReport {
  readonly records: number
  readonly megabytesPerSecond: number
  readonly peakRssBytes: number
}

/** Lets one process append `megabytes` and another one follow it, in `dir`. */
export async function measureMemory(
  test: AtEnd,
  options: { readonly dir: string; readonly megabytes: number },
): Promise<{ readonly writer: MemoryReport; readonly reader: MemoryReport }> {
  const { dir, megabytes } = options
  const writer = startProgram(test, ['memory-writer', dir, megabytes])
  await writer.hear('begun')
  const reader = startProgram(test, ['memory-reader', dir, megabytes])
  const written = await reportOf(writer, 'wrote', megabytes)
  const read = await reportOf(reader, 'read', megabytes)
  return { writer: written, reader: read }
}

async function reportOf(program: Program, word: string, megabytes: number): Promise<MemoryReport> {
  const [records = 0, seconds = 0, peakRssBytes = 0] = (await program.hear(word))
    .split(' ')
    .map(Number)
  await program.endedWell()
  return { records, megabytesPerSecond: Math.round(megabytes / seconds), peakRssBytes }
}

/**
 * The soak of the memory: `--mb` megabytes (5,000) in `--dir` (the directory for temporary files).
 * Sets the exit code when a process took more than it may.
 */
export async function soakMemory(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      mb: { type: 'string', default: '5000' },
      dir: { type: 'string', default: tmpdir() },
    },
  })
  const dir = mkdtempSync(join(values.dir, 'varve-memory-'))
  const cleanUps: (() => Promise<void>)[] = []
  try {
    const test = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) }
    const reports = await measureMemory(test, { dir, megabytes: Number(values.mb) })
    for (const [name, report] of Object.entries(reports)) {
      const { records, megabytesPerSecond, peakRssBytes } = report
      const rss = Math.round(peakRssBytes / 1e6)
      console.log(`${name}: ${records} records, ${megabytesPerSecond} MB/s, peak RSS ${rss} MB`)
      if (peakRssBytes > maxRssBytes) process.exitCode = 1
    }
  } finally {
    for (const clean of cleanUps) await clean()
    rmSync(dir, { recursive: true, force: true })
  }
}

if (process.argv[1]?.endsWith('soak-memory.ts') === true) await soakMemory(process.argv.slice(2))

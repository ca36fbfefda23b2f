/**
 * How much memory a process takes that appends gigabytes, and one that reads them meanwhile: what is
 * under way is bounded, so the amount must not matter.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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
 * The soak of the memory, in a directory of its own. Returns a line for each process.
 *
 * @throws {AssertionError} when a process took more than it may
 */
export async function soakMemory(megabytes: number): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-memory-'))
  const cleanUps: (() => Promise<void>)[] = []
  try {
    const test = { after: (clean: () => Promise<void>) => void cleanUps.push(clean) }
    const reports = await measureMemory(test, { dir, megabytes })
    return Object.entries(reports).map(([name, report]) => {
      const { records, megabytesPerSecond, peakRssBytes } = report
      const line = `${name}: ${records} records, ${megabytesPerSecond} MB/s, peak RSS ${Math.round(peakRssBytes / 1e6)} MB`
      assert.ok(peakRssBytes <= maxRssBytes, line)
      return line
    })
  } finally {
    for (const clean of cleanUps) await clean()
    rmSync(dir, { recursive: true, force: true })
  }
}

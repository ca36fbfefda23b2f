import assert from 'node:assert/strict'

import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files, OpenFile } from '../../lib/files/files.ts'
import { seeds } from '../support/random.ts'

const SEED_COUNT = 2000

/**
 * Plays a scenario with 2,000 seeds. Each must end in one of the allowed outcomes, and each of those
 * must come up. With SEED in the environment it plays that one alone.
 */
export async function assertOutcomes(
  allowed: readonly string[],
  scenario: (files: FaultyFiles) => Promise<string>,
): Promise<void> {
  const seen = new Map<string, number>()
  for (const seed of seeds(SEED_COUNT)) {
    const files = faultyFiles({ seed })
    let outcome: string
    try {
      outcome = await scenario(files)
    } catch (error) {
      throw new Error(`replay with SEED=${seed}\n${files.trace.join('\n')}`, { cause: error })
    }
    assert.ok(
      allowed.includes(outcome),
      `not allowed: ${outcome}; replay with SEED=${seed}\n${files.trace.join('\n')}`,
    )
    seen.set(outcome, (seen.get(outcome) ?? 0) + 1)
  }
  if (process.env['SEED'] === undefined) {
    assert.deepEqual([...seen.keys()].toSorted(), [...allowed].toSorted())
  }
}

/** A file whose name and whose content, the given one, are durable. */
export async function durableFile(
  files: Files,
  path: string,
  content: string | Buffer,
): Promise<OpenFile> {
  const file = files.open(path, 'create')
  file.writeSync(Buffer.from(content), 0)
  await file.syncData()
  await files.syncDirectory('/')
  return file
}

/** The content as text, `absent` when there is no such file. */
export function textOf(files: Files, path: string): string {
  return files.readFile(path)?.toString('latin1') ?? 'absent'
}

/** The content in short: runs of one character, as in `4096a 100b`; a NUL is a dot. */
export function runsOf(content: string): string {
  const runs: string[] = []
  for (let at = 0; at < content.length; ) {
    const character = content.charAt(at)
    let end = at
    while (end < content.length && content.charAt(end) === character) end++
    runs.push(`${end - at}${character === '\0' ? '.' : character}`)
    at = end
  }
  return runs.join(' ')
}

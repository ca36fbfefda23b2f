/**
 * Small text files that are replaced as a whole: Kafka's checkpoint form, the checksum line that our
 * own files end in, and the replacement itself.
 *
 * Kafka's form (`CheckpointFile`), UTF-8 with LF after every line:
 *
 *     0                  version
 *     2                  number of entries
 *     orders 0 4711      one entry a line, fields apart by white space
 *     orders 1 12
 *
 * A file of our own ends in `crc32 <8 hex>`, the CRC-32 of all bytes before that line.
 */
import assert from 'node:assert/strict'
import { dirname } from 'node:path'

import { DiskFullError } from '../errors.ts'
import type { Files, OpenFile } from '../files/files.ts'
import { crc32 } from './crc32.ts'

const version = '0'
const entryForm = /^\S.*$/

/**
 * The entries of a file in Kafka's checkpoint form, each split into its fields. An empty text has no
 * entries. Null when the version is another one, when the count is not that of the entries, when a
 * line is blank, or when the last line does not end: so no true prefix of a file is taken for one.
 */
export function parseCheckpoint(text: string): readonly (readonly string[])[] | null {
  if (text === '') return []
  const lines = text.split('\n').map(line => line.trim())
  const [versionLine, countLine, ...entries] = lines
  const afterLast = entries.pop()
  if (versionLine !== version || afterLast !== '') return null
  if (countLine === undefined || parseDecimal(countLine) !== entries.length) return null
  if (entries.includes('')) return null
  return entries.map(entry => entry.split(/\s+/))
}

/** The text of a file in Kafka's checkpoint form; each line is one entry, without its line end. */
export function formatCheckpoint(lines: readonly string[]): string {
  // Not an assertion a line, which takes longer than all the rest: a log writes one for each partition.
  if (!lines.every(line => entryForm.test(line))) assert.fail('an entry is one line, not blank')
  return [version, String(lines.length), ...lines, ''].join('\n')
}

/**
 * The number that `text` writes in plain decimal digits, as all our text files do: no sign, no
 * leading zero, at most 2^53 - 1. Null for everything else.
 */
export function parseDecimal(text: string): number | null {
  if (!/^(0|[1-9]\d{0,15})$/.test(text)) return null
  const value = Number(text)
  return Number.isSafeInteger(value) ? value : null
}

/** `text`, whose last line has ended, followed by the line that `checkedText` verifies. */
export function withChecksum(text: string): string {
  assert.ok(text.endsWith('\n'), 'the last line before the checksum has ended')
  return `${text}${checksumLine(text)}`
}

/** What precedes the checksum line at the end of `text`; null when that line is missing or wrong. */
export function checkedText(text: string): string | null {
  const lineStart = text.lastIndexOf('\n', text.length - 2) + 1
  const checked = text.slice(0, lineStart)
  return lineStart > 0 && text.slice(lineStart) === checksumLine(checked) ? checked : null
}

function checksumLine(text: string): string {
  return `crc32 ${crc32(Buffer.from(text)).toString(16).padStart(8, '0')}\n`
}

/**
 * Replaces the content of `path`, or creates it, in one step that survives power loss once resolved:
 * a crash leaves the old content or the new one, never a mixture. Calls for one path must not overlap,
 * for they share `<path>.tmp`.
 *
 * Rejects with the error of the operation that failed. The old content is then still there, unless
 * only the sync of the directory failed: then either may be found after a crash.
 *
 * @throws {DiskFullError} when a write made no progress without an error of its own.
 */
export async function replaceFile(
  files: Files,
  path: string,
  content: string | Buffer,
): Promise<void> {
  await exchangeFile(files, path, content)
  await files.syncDirectory(dirname(path))
}

/**
 * The first part of `replaceFile`: the new content is synced and has the name, but a crash may still
 * bring the old content back, or none where there was none, until the directory has been synced. For
 * callers that replace several files of one directory, in no order, and sync it once behind them.
 *
 * @throws {DiskFullError} when a write made no progress without an error of its own.
 */
export async function exchangeFile(
  files: Files,
  path: string,
  content: string | Buffer,
): Promise<void> {
  const temporaryPath = `${path}.tmp`
  // A crash may have left one. Starting from a new file also means that no page which an earlier
  // failed sync marked clean can be taken for synced.
  if (files.stat(temporaryPath) !== null) await files.remove(temporaryPath)
  try {
    const bytes = typeof content === 'string' ? Buffer.from(content) : content
    await writeSynced(files.open(temporaryPath, 'create'), bytes)
    await files.replace(temporaryPath, path)
  } catch (error) {
    // The first error is the one to report; a file that stays behind is removed by the next call.
    await files.remove(temporaryPath).catch(() => {})
    throw error
  }
}

async function writeSynced(file: OpenFile, content: Buffer): Promise<void> {
  try {
    let written = 0
    while (written < content.length) {
      const count = await file.write(content.subarray(written), written)
      if (count === 0) throw new DiskFullError(file.path)
      written += count
    }
    await file.syncData()
  } finally {
    file.close()
  }
}

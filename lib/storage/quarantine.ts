/**
 * Keeping what recovery cuts. The bytes go to `<base offset, 20 digits>.<position>.quarantined` in
 * the partition's directory (Kafka refuses foreign sub-directories, not foreign files). A file has
 * that name only when it is complete: it is written under `.tmp` and renamed.
 */
import { join } from 'node:path'

import type { Files, OpenFile } from '../files/files.ts'
import { attempt, isDiskFull, readFully, writeFully } from './file-io.ts'

const copyBytes = 1 << 20
const nameForm = /^\d{20}\.\d+(\.\d+)?\.quarantined$/

/** One stretch of bytes that is going to be cut: `[position, endPosition)` of a segment's log. */
export interface CutBytes {
  readonly path: string
  readonly baseOffset: number
  readonly position: number
  readonly endPosition: number
}

/**
 * Copies the bytes as far as `quarantineBytes`, less what earlier recoveries keep there already, and
 * the disk have room, synced; returns how many are kept. The names are durable after the caller's
 * sync of the directory.
 *
 * @throws {StorageError} for every failure but a full disk.
 */
export async function quarantine(
  files: Files,
  dir: string,
  request: { readonly cuts: readonly CutBytes[]; readonly quarantineBytes: number },
): Promise<number> {
  let room = request.quarantineBytes - keptBytes(files, dir)
  let kept = 0
  for (const cut of request.cuts) {
    const sizeBytes = cut.endPosition - cut.position
    // A crash between this and the cut makes recovery come here again with the same bytes.
    const keptBefore = await keptOf(files, dir, cut)
    kept += keptBefore
    const copied = keptBefore > 0 ? 0 : Math.min(sizeBytes, room)
    if (copied <= 0) continue
    try {
      await copy(files, dir, { ...cut, endPosition: cut.position + copied })
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return kept
    }
    room -= copied
    kept += copied
  }
  return kept
}

/** The nth name for a cut; more than one is needed when a log was cut twice at one place. */
function quarantineName(cut: CutBytes, n: number): string {
  const base = String(cut.baseOffset).padStart(20, '0')
  return n === 0
    ? `${base}.${cut.position}.quarantined`
    : `${base}.${cut.position}.${n}.quarantined`
}

function keptBytes(files: Files, dir: string): number {
  let total = 0
  for (const { name } of files.list(dir)) {
    if (nameForm.test(name)) total += files.stat(join(dir, name))?.sizeBytes ?? 0
  }
  return total
}

/** How many of the first bytes of a cut lie in a file already. */
async function keptOf(files: Files, dir: string, cut: CutBytes): Promise<number> {
  for (let n = 0; ; n++) {
    const path = join(dir, quarantineName(cut, n))
    const sizeBytes = files.stat(path)?.sizeBytes
    if (sizeBytes === undefined) return 0
    const endPosition = cut.position + sizeBytes
    if (endPosition > cut.endPosition) continue
    if (await isCopyOf(files, path, { ...cut, endPosition })) return sizeBytes
  }
}

async function isCopyOf(files: Files, path: string, cut: CutBytes): Promise<boolean> {
  const copied = await attempt({ path, operation: 'open' }, () => files.open(path, 'read'))
  try {
    let isSame = true
    await eachChunk(files, cut, async (bytes, offset) => {
      const other = Buffer.allocUnsafe(bytes.length)
      const present = await readFully(copied, other, offset)
      isSame &&= present === bytes.length && other.equals(bytes)
    })
    return isSame
  } finally {
    copied.close()
  }
}

async function copy(files: Files, dir: string, cut: CutBytes): Promise<void> {
  let n = 0
  while (files.stat(join(dir, quarantineName(cut, n))) !== null) n++
  const path = join(dir, quarantineName(cut, n))
  const temporaryPath = `${path}.tmp`
  try {
    if (files.stat(temporaryPath) !== null) {
      await attempt({ path: temporaryPath, operation: 'remove' }, () => files.remove(temporaryPath))
    }
    const at = { path: temporaryPath, operation: 'create' }
    const file = await attempt(at, () => files.open(temporaryPath, 'create'))
    await fill(files, file, cut)
    await attempt({ path, operation: 'rename' }, () => files.rename(temporaryPath, path))
  } catch (error) {
    // The first error is the one to report; a file that stays behind is replaced by the next call.
    await files.remove(temporaryPath).catch(() => undefined)
    throw error
  }
}

async function fill(files: Files, file: OpenFile, cut: CutBytes): Promise<void> {
  try {
    await eachChunk(files, cut, (bytes, offset) => writeFully(file, bytes, offset))
    await attempt({ path: file.path, operation: 'sync' }, () => file.syncData())
  } finally {
    file.close()
  }
}

async function eachChunk(
  files: Files,
  cut: CutBytes,
  onBytes: (bytes: Buffer, offset: number) => Promise<void>,
): Promise<void> {
  const { path } = cut
  const file = await attempt({ path, operation: 'open' }, () => files.open(path, 'read'))
  try {
    const sizeBytes = cut.endPosition - cut.position
    const buffer = Buffer.allocUnsafe(Math.min(copyBytes, sizeBytes))
    for (let offset = 0; offset < sizeBytes; ) {
      const wanted = buffer.subarray(0, Math.min(buffer.length, sizeBytes - offset))
      const present = await readFully(file, wanted, cut.position + offset)
      if (present === 0) return
      await onBytes(wanted.subarray(0, present), offset)
      offset += present
    }
  } finally {
    file.close()
  }
}

/** Damage done to files on purpose, durable at once. */
import type { Files } from '../../lib/files/files.ts'
import { get, put } from './log-files.ts'

/** Inverts bits of one byte. */
export async function flip(
  files: Files,
  path: string,
  at: { readonly position: number; readonly mask?: number },
): Promise<void> {
  const bytes = get(files, path)
  bytes.writeUInt8(bytes.readUInt8(at.position) ^ (at.mask ?? 0xff), at.position)
  await overwrite(files, path, bytes)
}

/** Cuts the file. */
export async function cut(files: Files, path: string, sizeBytes: number): Promise<void> {
  const file = files.open(path, 'write')
  file.truncate(sizeBytes)
  await file.syncData()
  file.close()
}

/** Adds bytes at the end. */
export async function add(files: Files, path: string, bytes: Buffer): Promise<void> {
  await overwrite(files, path, Buffer.concat([get(files, path), bytes]))
}

/** Replaces the content. */
export async function overwrite(files: Files, path: string, bytes: Buffer): Promise<void> {
  await put(files, path, bytes)
  await files.syncDirectory(path.slice(0, path.lastIndexOf('/')))
}

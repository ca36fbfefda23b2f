/**
 * Putting a compacted segment in the place of those that it was made of. The new log lies synced in
 * `<base offset>.log.cleaned`; the steps are
 *
 * 1. the manifest loses the lines of the old segments, which also makes the new name durable;
 * 2. an empty file `<base offset>.<next offset>.compacted` is made, durably: that is the commit;
 * 3. the index files of the first old segment are removed, durably: they must not outlive its log;
 * 4. `.log.cleaned` is renamed to `.log`, over the first old segment, which has another name for a while;
 * 5. the other old segments are removed, which becomes durable together with the rename;
 * 6. the `.compacted` file is removed, durably. It would delete what a later log puts in its range.
 *
 * As long as the `.compacted` file is there the manifest has no line for anything in its range.
 *
 * A crash before step 2 leaves the old segments, and the `.cleaned` file is removed at the next open.
 * After it, opening does what is left of steps 3 to 6: the old segments are in the range that the
 * name tells. Both ways every record that was visible still is, or was superseded by one that is.
 * Kafka renames to `.swap` first and removes the old segments before the new one has its name. Here
 * the range is told by a file of its own, so that whoever lists the directory always finds every offset.
 */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { batchHeaderBytes, batchSizeAt, nextOffsetAt } from '../record/batch-format.ts'
import { parseDecimal, replaceFile } from './checkpoint-file.ts'
import type { FileHandles } from './file-handles.ts'
import { attempt, readFully } from './file-io.ts'
import { manifestName, type PartitionFiles } from './partition-files.ts'
import { segmentPath } from './segment.ts'
import { formatManifest } from './segments-manifest.ts'

const cleanedSuffix = '.cleaned'
const asideSuffix = '.replaced'
const markerForm = /^(\d{20})\.(\d+)\.compacted$/
const uselessForm = /^\d{20}\.log\.(cleaned|replaced)$/

/** The offsets `[baseOffset, nextOffset)` whose segments become one. */
export interface SwapRange {
  readonly baseOffset: number
  readonly nextOffset: number
}

function asidePath(dir: string, baseOffset: number): string {
  return `${segmentPath(dir, baseOffset, 'log')}${asideSuffix}`
}

/** Path of a compacted segment that is not in its place yet. */
export function cleanedPath(dir: string, baseOffset: number): string {
  return `${segmentPath(dir, baseOffset, 'log')}${cleanedSuffix}`
}

function markerPath(dir: string, { baseOffset, nextOffset }: SwapRange): string {
  return join(dir, `${String(baseOffset).padStart(20, '0')}.${nextOffset}.compacted`)
}

/** Who keeps the list of the partition's segments. */
export interface SwapHost {
  /** Whether the old segments are all still in the log. */
  isCurrent(): boolean
  /** Step 1. */
  dropLines(): Promise<void>
  /** The new segment has its name: from here on the old ones are not looked for any more. */
  publish(): void
}

/** A swap, as far as its files go. */
export interface SwapFiles {
  readonly dir: string
  readonly range: SwapRange
  /** Base offsets of the old segments, which are all that lie in the range. */
  readonly bases: readonly number[]
}

/** What a swap works with. */
export interface SwapEnvironment {
  readonly files: Files
  readonly handles: FileHandles
}

/**
 * What became of a swap. `unsettled`: it failed, and so did taking it back or ending it. Until
 * `settleSwap` has done that its range must be left alone: the next open may end it, whichever of the
 * two the log goes on with.
 */
export type SwapOutcome =
  | { readonly kind: 'done' | 'outdated' }
  | { readonly kind: 'failed' | 'unsettled'; readonly error: Error }

/** Does steps 1 to 6. */
export async function swapSegments(
  environment: SwapEnvironment,
  swap: SwapFiles,
  host: SwapHost,
): Promise<SwapOutcome> {
  const { files, handles } = environment
  const { dir, range } = swap
  try {
    await host.dropLines()
    await commitSwap(files, dir, range)
    const path = segmentPath(dir, range.baseOffset, 'log')
    await handles.retire(path)
    if (!host.isCurrent()) return await takeBack(files, dir, range)
    handles.forget(path)
    keepAside(files, path)
    files.rename(cleanedPath(dir, range.baseOffset), path)
  } catch (error) {
    const outcome = await takeBack(files, dir, range)
    return outcome.kind === 'unsettled' ? outcome : { kind: 'failed', error: error as Error }
  }
  host.publish()
  try {
    await removeOld(environment, swap)
    return { kind: 'done' }
  } catch (error) {
    return { kind: 'unsettled', error: error as Error }
  }
}

/**
 * Ends a swap that is unsettled the way that the log went on: with the new segment when that was
 * published, else with the old ones. Every step may have been done before, and a crash leaves what
 * one before would have left.
 *
 * @throws {StorageError} when the file system fails again: the swap is unsettled still
 */
export async function settleSwap(
  environment: SwapEnvironment,
  swap: SwapFiles,
  isPublished: boolean,
): Promise<void> {
  if (isPublished) await removeOld(environment, swap)
  else await undo(environment.files, swap.dir, swap.range)
}

/** Steps 5 and 6. */
async function removeOld({ files, handles }: SwapEnvironment, swap: SwapFiles): Promise<void> {
  const { dir, range, bases } = swap
  for (const base of bases.slice(1)) {
    await handles.retire(segmentPath(dir, base, 'log'))
    await removeReplaced(files, dir, base)
  }
  await removeIfThere(files, asidePath(dir, range.baseOffset))
  await endSwap(files, dir, range)
}

/**
 * Gives an old log a second name. The rename over the first one would have the file system free all
 * of it there and then, 10 ms and more for 128 MiB, while the removal of a name is left to the pool.
 */
function keepAside(files: Files, path: string): void {
  try {
    files.link(path, `${path}${asideSuffix}`)
  } catch {
    // A file system without links is only slower.
  }
}

/** Steps 2 and 3. */
async function commitSwap(files: Files, dir: string, range: SwapRange): Promise<void> {
  const path = markerPath(dir, range)
  await attempt({ path, operation: 'create' }, () => files.open(path, 'create').close())
  await syncDirectory(files, dir)
  await removeIndexes(files, dir, range.baseOffset)
}

/** Undoes what comes before step 4. When that fails too the next open may find the swap committed. */
async function takeBack(files: Files, dir: string, range: SwapRange): Promise<SwapOutcome> {
  try {
    await undo(files, dir, range)
    return { kind: 'outdated' }
  } catch (error) {
    return { kind: 'unsettled', error: error as Error }
  }
}

/** The mark goes first, durably: with it what lies in `.cleaned` would take the place of the old segments. */
async function undo(files: Files, dir: string, range: SwapRange): Promise<void> {
  await removeIfThere(files, markerPath(dir, range))
  await syncDirectory(files, dir)
  await removeIfThere(files, cleanedPath(dir, range.baseOffset))
  await removeIfThere(files, asidePath(dir, range.baseOffset))
}

/** What makes steps 4 and 5 durable, and step 6. */
async function endSwap(files: Files, dir: string, range: SwapRange): Promise<void> {
  await syncDirectory(files, dir)
  await removeIfThere(files, markerPath(dir, range))
  await syncDirectory(files, dir)
}

/** Removes the three files of an old segment; not durably. */
async function removeReplaced(files: Files, dir: string, baseOffset: number): Promise<void> {
  for (const suffix of ['index', 'timeindex', 'log'] as const) {
    await removeIfThere(files, segmentPath(dir, baseOffset, suffix))
  }
}

/**
 * At open: ends the swaps that were committed and removes what others left. Durable when it
 * resolves, and the same when done twice.
 *
 * @throws {StorageError} when the file system fails
 */
export async function finishSwaps(files: Files, dir: string, found: PartitionFiles): Promise<void> {
  for (const name of found.swapNames) {
    const range = parseMarker(name)
    if (range !== null) await finishSwap(files, dir, { range, found })
  }
  for (const name of found.swapNames) {
    if (uselessForm.test(name)) await removeIfThere(files, join(dir, name))
  }
}

async function finishSwap(
  files: Files,
  dir: string,
  at: { readonly range: SwapRange; readonly found: PartitionFiles },
): Promise<void> {
  const { range, found } = at
  const { baseOffset, nextOffset } = range
  const isInside = (base: number): boolean => base >= baseOffset && base < nextOffset
  // Step 1 has removed them. One that is there all the same would say of the new log what was so of an old one.
  const sealed = found.manifest.sealed.filter(line => !isInside(line.baseOffset))
  if (sealed.length < found.manifest.sealed.length) {
    const path = join(dir, manifestName)
    const text = formatManifest({ ...found.manifest, sealed })
    await attempt({ path, operation: 'replace' }, () => replaceFile(files, path, text))
  }
  if (files.stat(cleanedPath(dir, baseOffset)) !== null) {
    await removeIndexes(files, dir, baseOffset)
    const path = segmentPath(dir, baseOffset, 'log')
    const from = cleanedPath(dir, baseOffset)
    await attempt({ path, operation: 'rename' }, () => files.rename(from, path))
  }
  await syncDirectory(files, dir)
  const others = found.bases.filter(base => base !== baseOffset && isInside(base))
  // What says that they are superseded is an empty file. Only the segment that has their offsets is proof.
  if (others.length > 0 && (await endOf(files, dir, baseOffset)) === nextOffset) {
    for (const base of others) await removeReplaced(files, dir, base)
  }
  await endSwap(files, dir, range)
}

function parseMarker(name: string): SwapRange | null {
  const [, base, next] = markerForm.exec(name) ?? []
  const nextOffset = parseDecimal(next ?? '')
  return nextOffset === null ? null : { baseOffset: Number(base), nextOffset }
}

/** The offset behind the last batch of a segment, found by its headers; -1 when they lead nowhere. */
async function endOf(files: Files, dir: string, baseOffset: number): Promise<number> {
  const path = segmentPath(dir, baseOffset, 'log')
  if (files.stat(path) === null) return -1
  const file = await attempt({ path, operation: 'open' }, () => files.open(path, 'read'))
  try {
    const header = Buffer.allocUnsafe(batchHeaderBytes)
    const endPosition = file.sizeBytes()
    let nextOffset = baseOffset
    let position = 0
    while (position < endPosition) {
      if ((await readFully(file, header, position)) < header.length) return -1
      if (batchSizeAt(header, 0) < batchHeaderBytes) return -1
      nextOffset = nextOffsetAt(header, 0)
      position += batchSizeAt(header, 0)
    }
    return position === endPosition ? nextOffset : -1
  } finally {
    file.close()
  }
}

async function removeIndexes(files: Files, dir: string, baseOffset: number): Promise<void> {
  for (const suffix of ['index', 'timeindex'] as const) {
    await removeIfThere(files, segmentPath(dir, baseOffset, suffix))
  }
  await syncDirectory(files, dir)
}

async function removeIfThere(files: Files, path: string): Promise<void> {
  if (files.stat(path) === null) return
  await attempt({ path, operation: 'remove' }, () => files.remove(path))
}

function syncDirectory(files: Files, path: string): Promise<void> {
  return attempt({ path, operation: 'sync' }, () => files.syncDirectory(path))
}

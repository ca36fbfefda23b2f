/**
 * What a power cut may leave of a file. Its synced content is known, and the changes made since, in
 * the order in which readers saw them. Each may have reached the disk, or not, in this way:
 *
 * - data goes to the disk by pages of 4 KiB, each at its own time: a page is as it was synced, as it
 *   is now, as it was at some time between, or torn: some sectors of 512 bytes from one such time
 *   and the rest from another;
 * - a truncate took place or did not, each by itself;
 * - the size is that of the synced file, the latest, or one between; where the size grew and the
 *   data is missing there are zeros.
 *
 * It follows that a sector keeps its synced bytes, except those overwritten since.
 */
import type { PagedBytes } from './paged-bytes.ts'
import type { SeededRandom } from './seeded-random.ts'

/** Data reaches the disk by pages of this size. */
export const PAGE_BYTES = 4096

/** A page that is torn is torn between sectors of this size. */
export const SECTOR_BYTES = 512

/** A call that changes a file; it may still be under way. */
export interface ChangingCall {
  isDone: boolean
}

/** One change of a file's content. */
export interface ContentChange {
  /** `grow` makes the size at least `position`; the data that belongs there is lost. */
  readonly kind: 'write' | 'truncate' | 'grow'
  /** The position of a write, or the size that a truncate sets. */
  readonly position: number
  /** What is written; empty unless this is a write. */
  readonly bytes: Buffer
  readonly call: ChangingCall
}

/** Makes a change in the content of a file. */
export function applyContentChange(content: PagedBytes, change: ContentChange): void {
  if (change.kind === 'write') content.write(change.bytes, change.position)
  else if (change.kind === 'truncate') content.resize(change.position)
  else if (change.position > content.sizeBytes) content.resize(change.position)
}

/** Turns the synced content into what a power cut leaves, given the changes since, oldest first. */
export function drawContent(
  content: PagedBytes,
  changes: readonly ContentChange[],
  random: SeededRandom,
): void {
  const kept = changes.filter(change => change.kind !== 'truncate' || random.chance(0.5))
  const sizeBytes = drawSize(content.sizeBytes, kept, random)
  const pages = Array.from(changesByPage(kept), ([page, list]) => ({
    position: page * PAGE_BYTES,
    bytes: drawPage({ content, position: page * PAGE_BYTES, changes: list }, random),
  }))
  for (const change of kept) {
    if (change.kind === 'truncate' && change.position < content.sizeBytes) {
      content.resize(change.position)
    }
  }
  for (const { position, bytes } of pages) content.write(bytes, position)
  content.resize(sizeBytes)
}

/** The writes that touch each page, with the truncates before, between and behind them. */
function changesByPage(changes: readonly ContentChange[]): Map<number, ContentChange[]> {
  const pages = new Map<number, ContentChange[]>()
  const truncates: ContentChange[] = []
  for (const change of changes) {
    if (change.kind === 'truncate') {
      truncates.push(change)
      for (const list of pages.values()) list.push(change)
    } else if (change.kind === 'write') {
      const first = Math.floor(change.position / PAGE_BYTES)
      const last = Math.floor((change.position + change.bytes.length - 1) / PAGE_BYTES)
      for (let page = first; page <= last; page++) {
        const list = pages.get(page)
        if (list === undefined) pages.set(page, [...truncates, change])
        else list.push(change)
      }
    }
  }
  return pages
}

interface UnsyncedPage {
  readonly content: PagedBytes
  readonly position: number
  readonly changes: readonly ContentChange[]
}

function drawPage(page: UnsyncedPage, random: SeededRandom): Buffer {
  const writeCount = page.changes.filter(change => change.kind === 'write').length
  const fate = random.pick(['old', 'new', 'between', 'torn'])
  if (fate === 'old') return pageAt(page, 0)
  if (fate === 'new') return pageAt(page, writeCount)
  if (fate === 'between') return pageAt(page, random.below(writeCount + 1))
  const earlier = random.below(writeCount)
  const torn = pageAt(page, earlier)
  const later = pageAt(page, earlier + 1 + random.below(writeCount - earlier))
  for (let sector = 0; sector < PAGE_BYTES; sector += SECTOR_BYTES) {
    if (random.chance(0.5)) later.copy(torn, sector, sector, sector + SECTOR_BYTES)
  }
  return torn
}

/** The page as it was after its first `writeCount` writes; truncates always count. */
function pageAt(page: UnsyncedPage, writeCount: number): Buffer {
  const bytes = Buffer.alloc(PAGE_BYTES)
  page.content.read(bytes, page.position)
  let written = 0
  for (const change of page.changes) {
    const at = change.position - page.position
    if (change.kind === 'truncate') {
      if (at < PAGE_BYTES) bytes.fill(0, Math.max(0, at))
    } else if (written++ < writeCount) {
      change.bytes.copy(bytes, Math.max(0, at), Math.max(0, -at), PAGE_BYTES - at)
    }
  }
  return bytes
}

function drawSize(
  syncedBytes: number,
  changes: readonly ContentChange[],
  random: SeededRandom,
): number {
  // What the size was after each change since it was last set by force.
  let sizes = [syncedBytes]
  for (const change of changes) {
    const end = change.position + change.bytes.length
    if (change.kind === 'truncate') sizes = [end]
    else if (end > (sizes.at(-1) ?? 0)) sizes.push(end)
  }
  const least = sizes[0] ?? syncedBytes
  const most = sizes.at(-1) ?? syncedBytes
  const fate = random.pick(['least', 'most', 'between', 'page'])
  if (fate === 'least') return least
  if (fate === 'most') return most
  if (fate === 'between') return sizes[random.below(sizes.length)] ?? most
  const firstPage = Math.ceil(least / PAGE_BYTES)
  const pageCount = Math.floor(most / PAGE_BYTES) - firstPage + 1
  return pageCount < 1 ? most : (firstPage + random.below(pageCount)) * PAGE_BYTES
}

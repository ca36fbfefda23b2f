const PAGE_BYTES = 64 * 1024
const SMALLEST_PAGE_BYTES = 256

/**
 * A growable, sparse array of bytes: the content of a file that is held in memory.
 *
 * It is kept in pages of 64 KiB, so growing never copies what is already there; a page starts small
 * and doubles, so that a small file stays small. A byte that was never written is zero.
 */
export class PagedBytes {
  /** A page may be absent, or shorter than a page is; what is missing is zeros. */
  readonly #pages: (Buffer | undefined)[] = []
  #sizeBytes = 0

  /** The position behind the last byte. */
  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Copies bytes from `position` on into `target` and gives their count: short only at the end. */
  read(target: Buffer, position: number): number {
    const end = Math.min(position + target.length, this.#sizeBytes)
    let at = position
    while (at < end) {
      const index = Math.floor(at / PAGE_BYTES)
      const inPage = at - index * PAGE_BYTES
      const count = Math.min(PAGE_BYTES - inPage, end - at)
      const from = at - position
      const page = this.#pages[index]
      const present = page === undefined || page.length <= inPage ? 0 : page.length - inPage
      const copied = Math.min(present, count)
      if (copied > 0) page?.copy(target, from, inPage, inPage + copied)
      if (copied < count) target.fill(0, from + copied, from + count)
      at += count
    }
    return Math.max(0, end - position)
  }

  /** Copies `source` to `position`, growing as needed. A gap before it reads as zeros. */
  write(source: Buffer, position: number): void {
    let done = 0
    while (done < source.length) {
      const index = Math.floor((position + done) / PAGE_BYTES)
      const inPage = position + done - index * PAGE_BYTES
      const count = Math.min(PAGE_BYTES - inPage, source.length - done)
      source.copy(this.#pageOf(index, inPage + count), inPage, done, done + count)
      done += count
    }
    if (done > 0) this.#sizeBytes = Math.max(this.#sizeBytes, position + done)
  }

  /** Cuts, or grows with zeros. */
  resize(sizeBytes: number): void {
    if (sizeBytes < this.#sizeBytes) {
      const index = Math.floor(sizeBytes / PAGE_BYTES)
      const inPage = sizeBytes - index * PAGE_BYTES
      this.#pages.length = Math.min(this.#pages.length, inPage === 0 ? index : index + 1)
      // What is cut must read as zeros when the file grows over it again.
      const last = this.#pages[index]
      if (last !== undefined && inPage < last.length) last.fill(0, inPage)
    }
    this.#sizeBytes = sizeBytes
  }

  /** An independent copy. */
  clone(): PagedBytes {
    const copy = new PagedBytes()
    this.#pages.forEach((page, index) => {
      if (page !== undefined) copy.#pages[index] = Buffer.from(page)
    })
    copy.#sizeBytes = this.#sizeBytes
    return copy
  }

  /** The page, grown so that its first `neededBytes` are there. */
  #pageOf(index: number, neededBytes: number): Buffer {
    const page = this.#pages[index]
    if (page !== undefined && page.length >= neededBytes) return page
    const doubled = Math.max(SMALLEST_PAGE_BYTES, neededBytes, (page?.length ?? 0) * 2)
    const grown = Buffer.alloc(Math.min(PAGE_BYTES, doubled))
    page?.copy(grown)
    this.#pages[index] = grown
    return grown
  }
}

/**
 * `producer.ids` in the log directory: which ids of idempotent producers have been handed out. UTF-8,
 * LF after every line:
 *
 *     varve producer ids 1      format version
 *     next 2000                 every id below has been handed out, or reserved and never used
 *     crc32 6a9bcc73            CRC-32 of all bytes before this line
 *
 * Ids are reserved in blocks of 1000, as Kafka does. The file says so durably before the first id of a
 * block is handed out, and a block is never taken up again by another session: so whatever a crash
 * leaves of the file, old or new, no id is handed out twice. A file that is missing or damaged is made
 * anew above every id that any partition knows; ids below that no partition knows are nobody's any
 * more, and a partition that does not know an id has nothing that it could take for a duplicate.
 */
import { join } from 'node:path'

import { UnsupportedFormatError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import { fileNames, storageCall, storageWait } from '../log/directory-layout.ts'
import { checkedText, parseDecimal, replaceFile, withChecksum } from '../storage/checkpoint-file.ts'

const formatVersion = '1'

const blockSize = 1000

/** The text of the file. */
export function formatProducerIds(next: number): string {
  return withChecksum(`varve producer ids ${formatVersion}\nnext ${next}\n`)
}

/**
 * The first id that has not been handed out, by the text of the file; null when it is damaged.
 *
 * @throws {UnsupportedFormatError} when the checksum holds and the content is not of this version
 */
export function parseProducerIds(text: string, path: string): number | null {
  const checked = checkedText(text)
  if (checked === null) return null
  const [first = '', second = '', ...others] = checked.split('\n')
  const version = /^varve producer ids (\S+)$/.exec(first)?.[1]
  const next = parseDecimal(/^next (\d+)$/.exec(second)?.[1] ?? '')
  const isUnderstood = version === formatVersion && next !== null && others.join('') === ''
  if (!isUnderstood) throw new UnsupportedFormatError(path, version ?? first, formatVersion)
  return next
}

/** Hands out producer ids. Calls may overlap. */
export class ProducerIds {
  readonly #files: Files
  readonly #path: string
  readonly #largestKnownId: () => number
  /** The rest of the block that is reserved: `[next, end)`. */
  #next = 0
  #end = 0
  #last: Promise<unknown> = Promise.resolve()

  /** `largestKnownId` is the largest that any partition knows, -1 when none knows any. */
  constructor(files: Files, dir: string, largestKnownId: () => number) {
    this.#files = files
    this.#path = join(dir, fileNames.producerIds)
    this.#largestKnownId = largestKnownId
  }

  /**
   * An id that nobody has had and nobody will get.
   *
   * @throws {StorageError} when it cannot be made sure; a later call may succeed
   * @throws {UnsupportedFormatError} when a newer version wrote the file
   */
  take(): Promise<number> {
    const taken = this.#last.then(async () => {
      if (this.#next === this.#end) await this.#reserve()
      return this.#next++
    })
    this.#last = taken.catch(() => undefined)
    return taken
  }

  async #reserve(): Promise<void> {
    const bytes = storageCall(this.#path, 'read', () => this.#files.readFile(this.#path))
    const said = bytes === null ? null : parseProducerIds(bytes.toString(), this.#path)
    // Partitions that came from elsewhere may know ids that were never handed out here.
    const least = Math.max(said ?? 0, this.#largestKnownId() + 1)
    const start = Math.ceil(least / blockSize) * blockSize
    const content = formatProducerIds(start + blockSize)
    await storageWait(this.#path, 'replace', () => replaceFile(this.#files, this.#path, content))
    this.#next = start
    this.#end = start + blockSize
  }
}

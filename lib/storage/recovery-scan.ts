/**
 * The scan of a partition's last segments after an unclean stop: what of them is the log, what is
 * damage, and where the rest is to be cut. It removes nothing; what it keeps above the recovery
 * point it writes again in place, because a page that a failed sync left clean reads well until the
 * power goes. It writes the very bytes whose checksum it has seen: the page could be dropped, and
 * come back from the disk as something else, before a second read.
 */
import assert from 'node:assert/strict'

import type { CorruptReason } from '../errors.ts'
import type { Files, OpenFile } from '../files/files.ts'
import { batchSizeAt, leaderEpochAt, nextOffsetAt } from '../record/batch-format.ts'
import { type ScanResult, scanBatches } from './batch-scan.ts'
import { type Boundary, type Chain, findChain } from './batch-search.ts'
import type { Damage } from './environment.ts'
import { attempt, writeFully } from './file-io.ts'
import type { OffsetIndex } from './offset-index.ts'
import { decide, type RecoveryDecision } from './recovery.ts'
import { ActiveSegment, segmentPath } from './segment.ts'
import { locateStart } from './segment-start.ts'
import { headersCrc, type SegmentFacts } from './segments-manifest.ts'

/** Relative offsets are int32, so no segment reaches further. */
const offsetsPerSegment = 2 ** 31

/** What to scan, and what is known before. */
export interface ScanPlan {
  readonly files: Files
  readonly dir: string
  /** Base offsets of the segments to scan, ascending, without one left out. */
  readonly bases: readonly number[]
  /** Offset at which the scan of the first one begins, or a little before. */
  readonly scanFrom: number
  /** What lies above is not known to be synced and is written again. */
  readonly recoveryPoint: number
  /** Nothing below is ever cut; see `recovery.ts`. */
  readonly durableEnd: number
  /** No batch of the last segment may end above. @default no limit */
  readonly limitOffset?: number | undefined
  /** The highest leader epoch on record; null when there is no record. */
  readonly knownLeaderEpoch: number | null
  /** What the last clean close said of one of the segments. */
  readonly knownFacts: SegmentFacts | null
  readonly indexIntervalBytes: number
  readonly nowMs: number
  /** Sees every batch that is kept, in order. */
  readonly onBatch: (buffer: Buffer, position: number) => void
}

/** One segment as the scan leaves it. */
export interface ScannedSegment {
  /** The good part, with its indexes. */
  readonly segment: ActiveSegment
  /** Size of the file, whatever is in it. */
  readonly fileBytes: number
  /** Over all its batches; null when they were not all seen. */
  readonly headersCrc: number | null
}

/** What the scan found. */
export interface LogScan {
  /** The segments that stay, ascending. */
  readonly segments: readonly ScannedSegment[]
  readonly damage: readonly Damage[]
  readonly logEndOffset: number
  /** Behind the last record that is kept. */
  readonly keptTo: number
  /** Everything behind the good part of the last of `segments`, and every later segment, must go. */
  readonly isCut: boolean
  /** The last of `segments` is damaged at its end and must not be touched: appends go to a new one. */
  readonly isRestart: boolean
  /** The highest leader epoch seen. */
  readonly leaderEpoch: number
  readonly scannedBytes: number
}

/** Scans, and syncs every file that it has scanned. */
export function scanLog(plan: ScanPlan): Promise<LogScan> {
  return new LogScanner(plan).run()
}

/** A segment while it is scanned. */
interface OpenScan {
  readonly file: OpenFile
  readonly fileBytes: number
  readonly segment: ActiveSegment
  readonly index: OffsetIndex | null
  readonly nextBase: number | undefined
  readonly limitOffset: number
  /** The checksum over the headers of the batches up to a position. */
  readonly headers: { position: number; crc: number }
  /** Where the bytes begin that must be written again. */
  rewriteFrom: number
}

class LogScanner {
  readonly #plan: ScanPlan
  readonly #segments: ScannedSegment[] = []
  readonly #damage: Damage[] = []
  /** Behind the last batch that is kept, or where reading goes on behind damage. */
  #nextOffset = 0
  #keptTo = 0
  /** What the next batch must have at least. */
  #minLeaderEpoch = -1
  #leaderEpoch = -1
  #scannedBytes = 0
  /** Behind the highest batch found anywhere, kept or not. */
  #seenOffset = 0

  constructor(plan: ScanPlan) {
    this.#plan = plan
  }

  async run(): Promise<LogScan> {
    let decision: RecoveryDecision = 'finish'
    for (const index of this.#plan.bases.keys()) {
      decision = await this.#scanSegment(index)
      if (decision !== 'advance' && decision !== 'leave') break
    }
    assert.ok(decision !== 'advance' && decision !== 'leave', 'a scan ends at its last segment')
    return {
      segments: this.#segments,
      damage: this.#damage,
      logEndOffset: this.#nextOffset,
      keptTo: this.#keptTo,
      isCut: decision === 'cut',
      isRestart: decision === 'restart',
      leaderEpoch: this.#leaderEpoch,
      scannedBytes: this.#scannedBytes,
    }
  }

  async #scanSegment(index: number): Promise<RecoveryDecision> {
    const { files, dir, bases } = this.#plan
    const path = segmentPath(dir, bases[index] as number, 'log')
    const file = await attempt({ path, operation: 'open' }, () => files.open(path, 'write'))
    try {
      const scan = await this.#begin(file, index)
      const decision = await this.#walk(scan)
      await attempt({ path, operation: 'sync' }, () => file.syncData())
      const { segment, headers, fileBytes } = scan
      const crc = headers.position === segment.sizeBytes ? headers.crc : null
      this.#segments.push({ segment, fileBytes, headersCrc: crc })
      return decision
    } finally {
      file.close()
    }
  }

  async #begin(file: OpenFile, index: number): Promise<OpenScan> {
    const { files, bases, durableEnd, knownFacts, nowMs } = this.#plan
    const baseOffset = bases[index] as number
    const fileBytes = file.sizeBytes()
    const target = index === 0 ? this.#plan.scanFrom : baseOffset
    const start = await locateStart(files, file, { baseOffset, target, endPosition: fileBytes })
    const segment = new ActiveSegment(start.state, nowMs)
    const nextBase = bases[index + 1]
    const limit = nextBase ?? this.#plan.limitOffset
    const isKnown =
      knownFacts?.baseOffset === baseOffset &&
      knownFacts.headersCrc !== null &&
      segment.sizeBytes > 0 &&
      segment.sizeBytes <= knownFacts.sizeBytes
    if (index === 0) this.#keptTo = segment.nextOffset
    this.#nextOffset = segment.nextOffset
    this.#note(start.leaderEpoch)
    this.#minLeaderEpoch = Math.max(this.#minLeaderEpoch, this.#plausible(start.leaderEpoch))
    return {
      file,
      fileBytes,
      segment,
      index: start.index,
      nextBase,
      limitOffset: Math.min(
        baseOffset + offsetsPerSegment,
        limit !== undefined && limit <= durableEnd ? limit : Number.POSITIVE_INFINITY,
      ),
      headers: isKnown
        ? { position: knownFacts.sizeBytes, crc: knownFacts.headersCrc }
        : { position: segment.sizeBytes === 0 ? 0 : -1, crc: 0 },
      rewriteFrom: Number.POSITIVE_INFINITY,
    }
  }

  async #walk(scan: OpenScan): Promise<RecoveryDecision> {
    for (;;) {
      const startPosition = scan.segment.sizeBytes
      const result = await this.#scanBatches(scan)
      this.#scannedBytes += result.position - startPosition
      this.#minLeaderEpoch = result.leaderEpoch
      const isDurableEndReached = this.#nextOffset >= this.#plan.durableEnd
      const isBad = result.end.kind !== 'end'
      const behind = isBad && !isDurableEndReached ? await this.#findResume(scan, result) : null
      const decision = decide({
        end: result.end.kind,
        isDurableEndReached,
        canResume: behind !== null,
        next: this.#next(scan),
      })
      if (decision === 'skip') {
        assert.ok(behind !== null, 'there is a place to resume')
        this.#resume(scan, result, behind)
        continue
      }
      if (decision === 'leave') this.#goOnAt(scan, result, scan.nextBase ?? 0)
      if (decision === 'restart') {
        this.#goOnAt(scan, result, Math.max(this.#plan.durableEnd, this.#seenOffset))
      }
      return decision
    }
  }

  #next(scan: OpenScan): 'none' | 'continues' | 'apart' {
    if (scan.nextBase === undefined) return 'none'
    return scan.nextBase === this.#nextOffset ? 'continues' : 'apart'
  }

  #scanBatches(scan: OpenScan): Promise<ScanResult> {
    const { segment, file, headers } = scan
    const { recoveryPoint, nowMs, indexIntervalBytes, onBatch } = this.#plan
    return scanBatches(file, {
      startPosition: segment.sizeBytes,
      endPosition: scan.fileBytes,
      expectedOffset: this.#nextOffset,
      minLeaderEpoch: this.#minLeaderEpoch,
      maxLeaderEpoch: this.#plan.knownLeaderEpoch ?? undefined,
      limitOffset: scan.limitOffset,
      onBatch: (buffer, position, filePosition) => {
        const sizeBytes = batchSizeAt(buffer, position)
        segment.noteBatch(buffer, position, { sizeBytes, nowMs, indexIntervalBytes })
        this.#nextOffset = nextOffsetAt(buffer, position)
        this.#keptTo = this.#nextOffset
        this.#note(leaderEpochAt(buffer, position))
        if (this.#nextOffset > recoveryPoint) {
          scan.rewriteFrom = Math.min(scan.rewriteFrom, filePosition)
        }
        if (headers.position === filePosition) {
          headers.position += sizeBytes
          headers.crc = headersCrc(headers.crc, buffer, position)
        }
        onBatch(buffer, position)
      },
      onVerified: async (bytes, filePosition) => {
        const skipped = Math.max(0, scan.rewriteFrom - filePosition)
        if (skipped >= bytes.length) return
        await writeFully(file, bytes.subarray(skipped), filePosition + skipped)
      },
    })
  }

  /** The first batch behind the bad bytes that is proved to belong to the log. */
  async #findResume(scan: OpenScan, result: ScanResult): Promise<Chain | null> {
    const { recoveryPoint, durableEnd } = this.#plan
    const isAnchor = ({ baseOffset, nextOffset, position }: Boundary): boolean => {
      if (nextOffset === recoveryPoint || nextOffset === durableEnd) return true
      if (baseOffset === recoveryPoint || baseOffset === durableEnd) return true
      const entry = scan.index?.entryBehind(position - 1) ?? null
      return entry?.position === position && entry.offset === nextOffset - 1
    }
    let startPosition = result.position
    for (;;) {
      const chain = await findChain(
        scan.file,
        {
          startPosition,
          endPosition: scan.fileBytes,
          minOffset: this.#nextOffset,
          limitOffset: scan.limitOffset,
          minLeaderEpoch: this.#minLeaderEpoch,
        },
        isAnchor,
      )
      if (chain === null || chain.isAnchored) return chain
      this.#seenOffset = Math.max(this.#seenOffset, chain.nextOffset)
      this.#note(chain.leaderEpoch)
      startPosition = chain.endPosition
    }
  }

  #resume(scan: OpenScan, result: ScanResult, behind: Chain): void {
    this.#goOnAt(scan, result, behind.baseOffset)
    scan.segment.sizeBytes = behind.position
  }

  /** Reports everything up to `offset` as damaged. */
  #goOnAt(scan: OpenScan, { end }: ScanResult, offset: number): void {
    const reason: CorruptReason = end.kind === 'corrupt' ? end.reason : 'missing'
    const position = end.kind === 'end' ? scan.fileBytes : end.position
    const from = this.#nextOffset
    this.#damage.push({ from, to: offset, path: scan.file.path, position, reason })
    this.#nextOffset = offset
  }

  #note(leaderEpoch: number): void {
    this.#leaderEpoch = Math.max(this.#leaderEpoch, leaderEpoch)
  }

  #plausible(leaderEpoch: number): number {
    const { knownLeaderEpoch } = this.#plan
    return knownLeaderEpoch !== null && leaderEpoch > knownLeaderEpoch ? -1 : leaderEpoch
  }
}

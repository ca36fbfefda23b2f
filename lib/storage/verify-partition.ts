/**
 * Everything that lies in one partition's directory, checked against itself, while the partition is in
 * use. What is checked ends at the recovery point as it was at the start. Anything that is found is
 * looked at a second time before it counts, for files change under a verification: a segment that
 * retention removed or compaction replaced, an index that was just being written, is no finding.
 */
import { join } from 'node:path'

import { StorageError } from '../errors.ts'
import type { Files } from '../files/files.ts'
import type { Finding } from '../verification.ts'
import { isKnownDamage, isSettledDamage } from './damage.ts'
import type { Damage, PartitionIdentity, StorageEnvironment } from './environment.ts'
import { attempt, type ReadableFile } from './file-io.ts'
import { IndexesCheck } from './indexes-check.ts'
import { type LeaderEpochEntry, LeaderEpochs } from './leader-epochs.ts'
import { leaderEpochsName, manifestName } from './partition-files.ts'
import { ProducerState } from './producer-state.ts'
import { segmentPath } from './segment.ts'
import { type Manifest, parseManifest, type SegmentFacts } from './segments-manifest.ts'
import { parseSegmentFile } from './topic-name.ts'
import { type DamagedRange, type SegmentWalk, walkSegment } from './verify-segment.ts'
import type { WorkPace } from './work-pace.ts'

/** A segment as verification needs it. */
export interface VerifiableSegment {
  readonly baseOffset: number
  /** Bytes that hold whole batches; Infinity: up to the size of the file. */
  readonly endPosition: number
  /** Its index files are complete and must be there. */
  readonly hasIndexFiles: boolean
}

/** A partition that can be verified, whether this process writes it or another one does. */
export interface VerifiablePartition {
  readonly identity: PartitionIdentity
  readonly dir: string
  readonly logStartOffset: number
  readonly recoveryPoint: number
  readonly logEndOffset: number
  readonly sizeBytes: number
  readonly damage: readonly Damage[]
  /** The segments as they are now, in offset order. */
  verifiableSegments(): readonly VerifiableSegment[]
  /** Damage was found; does nothing when it is known. */
  noteDamage(damage: Damage): void
}

/** How a partition is verified. */
export interface PartitionVerifyRequest {
  readonly deep: boolean
  readonly pace: WorkPace
  /** Called with the bytes of log that were read. */
  readonly onChecked: (bytes: number) => void
}

/** What was found in one partition. */
export interface PartitionFindings {
  readonly from: number
  readonly to: number
  readonly segments: number
  readonly bytes: number
  readonly batches: number
  readonly records: number
  readonly findings: readonly Finding[]
  /** The ranges that the findings of type `damage` are about, in their order. */
  readonly damaged: readonly DamagedRange[]
  /** What is on record as damaged and could be read. */
  readonly stale: readonly Damage[]
  /** The leader epochs as the batches have them. */
  readonly epochRuns: readonly LeaderEpochEntry[]
}

/** What one segment, or the files beside the segments, came to. */
interface Look {
  readonly findings: readonly Finding[]
  readonly damaged: readonly DamagedRange[]
  readonly stale: readonly Damage[]
  readonly walk: SegmentWalk | null
}

const nothing: Look = { findings: [], damaged: [], stale: [], walk: null }

/**
 * Verifies the partition. Damage that was not known is told to it.
 *
 * @throws {CodecMissingError} when records are to be decoded and the package of their codec is not there
 * @throws {StorageError} when a file cannot be read
 */
export function verifyPartition(
  environment: StorageEnvironment,
  partition: VerifiablePartition,
  request: PartitionVerifyRequest,
): Promise<PartitionFindings> {
  return new PartitionVerifier(environment, partition, request).run()
}

class PartitionVerifier {
  readonly #environment: StorageEnvironment
  readonly #files: Files
  readonly #partition: VerifiablePartition
  readonly #request: PartitionVerifyRequest
  readonly #from: number
  readonly #to: number

  constructor(
    environment: StorageEnvironment,
    partition: VerifiablePartition,
    request: PartitionVerifyRequest,
  ) {
    this.#environment = environment
    this.#files = environment.files
    this.#partition = partition
    this.#request = request
    this.#from = partition.logStartOffset
    this.#to = partition.recoveryPoint
  }

  async run(): Promise<PartitionFindings> {
    const looks: Look[] = [await this.#twice(async () => this.#lookBeside())]
    const bases = this.#partition.verifiableSegments().map(segment => segment.baseOffset)
    for (const baseOffset of bases) {
      if (baseOffset > this.#to) break
      looks.push(await this.#twice(() => this.#lookAtSegment(baseOffset)))
    }
    const walks = looks.flatMap(look => look.walk ?? [])
    const sum = (of: (walk: SegmentWalk) => number): number =>
      walks.reduce((total, walk) => total + of(walk), 0)
    return {
      from: this.#from,
      to: this.#to,
      segments: walks.length,
      bytes: sum(walk => walk.bytes),
      batches: sum(walk => walk.batches),
      records: sum(walk => walk.records),
      findings: looks.flatMap(look => look.findings),
      damaged: looks.flatMap(look => look.damaged),
      stale: looks.flatMap(look => look.stale),
      epochRuns: walks.flatMap(walk => walk.epochRuns),
    }
  }

  /** What the second look does not see again was only under way. */
  async #twice(look: () => Promise<Look>): Promise<Look> {
    const first = await look()
    if (first.findings.length === 0) return first
    // Others may be in the middle of what was seen.
    await this.#request.pace.spent(1)
    const second = await look()
    const findings = seenTwice(first.findings, second.findings)
    const damaged = second.damaged.filter(range =>
      findings.some(it => it.path === range.path && it.position === range.position),
    )
    for (const { from, to, path, position, reason } of damaged) {
      this.#partition.noteDamage({ from, to, path, position, reason })
    }
    const stale = second.stale.filter(it => isKnownDamage(first.stale, it))
    return { walk: second.walk ?? first.walk, findings, damaged, stale }
  }

  async #lookAtSegment(baseOffset: number): Promise<Look> {
    const segments = this.#partition.verifiableSegments()
    const index = segments.findIndex(segment => segment.baseOffset === baseOffset)
    const segment = segments[index]
    if (segment === undefined) return nothing
    try {
      return await this.#walk(segment, segments[index + 1]?.baseOffset ?? null)
    } catch (error) {
      // Removed while it was read: what is gone is not wrong.
      if (isNotThere(error) && !this.#isListed(baseOffset)) return nothing
      throw error
    }
  }

  #isListed(baseOffset: number): boolean {
    return this.#partition.verifiableSegments().some(it => it.baseOffset === baseOffset)
  }

  async #walk(segment: VerifiableSegment, nextBase: number | null): Promise<Look> {
    const { baseOffset, hasIndexFiles } = segment
    const path = segmentPath(this.#partition.dir, baseOffset, 'log')
    const fileBytes = this.#files.stat(path)?.sizeBytes ?? null
    const isLast = nextBase === null || nextBase > this.#to
    const contents = {
      offsets: this.#read(segmentPath(this.#partition.dir, baseOffset, 'index')),
      times: this.#read(segmentPath(this.#partition.dir, baseOffset, 'timeindex')),
    }
    const indexes = new IndexesCheck(baseOffset, contents, hasIndexFiles)
    const { deep, pace, onChecked } = this.#request
    const walk = await walkSegment({
      file: new ReopenedFile(this.#environment, path),
      baseOffset,
      endPosition: Math.min(segment.endPosition, fileBytes ?? 0),
      endOffset: isLast ? Math.max(this.#to, baseOffset) : nextBase,
      isLast,
      logStartOffset: this.#partition.logStartOffset,
      indexes,
      epochs: this.#epochs(),
      deep,
      pace,
      onChecked,
    })
    const damaged = walk.damage.filter(range => !this.#isSettled(range))
    const findings = damaged.map(range => this.#finding('damage', range))
    for (const { type, position, what } of indexes.problems) {
      const suffix = type === 'index' ? 'index' : 'timeindex'
      const at = { path: segmentPath(this.#partition.dir, baseOffset, suffix), position, what }
      findings.push(this.#finding(type, { ...at, from: baseOffset, to: walk.nextOffset }))
    }
    if (walk.epochMismatch !== null) {
      findings.push(this.#finding('leader-epochs', { path, ...walk.epochMismatch }))
    }
    if (walk.timestampMismatch !== null) {
      findings.push(this.#finding('timestamp', { path, ...walk.timestampMismatch }))
    }
    const what = isLast ? null : this.#manifestProblem(segment, { walk, fileBytes })
    if (what !== null) {
      const manifestPath = join(this.#partition.dir, manifestName)
      const range = { from: baseOffset, to: walk.nextOffset }
      findings.push(this.#finding('manifest', { path: manifestPath, position: 0, what, ...range }))
    }
    const stale = this.#staleDamage(path, walk)
    for (const { from, to } of stale) {
      const at = { path: join(this.#partition.dir, manifestName), position: 0 }
      const what = `offsets [${from}, ${to}) are on record as lost, and can be read`
      findings.push(this.#finding('manifest', { ...at, from, to, what }))
    }
    return { findings, damaged, stale, walk }
  }

  /** What is on record as damaged in this segment, and was not met: somebody has put the file back. */
  #staleDamage(path: string, walk: SegmentWalk): readonly Damage[] {
    return this.#partition.damage.filter(known => {
      if (known.path !== path || known.to > this.#to) return false
      if (known.to <= this.#partition.logStartOffset) return false
      // What only decoding shows is not met without it.
      if (known.reason === 'record' && !this.#request.deep) return false
      return !walk.damage.some(met => met.from < known.to && known.from < met.to)
    })
  }

  /** Lost records that a repair has put on record are no news. */
  #isSettled(range: DamagedRange): boolean {
    return isSettledDamage(this.#partition.damage, range)
  }

  /** What the line of a sealed segment says that is not so; null when it is true, or there is none. */
  #manifestProblem(
    { baseOffset }: VerifiableSegment,
    found: { readonly walk: SegmentWalk; readonly fileBytes: number | null },
  ): string | null {
    const line = this.#manifest()?.sealed.find(it => it.baseOffset === baseOffset)
    if (line === undefined) return null
    return contradiction(line, found)
  }

  #manifest(): Manifest | null {
    const bytes = this.#read(join(this.#partition.dir, manifestName))
    return bytes === null ? null : parseManifest(bytes.toString())
  }

  #epochs(): LeaderEpochs | null {
    const bytes = this.#read(join(this.#partition.dir, leaderEpochsName))
    return bytes === null ? null : LeaderEpochs.parse(bytes.toString())
  }

  /** The small files of the directory. */
  #lookBeside(): Look {
    const { dir } = this.#partition
    const findings: Finding[] = []
    const note = (type: Finding['type'], path: string, what: string): void => {
      findings.push(this.#finding(type, { path, position: 0, from: null, to: null, what }))
    }
    const manifestPath = join(dir, manifestName)
    const manifestBytes = this.#read(manifestPath)
    const manifest = manifestBytes === null ? null : parseManifest(manifestBytes.toString())
    if (manifestBytes !== null && manifest === null) note('manifest', manifestPath, unreadable)
    for (const line of manifest?.sealed ?? []) {
      if (this.#isListed(line.baseOffset) || line.nextOffset <= this.#partition.logStartOffset) {
        continue
      }
      note('manifest', manifestPath, `it names a segment at ${line.baseOffset}, which is not there`)
    }
    const epochsPath = join(dir, leaderEpochsName)
    const epochs = this.#read(epochsPath)
    const isNeeded = this.#from < this.#to
    if (epochs === null) {
      if (isNeeded) note('leader-epochs', epochsPath, 'the file is missing')
    } else if (LeaderEpochs.parse(epochs.toString()) === null) {
      note('leader-epochs', epochsPath, unreadable)
    }
    for (const offset of this.#snapshotOffsets()) {
      const path = segmentPath(dir, offset, 'snapshot')
      const bytes = this.#read(path)
      if (bytes === null) continue
      if (ProducerState.load(bytes) === null) note('producer-snapshot', path, unreadable)
      else if (offset > this.#partition.logEndOffset) {
        note('producer-snapshot', path, 'it speaks of records behind the end of the log')
      }
    }
    const damaged = this.#missingAtStart()
    return {
      findings: [...findings, ...damaged.map(range => this.#finding('damage', range))],
      damaged,
      stale: [],
      walk: null,
    }
  }

  /** The log begins before its first segment does. */
  #missingAtStart(): readonly DamagedRange[] {
    const { dir, logStartOffset: from } = this.#partition
    const to = Math.min(this.#partition.verifiableSegments()[0]?.baseOffset ?? this.#to, this.#to)
    if (from >= to) return []
    const at = { path: segmentPath(dir, from, 'log'), position: 0, endPosition: 0 }
    const what = 'the segments that should hold these records are not there'
    const range: DamagedRange = { from, to, ...at, reason: 'missing', what }
    return this.#isSettled(range) ? [] : [range]
  }

  #snapshotOffsets(): readonly number[] {
    const offsets: number[] = []
    for (const { name } of this.#files.list(this.#partition.dir)) {
      const parsed = parseSegmentFile(name)
      if (parsed?.suffix === 'snapshot') offsets.push(parsed.baseOffset)
    }
    return offsets.sort((a, b) => a - b)
  }

  #finding(
    type: Finding['type'],
    at: Pick<Finding, 'from' | 'to' | 'path' | 'position' | 'what'>,
  ): Finding {
    const { from, to, path, position, what } = at
    return { type, ...this.#partition.identity, from, to, path, position, what }
  }

  #read(path: string): Buffer | null {
    try {
      return this.#files.readFile(path)
    } catch (error) {
      throw new StorageError(path, 'read', error, 'not-written')
    }
  }
}

/** Those of the second look that the first one had, too: the others were only under way. */
export function seenTwice(
  first: readonly Finding[],
  second: readonly Finding[],
): readonly Finding[] {
  return second.filter(finding =>
    first.some(
      it =>
        it.type === finding.type && it.path === finding.path && it.position === finding.position,
    ),
  )
}

/** What is said of a file whose form or checksum is wrong. */
export const unreadable = 'it cannot be read'

/** The first thing that a manifest's line says and that is not so. */
function contradiction(
  line: SegmentFacts,
  { walk, fileBytes }: { readonly walk: SegmentWalk; readonly fileBytes: number | null },
): string | null {
  const of = `the line of segment ${line.baseOffset}`
  if (fileBytes !== null && line.sizeBytes !== fileBytes) {
    return `${of} has size ${line.sizeBytes}, the file has ${fileBytes}`
  }
  if (line.firstAppendMs > line.lastAppendMs) return `${of} has append times that are out of order`
  // With damage in the segment, the rest cannot be told.
  if (walk.headersCrc === null) return null
  if (line.nextOffset !== walk.nextOffset) {
    return `${of} ends at ${line.nextOffset}, the segment at ${walk.nextOffset}`
  }
  if (line.headersCrc !== null && line.headersCrc !== walk.headersCrc) {
    return `${of} has another checksum over the headers of the batches`
  }
  return null
}

function isNotThere(error: unknown): boolean {
  const cause = error instanceof StorageError ? error.cause : error
  return cause instanceof Error && 'code' in cause && cause.code === 'ENOENT'
}

/** A file that is pinned for each read alone, so that nobody who removes or replaces it has to wait. */
class ReopenedFile implements ReadableFile {
  readonly path: string
  readonly #environment: StorageEnvironment

  constructor(environment: StorageEnvironment, path: string) {
    this.#environment = environment
    this.path = path
  }

  async read(buffer: Buffer, position: number): Promise<number> {
    const pin = await attempt({ path: this.path, operation: 'open' }, () =>
      this.#environment.handles.pin(this.path, 'read'),
    )
    try {
      return await pin.file.read(buffer, position)
    } finally {
      pin.release()
    }
  }
}

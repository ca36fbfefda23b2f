/** What lies in the directory of a partition, by name, and the two small files read with it. */
import { join } from 'node:path'

import type { Files } from '../files/files.ts'
import { LeaderEpochs } from './leader-epochs.ts'
import { type Manifest, parseManifest } from './segments-manifest.ts'
import { parseSegmentFile } from './topic-name.ts'

/** Name of the file with the leader epochs. */
export const leaderEpochsName = 'leader-epoch-checkpoint'

/** Name of the manifest. */
export const manifestName = 'segments.manifest'

// Files of ours that were being replaced. A crash can leave them; nothing ever reads them.
const temporaryForm =
  /^(leader-epoch-checkpoint|segments\.manifest|partition\.metadata|\d{20}\.(snapshot|index|timeindex)|\d{20}\.\d+(\.\d+)?\.quarantined)\.tmp$/

// A compacted segment that is not in its place yet, the mark of one that is to be put there, and the
// log that was there before.
const swapForm = /^\d{20}\.(log\.(cleaned|replaced)|\d+\.compacted)$/

/** Names of one partition's directory; files that are not known are in none of the lists. */
export interface PartitionFiles {
  /** Base offsets of the segments that have a log, ascending. */
  readonly bases: readonly number[]
  /** Offsets of the producer snapshots, ascending. */
  readonly snapshots: readonly number[]
  /** Index files of either kind. */
  readonly indexes: readonly { readonly baseOffset: number; readonly name: string }[]
  readonly temporaryNames: readonly string[]
  /** What a compaction that a crash interrupted left; see `segment-swap.ts`. */
  readonly swapNames: readonly string[]
  /** Without lines when there is no manifest, or none that can be read. */
  readonly manifest: Manifest
  /** Null when the file is there and cannot be read. */
  readonly epochs: LeaderEpochs | null
  readonly hasEpochs: boolean
}

/** Lists the directory once and reads manifest and leader epochs where there are any. */
export function readPartitionFiles(files: Files, dir: string): PartitionFiles {
  const bases: number[] = []
  const snapshots: number[] = []
  const indexes: { baseOffset: number; name: string }[] = []
  const temporaryNames: string[] = []
  const swapNames: string[] = []
  let hasManifest = false
  let hasEpochs = false
  for (const { name, isDirectory } of files.list(dir)) {
    if (isDirectory) continue
    const parsed = parseSegmentFile(name)
    if (parsed?.suffix === 'log') bases.push(parsed.baseOffset)
    else if (parsed?.suffix === 'snapshot') snapshots.push(parsed.baseOffset)
    else if (parsed !== null) indexes.push({ baseOffset: parsed.baseOffset, name })
    else if (name === manifestName) hasManifest = true
    else if (name === leaderEpochsName) hasEpochs = true
    else if (temporaryForm.test(name)) temporaryNames.push(name)
    else if (swapForm.test(name)) swapNames.push(name)
  }
  return {
    bases: bases.sort((a, b) => a - b),
    snapshots: snapshots.sort((a, b) => a - b),
    indexes,
    temporaryNames,
    swapNames,
    manifest: (hasManifest ? readManifest(files, dir) : null) ?? { sealed: [], active: null },
    epochs: hasEpochs ? readEpochs(files, dir) : new LeaderEpochs(),
    hasEpochs,
  }
}

function readManifest(files: Files, dir: string): Manifest | null {
  const bytes = files.readFile(join(dir, manifestName))
  return bytes === null ? null : parseManifest(bytes.toString('utf8'))
}

function readEpochs(files: Files, dir: string): LeaderEpochs | null {
  const bytes = files.readFile(join(dir, leaderEpochsName))
  return bytes === null ? null : LeaderEpochs.parse(bytes.toString('utf8'))
}

/** The last append that the manifest knows of; -1 when it knows of none. */
export function lastAppendMs(manifest: Manifest): number {
  let latest = manifest.active?.lastAppendMs ?? -1
  for (const line of manifest.sealed) latest = Math.max(latest, line.lastAppendMs)
  return latest
}

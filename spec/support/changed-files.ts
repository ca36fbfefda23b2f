/** Ways to change a file of a closed and opened log of `verified-log.ts`, and what verifying it finds. */
import assert from 'node:assert/strict'

import { sealBatch } from '../../lib/record/batch-format.ts'
import { formatManifest, parseManifest } from '../../lib/storage/segments-manifest.ts'
import type { FindingType } from '../../lib/verification.ts'
import { fileOf, flipAt, logDir, partitionDir } from './verified-log.ts'

/** One change. */
export interface Change {
  readonly title: string
  readonly path: string | ((second: number) => string)
  readonly edit: (bytes: Buffer) => Buffer | null
  readonly types: readonly FindingType[]
}

const log = (base: number): string => fileOf(base, 'log')
const index = (base: number): string => fileOf(base, 'index')
const times = (base: number): string => fileOf(base, 'timeindex')
const manifest = `${partitionDir}/segments.manifest`
const epochs = `${partitionDir}/leader-epoch-checkpoint`
const recoveryPoints = `${logDir}/recovery-point-offset-checkpoint`

const editLine =
  (changes: object) =>
  (bytes: Buffer): Buffer => {
    const found = parseManifest(bytes.toString())
    assert.ok(found !== null)
    const sealed = found.sealed.map((line, at) => (at === 1 ? { ...line, ...changes } : line))
    return Buffer.from(formatManifest({ ...found, sealed }))
  }

/** All of them; a path that is a function takes the base offset of the segment. */
export const changes: readonly Change[] = [
  { title: 'a byte of a value', path: log, edit: flipAt(100), types: ['damage'] },
  { title: 'a checksum', path: log, edit: flipAt(17), types: ['damage'] },
  { title: 'a magic byte', path: log, edit: flipAt(16), types: ['damage'] },
  { title: 'a length', path: log, edit: flipAt(10), types: ['damage'] },
  { title: 'a base offset that is too high', path: log, edit: flipAt(7, 64), types: ['damage'] },
  { title: 'a base offset that is too low', path: log, edit: flipAt(7, 1), types: ['damage'] },
  { title: 'a leader epoch', path: log, edit: flipAt(15, 1), types: ['leader-epochs'] },
  { title: 'a negative leader epoch', path: log, edit: flipAt(12), types: ['leader-epochs'] },
  { title: 'the last byte of a segment', path: log, edit: flipAt(-1), types: ['damage'] },
  {
    title: 'a segment that is too short',
    path: log,
    edit: bytes => bytes.subarray(0, bytes.length - 9),
    types: ['damage', 'manifest'],
  },
  {
    title: 'an empty segment',
    path: log,
    edit: () => Buffer.alloc(0),
    types: ['damage', 'manifest'],
  },
  { title: 'a segment that is gone', path: log, edit: () => null, types: ['damage'] },
  {
    title: 'bytes behind a segment',
    path: log,
    edit: bytes => Buffer.concat([bytes, Buffer.from('more')]),
    types: ['manifest'],
  },
  {
    title: 'a batch that was exchanged for another sound one',
    path: log,
    edit: bytes => {
      const size = bytes.readInt32BE(8) + 12
      bytes.writeUInt8(bytes.readUInt8(size - 1) ^ 1, size - 1)
      sealBatch(bytes, 0, size)
      return bytes
    },
    types: ['manifest'],
  },
  { title: 'an index position', path: index, edit: flipAt(7, 1), types: ['index'] },
  { title: 'an index offset', path: index, edit: flipAt(3, 1), types: ['index'] },
  {
    title: 'a torn index',
    path: index,
    edit: bytes => bytes.subarray(0, bytes.length - 3),
    types: ['index'],
  },
  {
    title: 'an index entry behind the segment',
    path: index,
    edit: bytes => Buffer.concat([bytes, Buffer.from('0000ffff0000ffff', 'hex')]),
    types: ['index'],
  },
  { title: 'an index that is gone', path: index, edit: () => null, types: ['index'] },
  { title: 'a time index timestamp', path: times, edit: flipAt(7, 1), types: ['time-index'] },
  { title: 'a time index offset', path: times, edit: flipAt(11, 1), types: ['time-index'] },
  {
    title: 'a time index without its last entry',
    path: times,
    edit: bytes => bytes.subarray(0, bytes.length - 12),
    types: ['time-index'],
  },
  { title: 'an empty time index', path: times, edit: () => Buffer.alloc(0), types: ['time-index'] },
  { title: 'a time index that is gone', path: times, edit: () => null, types: ['time-index'] },
  { title: 'a byte of the manifest', path: manifest, edit: flipAt(30), types: ['manifest'] },
  {
    title: 'a size in the manifest',
    path: manifest,
    edit: editLine({ sizeBytes: 5 }),
    types: ['manifest'],
  },
  {
    title: 'a checksum in the manifest',
    path: manifest,
    edit: editLine({ headersCrc: 5 }),
    types: ['manifest'],
  },
  {
    title: 'append times in the manifest that run backwards',
    path: manifest,
    edit: editLine({ firstAppendMs: 2_000_000_000_000 }),
    types: ['manifest'],
  },
  { title: 'the form of the epoch file', path: epochs, edit: flipAt(0), types: ['leader-epochs'] },
  {
    title: 'an epoch in the epoch file',
    path: epochs,
    edit: () => Buffer.from('0\n1\n3 0\n'),
    types: ['leader-epochs'],
  },
  { title: 'an epoch file that is gone', path: epochs, edit: () => null, types: ['leader-epochs'] },
  {
    title: 'the form of a checkpoint',
    path: recoveryPoints,
    edit: flipAt(0),
    types: ['checkpoint'],
  },
  {
    title: 'a checkpoint that leads the log',
    path: recoveryPoints,
    edit: () => Buffer.from('0\n1\norders 0 81\n'),
    types: ['checkpoint'],
  },
  {
    title: 'a log start that lies behind the log',
    path: `${logDir}/replication-offset-checkpoint`,
    edit: () => Buffer.from('0\n1\norders 0 81\n'),
    types: ['checkpoint'],
  },
  {
    title: 'a byte of the catalog',
    path: `${logDir}/topics.catalog`,
    edit: flipAt(20),
    types: ['catalog'],
  },
  {
    title: 'a byte of a topic id',
    path: `${partitionDir}/partition.metadata`,
    edit: flipAt(-3, 1),
    types: ['metadata'],
  },
]

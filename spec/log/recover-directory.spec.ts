/**
 * Opening a directory for writing, below the log object: the order of its steps, and what is taken
 * from the files that lie there. Directories are laid down by a log, and by hand where it would not.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { UnsupportedFormatError } from '../../lib/errors.ts'
import type { Files } from '../../lib/files/files.ts'
import { type RecoveredDirectory, recoverDirectory } from '../../lib/log/recover-directory.ts'
import { emptyCatalog, formatCatalog } from '../../lib/log/topic-catalog.ts'
import { formatSlots } from '../../lib/log/visible-slots.ts'
import { openLog } from '../../lib/open.ts'
import { replaceFile, withChecksum } from '../../lib/storage/checkpoint-file.ts'
import { formatOffsetCheckpoint } from '../../lib/storage/offset-checkpoints.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import type { Log, TopicConfig } from '../../lib/types.ts'
import { type HeldFiles, heldFiles } from '../support/held-files.ts'
import { makeBatch, put } from '../support/log-files.ts'
import { openPartition } from '../support/open-partition.ts'

const dir = '/log'
const marker = `${dir}/.kafka_cleanshutdown`
const recoveryPoints = `${dir}/recovery-point-offset-checkpoint`
const id = 'AAECAwQFRgeICQoLDA0ODw'
const hex = Buffer.from(id, 'base64url').toString('hex')

/** A directory that a log has left by a clean close. */
async function leftBy(write: (log: Log) => Promise<unknown>): Promise<HeldFiles> {
  const files = heldFiles(memoryFiles())
  const log = await openLog(dir, { files })
  await write(log)
  await log.close()
  return files
}

function newDirectory(): HeldFiles {
  const files = heldFiles(memoryFiles())
  files.makeDirectory(dir)
  return files
}

async function recover(
  files: Files,
  options: { readonly signal?: AbortSignal; readonly topicDefaults?: TopicConfig } = {},
): Promise<RecoveredDirectory> {
  const { environment } = await openPartition({ files: memoryFiles() })
  return recoverDirectory({
    environment: { ...environment, files },
    dir,
    topicDefaults: options.topicDefaults ?? {},
    acks: 'durable',
    signal: options.signal ?? null,
  })
}

/** As after a crash: the marker is gone. */
async function crashed(files: HeldFiles): Promise<HeldFiles> {
  await files.remove(marker)
  return files
}

async function appendThree(log: Log): Promise<void> {
  const topic = await log.topic('orders')
  for (const value of ['a', 'b', 'c']) await topic.append({ value })
}

describe('recoverDirectory, a new directory', () => {
  it('empty -> an empty catalog is written, and the report is clean', async () => {
    const files = newDirectory()
    const { catalog, topics, slotGeneration, report } = await recover(files)
    assert.deepEqual([catalog.topics.size, topics, slotGeneration], [0, [], 1])
    assert.deepEqual([report.clean, report.partitions], [true, []])
    const text = files.readFile(`${dir}/topics.catalog`)?.toString()
    assert.equal(text, formatCatalog(emptyCatalog))
  })
})

describe('recoverDirectory, the clean marker', () => {
  it('there -> removed durably before anything else is written', async () => {
    const files = await leftBy(appendThree)
    files.trace.length = 0
    const { remove } = files
    files.remove = path => {
      files.trace.push(`remove ${path}`)
      return remove(path)
    }
    const { report } = await recover(files)
    assert.deepEqual(files.trace.slice(0, 2), [`remove ${marker}`, `syncDirectory ${dir}`])
    assert.equal(files.stat(marker), null)
    assert.equal(report.clean, true)
  })

  it('it cannot be removed -> rejects, and nothing has been written', async () => {
    const files = await leftBy(appendThree)
    files.trace.length = 0
    files.remove = () =>
      Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'unlink' }))
    await assert.rejects(recover(files), { name: 'StorageError', path: marker })
    assert.deepEqual(files.trace, [])
  })

  it('not there -> the partitions are recovered, and the report is not clean', async () => {
    const files = await crashed(await leftBy(appendThree))
    const { report, topics } = await recover(files)
    assert.equal(report.clean, false)
    assert.equal(topics[0]?.partitions[0]?.logEndOffset, 3)
  })
})

describe('recoverDirectory, what is known to be flushed', () => {
  /** Offsets of the records that recovery kept though nothing said that they were flushed. */
  async function keptIn(files: HeldFiles): Promise<unknown> {
    const { report } = await recover(files)
    return report.partitions.map(({ keptFrom, keptTo }) => [keptFrom, keptTo])
  }

  async function checkpoint(files: Files, offset: number | null): Promise<void> {
    const lines = offset === null ? [] : [{ topic: 'orders', partition: 0, offset }]
    await replaceFile(files, recoveryPoints, formatOffsetCheckpoint(lines))
  }

  async function slot(files: Files, offset: number): Promise<void> {
    const topicId = await topicIdOf(files)
    const source = {
      leaderEpoch: 0,
      logStartOffset: 0,
      highWatermark: offset,
      recoveryPoint: offset,
    }
    const bytes = formatSlots(4, [{ topicId, partition: 0, source }])
    await files.remove(`${dir}/visible.slots`)
    files.open(`${dir}/visible.slots`, 'create').writeSync(bytes, 0)
  }

  async function topicIdOf(files: Files): Promise<string> {
    const text = files.readFile(`${dir}/orders-0/partition.metadata`)?.toString() ?? ''
    return text.slice(-22)
  }

  it('the slot is ahead of the checkpoint -> the slot counts', async () => {
    const files = await crashed(await leftBy(appendThree))
    await checkpoint(files, 1)
    await slot(files, 2)
    assert.deepEqual(await keptIn(files), [[2, 3]])
  })

  it('the checkpoint is ahead of the slot -> the checkpoint counts', async () => {
    const files = await crashed(await leftBy(appendThree))
    await checkpoint(files, 2)
    await slot(files, 1)
    assert.deepEqual(await keptIn(files), [[2, 3]])
  })

  it('a topic of the catalog without a line -> nothing of it was flushed', async () => {
    const files = await crashed(await leftBy(appendThree))
    await checkpoint(files, null)
    await slot(files, 0)
    assert.deepEqual(await keptIn(files), [[0, 3]])
  })

  /** A partition whose first segment has lost its name: what is there begins with offset 5. */
  async function withoutFirstSegment(): Promise<HeldFiles> {
    const files = await crashed(await leftBy(log => log.createTopic('orders')))
    await checkpoint(files, null)
    await files.remove(`${dir}/visible.slots`)
    await put(files, `${dir}/orders-0/00000000000000000005.log`, makeBatch({ baseOffset: 5 }))
    return files
  }

  it('no line and no slot, a topic of the catalog -> what does not begin with 0 was never flushed', async () => {
    const files = await withoutFirstSegment()
    const { topics, report } = await recover(files)
    const partition = topics[0]?.partitions[0]
    assert.deepEqual([partition?.logStartOffset, partition?.logEndOffset], [0, 0])
    assert.equal(report.partitions[0]?.cutBatches, 1)
  })

  it('no line and no slot, an adopted topic -> it begins where its files do', async () => {
    const files = await withoutFirstSegment()
    await files.remove(`${dir}/topics.catalog`)
    const { topics, report } = await recover(files)
    const partition = topics[0]?.partitions[0]
    assert.deepEqual(report.adoptedTopics, ['orders'])
    assert.deepEqual([partition?.logStartOffset, partition?.damage], [5, []])
  })

  it('the slots of an earlier session -> the next generation is one more', async () => {
    const files = await leftBy(appendThree)
    await slot(files, 3)
    assert.equal((await recover(files)).slotGeneration, 5)
  })

  it('slots that are damaged -> generation 1, and the checkpoint counts', async () => {
    const files = await crashed(await leftBy(appendThree))
    await checkpoint(files, 2)
    files.open(`${dir}/visible.slots`, 'write').writeSync(Buffer.alloc(20, 9), 0)
    const { slotGeneration, report } = await recover(files)
    assert.equal(slotGeneration, 1)
    assert.deepEqual(
      report.partitions.map(each => each.keptFrom),
      [2],
    )
  })
})

describe('recoverDirectory, directories that nobody accounts for', () => {
  it('set aside earlier -> left alone and named, sorted', async () => {
    const files = await leftBy(appendThree)
    const names = [`b-0.${hex}-stray`, `a-0.${hex}-delete`]
    for (const name of names) files.makeDirectory(`${dir}/${name}`)
    const { report } = await recover(files)
    assert.deepEqual(report.strayDirectories, names.toSorted())
    for (const name of names) assert.notEqual(files.stat(`${dir}/${name}`), null)
  })

  it('of a deletion that the catalog knows -> not named', async () => {
    const files = newDirectory()
    files.makeDirectory(`${dir}/a-0.${hex}-delete`)
    const deleting = new Map([[id, { name: 'a', id, partitions: 1 }]])
    const text = formatCatalog({ topics: new Map(), deleting })
    await replaceFile(files, `${dir}/topics.catalog`, text)
    const { report, catalog } = await recover(files)
    assert.deepEqual(report.strayDirectories, [])
    assert.deepEqual([...catalog.deleting.keys()], [id])
  })

  it('whose id is damaged -> kept with its records, and the id is written anew', async () => {
    const files = await leftBy(appendThree)
    const path = `${dir}/orders-0/partition.metadata`
    const before = files.readFile(path)
    assert.ok(before !== null)
    const damaged = Buffer.from(before)
    damaged.write(damaged.at(-3) === 0x41 ? 'B' : 'A', damaged.length - 3)
    await replaceFile(files, path, damaged)
    const { topics, report } = await recover(files)
    assert.equal(topics[0]?.partitions[0]?.logEndOffset, 3)
    assert.deepEqual(report.strayDirectories, [])
    assert.deepEqual(files.readFile(path), before)
  })

  it('of a deletion that a crash stopped -> out of the way, so that the name is free', async () => {
    const files = await leftBy(appendThree)
    const text = files.readFile(`${dir}/orders-0/partition.metadata`)?.toString() ?? ''
    const topicId = text.slice(-22)
    const deleting = new Map([[topicId, { name: 'orders', id: topicId, partitions: 1 }]])
    const catalog = formatCatalog({ topics: new Map(), deleting })
    await replaceFile(files, `${dir}/topics.catalog`, catalog)
    const { topics } = await recover(files)
    assert.deepEqual(topics, [])
    assert.equal(files.stat(`${dir}/orders-0`), null)
    const to = `orders-0.${Buffer.from(topicId, 'base64url').toString('hex')}-delete`
    assert.notEqual(files.stat(`${dir}/${to}`), null)
  })
})

describe('recoverDirectory, when it does not come to an end', () => {
  it('the signal has aborted -> rejects with its reason', async () => {
    const files = await leftBy(appendThree)
    const reason = new Error('no more')
    await assert.rejects(recover(files, { signal: AbortSignal.abort(reason) }), reason)
  })

  it('a newer catalog -> UnsupportedFormatError, and the clean marker stays', async () => {
    const files = await leftBy(appendThree)
    const newer = withChecksum('varve catalog 2\n')
    await replaceFile(files, `${dir}/topics.catalog`, newer)
    await assert.rejects(recover(files), UnsupportedFormatError)
    assert.notEqual(files.stat(marker), null)
  })

  it('a partition cannot be read -> rejects as a whole, and the next try has everything', async () => {
    const files = await crashed(await leftBy(appendThree))
    const { open } = files
    files.open = (path, mode) => {
      if (!path.endsWith('.log')) return open(path, mode)
      throw Object.assign(new Error('EIO'), { code: 'EIO', syscall: 'open', path })
    }
    await assert.rejects(recover(files), { code: 'STORAGE_FAILED' })
    files.open = open
    const { topics } = await recover(files)
    assert.equal(topics[0]?.partitions[0]?.logEndOffset, 3)
  })
})

/**
 * Producer ids are never handed out twice, whatever a crash or a failing disk leaves of the file that
 * they are reserved in. The disk is `faultyFiles`; each call to it fails, or loses the power, in turn.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { Files } from '../../lib/files/files.ts'
import { memoryFiles } from '../../lib/files/memory-files.ts'
import { openLog } from '../../lib/open.ts'
import {
  formatProducerIds,
  ProducerIds,
  parseProducerIds,
} from '../../lib/producer/producer-ids.ts'
import { withChecksum } from '../../lib/storage/checkpoint-file.ts'
import { seeds } from '../support/random.ts'

const path = '/data/producer.ids'

function directory(): Files {
  const files = memoryFiles()
  files.makeDirectory('/data')
  return files
}

function session(files: Files, largestKnownId = -1): ProducerIds {
  return new ProducerIds(files, '/data', () => largestKnownId)
}

function content(files: Files): string | undefined {
  return files.readFile(path)?.toString()
}

async function put(files: Files, text: string): Promise<void> {
  const file = files.open(path, 'create')
  await file.write(Buffer.from(text), 0)
  file.close()
}

describe('producer.ids', () => {
  it('a number -> the text of the worked example, and back', () => {
    assert.equal(formatProducerIds(2000), 'varve producer ids 1\nnext 2000\ncrc32 6a9bcc73\n')
    assert.equal(parseProducerIds(formatProducerIds(2000), path), 2000)
  })

  it('any byte changed, or the end cut -> damaged', () => {
    const text = formatProducerIds(2000)
    for (let at = 0; at < text.length; at++) {
      assert.equal(parseProducerIds(text.slice(0, at), path), null)
      const changed = `${text.slice(0, at)}!${text.slice(at + 1)}`
      assert.equal(parseProducerIds(changed, path), null)
    }
  })

  for (const text of [
    'varve producer ids 2\nnext 0\n',
    'varve producer ids 1\nnext -1\n',
    'varve producer ids 1\nnext 5\nmore\n',
    'something else\n',
  ]) {
    it(`${JSON.stringify(text)} with a sound checksum -> UnsupportedFormatError`, () => {
      assert.throws(() => parseProducerIds(withChecksum(text), path), {
        code: 'UNSUPPORTED_FORMAT',
        path,
      })
    })
  }
})

describe('ProducerIds', () => {
  it('the first id -> 0, with a block reserved before it is handed out', async () => {
    const files = directory()
    assert.equal(await session(files).take(), 0)
    assert.equal(content(files), formatProducerIds(1000))
  })

  it('1001 ids asked for at once -> all different, two blocks', async () => {
    const files = directory()
    const ids = session(files)
    const taken = await Promise.all(Array.from({ length: 1001 }, () => ids.take()))
    assert.deepEqual(
      taken,
      Array.from({ length: 1001 }, (_, id) => id),
    )
    assert.equal(content(files), formatProducerIds(2000))
  })

  it('the next session -> the next block', async () => {
    const files = directory()
    await session(files).take()
    assert.equal(await session(files).take(), 1000)
  })

  it('partitions know larger ids -> a block above them', async () => {
    const files = directory()
    assert.equal(await session(files, 4711).take(), 5000)
    assert.equal(await session(files, 5999).take(), 6000)
  })

  it('a damaged file -> a block above what partitions know', async () => {
    const files = directory()
    await put(files, formatProducerIds(9000).slice(0, -3))
    assert.equal(await session(files, 4711).take(), 5000)
    assert.equal(content(files), formatProducerIds(6000))
  })

  it('a file of a newer version -> UnsupportedFormatError, and it is left alone', async () => {
    const files = directory()
    const newer = withChecksum('varve producer ids 2\nnext 0\n')
    await put(files, newer)
    await assert.rejects(session(files).take(), { code: 'UNSUPPORTED_FORMAT' })
    assert.equal(content(files), newer)
  })
})

/** Takes an id in each of several sessions, which a fault ends. */
async function takeInSessions(files: FaultyFiles, handedOut: number[]): Promise<void> {
  for (let sessions = 0; sessions < 3; sessions++) {
    const ids = session(files.currentProcess())
    for (let takes = 0; takes < 2; takes++) handedOut.push(await ids.take())
  }
}

async function faultyDirectory(seed: number): Promise<FaultyFiles> {
  const files = faultyFiles({ seed })
  files.makeDirectory('/data')
  await files.syncDirectory('/')
  return files
}

function assertAllDifferent(handedOut: readonly number[], files: FaultyFiles, call: number): void {
  const message = `call ${call}, SEED=${files.seed}\n${files.trace.join('\n')}`
  assert.equal(new Set(handedOut).size, handedOut.length, `${handedOut}: ${message}`)
}

describe('ProducerIds on a disk that fails', () => {
  it('the power goes at each call -> no id twice, before and after', async () => {
    for (const seed of seeds(5)) {
      for (let call = 1, isDone = false; !isDone; call++) {
        const files = await faultyDirectory(seed * 1000 + call)
        const handedOut: number[] = []
        files.failAt({ operation: call, kind: 'crash' })
        isDone = await takeInSessions(files, handedOut).then(
          () => true,
          () => false,
        )
        files.clearFaults()
        await takeInSessions(files, handedOut)
        files.crash()
        await takeInSessions(files, handedOut)
        assert.ok(handedOut.length >= 12)
        assertAllDifferent(handedOut, files, call)
      }
    }
  })

  for (const kind of ['EIO', 'ENOSPC'] as const) {
    it(`${kind} at each call -> an error, then other ids, also after a power cut`, async () => {
      for (const seed of seeds(3)) {
        for (let call = 1, isDone = false; !isDone; call++) {
          const files = await faultyDirectory(seed * 1000 + call)
          const handedOut: number[] = []
          const ids = session(files.currentProcess())
          files.failAt({ operation: call, kind })
          const failure = await ids.take().then(
            id => void handedOut.push(id),
            (error: unknown) => error,
          )
          isDone = failure === undefined
          if (!isDone) assert.ok(failure instanceof StorageError)
          files.clearFaults()
          handedOut.push(await ids.take(), await session(files).take())
          files.crash()
          handedOut.push(await session(files).take())
          assertAllDifferent(handedOut, files, call)
        }
      }
    })
  }
})

describe('the producer ids of a log', () => {
  it('several producers and sessions -> an id each', async () => {
    const files = memoryFiles()
    const ids: unknown[] = []
    for (let sessions = 0; sessions < 2; sessions++) {
      const log = await openLog('/data', { files })
      const producers = await Promise.all([
        log.producer({ idempotent: true }),
        log.producer({ idempotent: true }),
      ])
      ids.push(...producers.map(({ producerId }) => producerId))
      await log.close()
    }
    assert.deepEqual(ids, [0, 1, 1000, 1001])
  })

  it('no idempotent producer -> no file, and no id', async () => {
    const files = memoryFiles()
    const log = await openLog('/data', { files })
    assert.equal((await log.producer()).producerId, null)
    await log.close()
    assert.equal(files.stat('/data/producer.ids'), null)
  })

  it('the file is lost -> ids above those that partitions remember', async () => {
    const files = memoryFiles()
    let log = await openLog('/data', { files })
    await log.topic('orders')
    await (await log.producer({ idempotent: true })).send('orders', { value: 'one' })
    await log.close()
    await files.remove(path)
    log = await openLog('/data', { files })
    assert.equal((await log.producer({ idempotent: true })).producerId, 1000)
    await log.close()
  })

  it('the catalog is lost -> the file belongs to a log all the same', async () => {
    const files = memoryFiles()
    let log = await openLog('/data', { files })
    await log.producer({ idempotent: true })
    await log.close()
    await files.remove('/data/topics.catalog')
    log = await openLog('/data', { files })
    assert.equal((await log.producer({ idempotent: true })).producerId, 1000)
    await log.close()
  })
})

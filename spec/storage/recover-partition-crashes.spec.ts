/**
 * Recovery that fails or is cut short by a power cut at each of its calls, and is then done again. The
 * disk is `faultyFiles`; everything that a failed run leaves un-synced may survive or not.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { RecoveredPartition, RecoverOptions } from '../../lib/storage/recover-partition.ts'
import { add, flip } from '../support/corrupt.ts'
import {
  batchesFrom,
  dir,
  exposed,
  layDown,
  names,
  pathOf,
  put,
  recover,
} from '../support/log-files.ts'
import { seeds } from '../support/random.ts'

interface Scenario {
  readonly title: string
  readonly known: Partial<RecoverOptions>
  readonly prepare: (files: FaultyFiles) => Promise<void>
}

/** Three segments of ten batches each. */
async function threeSegments(files: FaultyFiles): Promise<void> {
  const segments = [batchesFrom(0, 10), batchesFrom(10, 10), batchesFrom(20, 10)]
  await layDown(files, segments, { manifest: 'none' })
}

const scenarios: readonly Scenario[] = [
  {
    title: 'a torn tail',
    known: { checkpointedRecoveryPoint: 23 },
    prepare: async files => {
      await threeSegments(files)
      await add(files, pathOf(20), Buffer.alloc(300, 'torn'))
    },
  },
  {
    title: 'a torn segment before a later one',
    known: { checkpointedRecoveryPoint: 3 },
    prepare: async files => {
      await threeSegments(files)
      await flip(files, pathOf(10), { position: 400 })
      await put(files, pathOf(99, 'snapshot'), Buffer.from('above the end'))
      await put(files, pathOf(20, 'index'), Buffer.from('garbage'))
      await put(files, join(dir, 'segments.manifest.tmp'), Buffer.from('half'))
      await put(files, join(dir, 'leader-epoch-checkpoint'), Buffer.from('0\n2\n0 0\n4 25\n'))
      await files.syncDirectory(dir)
    },
  },
  {
    title: 'damage below the recovery point, and a torn tail',
    known: { checkpointedRecoveryPoint: 25 },
    prepare: async files => {
      await layDown(files, [batchesFrom(0, 30)], { indexes: false })
      await flip(files, pathOf(0), { position: 700 })
      await add(files, pathOf(0), Buffer.alloc(100, 'torn'))
    },
  },
  {
    title: 'segments below the log start',
    known: { checkpointedRecoveryPoint: 30, checkpointedLogStart: 21 },
    prepare: async files => {
      const segments = [batchesFrom(0, 10), batchesFrom(10, 10), batchesFrom(20, 10)]
      await layDown(files, segments, { manifest: 'all' })
    },
  },
]

/** What a user would see, comparable. */
function seen(files: FaultyFiles, recovered: RecoveredPartition): unknown {
  return {
    records: exposed(files, recovered)
      .filter(batch => batch.readInt32BE(4) >= recovered.logStartOffset)
      .map(batch => batch.toString('hex')),
    end: recovered.logEndOffset,
    start: recovered.logStartOffset,
  }
}

async function prepared(scenario: Scenario, seed: number): Promise<FaultyFiles> {
  const files = faultyFiles({ seed })
  await scenario.prepare(files)
  await files.syncDirectory(dir)
  await files.syncDirectory('.')
  return files
}

async function outcomeOf(scenario: Scenario): Promise<unknown> {
  const files = await prepared(scenario, 1)
  return seen(files, await recover(files, scenario.known))
}

function context(files: FaultyFiles, call: number): string {
  return `call ${call}, SEED=${files.seed}\n${files.trace.join('\n')}`
}

for (const scenario of scenarios) {
  describe(`recoverPartition with ${scenario.title}`, () => {
    it('done twice -> the same as once', async () => {
      const files = await prepared(scenario, 1)
      const once = seen(files, await recover(files, scenario.known))
      const after = names(files)
      assert.deepEqual(seen(files, await recover(files, scenario.known)), once)
      assert.deepEqual(names(files), after)
    })

    it('a power cut right after it -> everything exposed is still there', async () => {
      for (const seed of seeds(30)) {
        const files = await prepared(scenario, seed)
        const before = seen(files, await recover(files, scenario.known))
        files.crash()
        const after = seen(files, await recover(files, scenario.known))
        assert.deepEqual(after, before, context(files, 0))
      }
    })

    it('a power cut at each of its calls, and again -> the same records', async () => {
      const expected = await outcomeOf(scenario)
      for (const seed of seeds(3)) {
        for (let call = 1, isDone = false; !isDone; call++) {
          const files = await prepared(scenario, seed * 1000 + call)
          files.failAt({ operation: call, kind: 'crash' })
          isDone = await recover(files, scenario.known).then(
            () => true,
            () => false,
          )
          files.clearFaults()
          if (isDone) files.crash()
          const recovered = await recover(files, scenario.known)
          assert.deepEqual(seen(files, recovered), expected, context(files, call))
        }
      }
    })

    it('an I/O error at each of its calls -> StorageError, and after a power cut the same records', async () => {
      const expected = await outcomeOf(scenario)
      for (let call = 1, isDone = false; !isDone; call++) {
        const files = await prepared(scenario, call)
        files.failAt({ operation: call, kind: 'EIO' })
        const failure = await recover(files, scenario.known).then(
          () => null,
          (error: unknown) => error,
        )
        isDone = failure === null
        if (failure !== null) assert.ok(failure instanceof StorageError, context(files, call))
        files.clearFaults()
        files.crash()
        const recovered = await recover(files, scenario.known)
        assert.deepEqual(seen(files, recovered), expected, context(files, call))
      }
    })

    it('no room at each of its writes -> it fails or does without, and nothing is lost', async () => {
      const expected = await outcomeOf(scenario)
      for (const kind of ['ENOSPC', 'short'] as const) {
        for (let call = 1, last = Number.POSITIVE_INFINITY; call <= last; call++) {
          const files = await prepared(scenario, call)
          let writes = 0
          files.failAt({ operation: call, kind, on: 'write' })
          await recover(files, scenario.known).catch((error: unknown) => {
            assert.ok(error instanceof StorageError, context(files, call))
          })
          writes = files.trace.filter(line => line.includes(`-> ${kind}`)).length
          if (writes === 0) last = call
          files.clearFaults()
          files.crash()
          const recovered = await recover(files, scenario.known)
          assert.deepEqual(seen(files, recovered), expected, context(files, call))
        }
      }
    })
  })
}

describe('recoverPartition after a failed sync', () => {
  it('pages that the sync left clean -> they are written again and survive the next power cut', async () => {
    for (const seed of seeds(30)) {
      const files = faultyFiles({ seed })
      await layDown(files, [batchesFrom(0, 10)])
      const file = files.open(pathOf(0), 'write')
      const more = Buffer.concat(batchesFrom(10, 200))
      const sizeBytes = file.sizeBytes()
      for (let done = 0; done < more.length; ) {
        done += await file.write(more.subarray(done), sizeBytes + done)
      }
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData())
      file.close()
      files.clearFaults()
      files.killProcess()
      const known = { checkpointedRecoveryPoint: 10 }
      const before = await recover(files, known)
      assert.equal(before.logEndOffset, 210)
      const exposedBefore = exposed(files, before)
      files.crash()
      const after = await recover(files, known)
      assert.equal(after.logEndOffset, 210, context(files, 0))
      assert.deepEqual(exposed(files, after), exposedBefore, context(files, 0))
    }
  })
})

/**
 * Recovery that fails or is cut short by a power cut at each of its calls, and is then done again. The
 * disk is `faultyFiles`; everything that a failed run leaves un-synced may survive or not.
 */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { StorageError } from '../../lib/errors.ts'
import type { FaultKind } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { batchSizeAt, nextOffsetAt } from '../../lib/record/batch-format.ts'
import { OffsetIndex } from '../../lib/storage/offset-index.ts'
import type { RecoveredPartition, RecoverOptions } from '../../lib/storage/recover-partition.ts'
import { TimeIndex } from '../../lib/storage/time-index.ts'
import { add, flip } from '../support/corrupt.ts'
import {
  batchesFrom,
  dir,
  exposed,
  get,
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
    title: 'index files that are wrong, and nothing else',
    known: { checkpointedRecoveryPoint: 23 },
    prepare: async files => {
      await threeSegments(files)
      await put(files, pathOf(20, 'index'), Buffer.from('garbage'))
      await put(files, pathOf(20, 'timeindex'), Buffer.alloc(12))
    },
  },
  {
    // Without the foreign bytes the later segment would seem to continue the log.
    title: 'foreign bytes between a segment and the one that continues it',
    known: { checkpointedRecoveryPoint: 3 },
    prepare: async files => {
      await threeSegments(files)
      await add(files, pathOf(10), Buffer.alloc(300, 'foreign'))
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

/** What a recovery was that one of its calls was struck in; of the last one none was. */
interface Struck {
  readonly files: FaultyFiles
  /** Null: it came through. */
  readonly failure: unknown
  readonly at: string
}

/** Has each of the recovery's calls struck in turn, and what that left checked. */
async function strikeEach(
  kind: FaultKind,
  of: {
    readonly prepare: (seed: number) => Promise<FaultyFiles>
    readonly known: Partial<RecoverOptions>
    readonly seedCount: number
  },
  check: (struck: Struck) => Promise<void>,
): Promise<void> {
  for (const seed of seeds(of.seedCount)) {
    for (let call = 1, isDone = false; !isDone; call++) {
      const files = await of.prepare(seed * 1000 + call)
      files.failAt({ operation: call, kind })
      const failure = await recover(files, of.known).then(
        () => null,
        (error: unknown) => error,
      )
      isDone = failure === null
      files.clearFaults()
      await check({ files, failure, at: context(files, call) })
    }
  }
}

for (const scenario of scenarios) {
  describe(`recoverPartition with ${scenario.title}`, () => {
    const { known } = scenario
    const prepare = (seed: number): Promise<FaultyFiles> => prepared(scenario, seed)

    it('done twice -> the same as once', async () => {
      const files = await prepared(scenario, 1)
      const once = seen(files, await recover(files, known))
      const after = names(files)
      assert.deepEqual(seen(files, await recover(files, known)), once)
      assert.deepEqual(names(files), after)
    })

    it('a power cut right after it -> everything exposed is still there', async () => {
      for (const seed of seeds(30)) {
        const files = await prepared(scenario, seed)
        const before = seen(files, await recover(files, known))
        files.crash()
        const after = seen(files, await recover(files, known))
        assert.deepEqual(after, before, context(files, 0))
      }
    })

    it('a power cut at each of its calls, and again -> the same records', async () => {
      const expected = await outcomeOf(scenario)
      await strikeEach('crash', { prepare, known, seedCount: 3 }, async struck => {
        const { files, failure, at } = struck
        if (failure === null) files.crash()
        assert.deepEqual(seen(files, await recover(files, known)), expected, at)
      })
    })

    it('an I/O error at each of its calls -> StorageError, and after a power cut the same records', async () => {
      const expected = await outcomeOf(scenario)
      await strikeEach('EIO', { prepare, known, seedCount: 1 }, async ({ files, failure, at }) => {
        if (failure !== null) assert.ok(failure instanceof StorageError, at)
        files.crash()
        assert.deepEqual(seen(files, await recover(files, known)), expected, at)
      })
    })

    it('no room at each of its writes -> it fails or does without, and nothing is lost', async () => {
      const expected = await outcomeOf(scenario)
      for (const kind of ['ENOSPC', 'short'] as const) {
        for (let call = 1, last = Number.POSITIVE_INFINITY; call <= last; call++) {
          const files = await prepared(scenario, call)
          let writes = 0
          files.failAt({ operation: call, kind, on: 'write' })
          await recover(files, known).catch((error: unknown) => {
            assert.ok(error instanceof StorageError, context(files, call))
          })
          writes = files.trace.filter(line => line.includes(`-> ${kind}`)).length
          if (writes === 0) last = call
          files.clearFaults()
          files.crash()
          const recovered = await recover(files, known)
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

for (const [title, isTorn] of [
  ['index files are wrong', false],
  ['index files are wrong, the last one torn', true],
] as const)
  describe(`recoverPartition of segments whose ${title}`, () => {
    const known = { checkpointedRecoveryPoint: 3 }
    const indexNames = [0, 10, 20].flatMap(base => [
      pathOf(base, 'index'),
      pathOf(base, 'timeindex'),
    ])

    /** The indexes of a torn segment lead behind its end; those of the others say nothing. */
    async function misled(seed: number): Promise<FaultyFiles> {
      const files = faultyFiles({ seed })
      await threeSegments(files)
      if (isTorn) await flip(files, pathOf(20), { position: 400 })
      for (const base of isTorn ? [0, 10] : [0, 10, 20]) {
        await put(files, pathOf(base, 'index'), Buffer.from('garbage'))
        await put(files, pathOf(base, 'timeindex'), Buffer.alloc(12))
      }
      await files.syncDirectory(dir)
      return files
    }

    function contents(files: FaultyFiles): readonly (string | undefined)[] {
      return indexNames.map(name => files.readFile(name)?.toString('hex'))
    }

    /** Entries that are not what the batches say. */
    function wrongEntries(files: FaultyFiles): readonly string[] {
      const wrong: string[] = []
      for (const base of [0, 10, 20]) {
        const log = get(files, pathOf(base))
        const lastOffsets = new Map<number, number>()
        for (let at = 0; at < log.length; at += batchSizeAt(log, at)) {
          lastOffsets.set(at, nextOffsetAt(log, at) - 1)
        }
        const offsets = OffsetIndex.load(base, get(files, pathOf(base, 'index')))
        const times = TimeIndex.load(base, get(files, pathOf(base, 'timeindex')))
        assert.ok(offsets !== null && times !== null)
        for (let index = 0; index < offsets.entryCount; index++) {
          const { offset, position } = offsets.entryAt(index)
          if (lastOffsets.get(position) !== offset) wrong.push(`${base}.index: ${offset}`)
        }
        const { offset } = times.lastEntry ?? { offset: base }
        if (offset > Math.max(...lastOffsets.values())) wrong.push(`${base}.timeindex: ${offset}`)
      }
      return wrong
    }

    it('a power cut right after it -> every index file is as it left it', async () => {
      for (const seed of seeds(30)) {
        const files = await misled(seed)
        const before = contents(files)
        await recover(files, known)
        const after = contents(files)
        assert.ok(after.every((content, index) => content !== before[index]))
        files.crash()
        assert.deepEqual(contents(files), after, context(files, 0))
      }
    })

    const struck = { prepare: misled, known, seedCount: 3 }

    it('an I/O error at each of its calls, again, and a power cut -> they are as it left them', async () => {
      await strikeEach('EIO', struck, async ({ files, at }) => {
        await recover(files, known)
        const after = contents(files)
        files.crash()
        assert.deepEqual(contents(files), after, at)
      })
    })

    it('a power cut at each of its calls, and again -> no index entry leads astray', async () => {
      await strikeEach('crash', struck, async ({ files, at }) => {
        await recover(files, known)
        files.crash()
        assert.deepEqual(wrongEntries(files), [], at)
      })
    })
  })

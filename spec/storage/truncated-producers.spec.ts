/** What a log that was cut knows of its producers: what its batches say, as if they had been all there ever was. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { InvalidProducerEpochError, OutOfOrderSequenceError } from '../../lib/errors.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/testing/index.ts'
import type { AppendResult } from '../../lib/types.ts'
import {
  durable,
  openPartition,
  type TestPartition,
  type TestPartitionOptions,
} from '../support/open-partition.ts'
import { seeds } from '../support/random.ts'

const nothing = async (): Promise<void> => {}
/** Two batches a segment. */
const config = { segmentBytes: 170 }
const snapshots = ({ files, dir }: TestPartition): string[] =>
  [...files.list(dir)].map(({ name }) => name).filter(name => name.endsWith('.snapshot'))

function send(
  { partition }: TestPartition,
  baseSequence: number,
  producer: { readonly producerId: number; readonly producerEpoch: number },
): Promise<AppendResult> {
  const records = [{ value: `${baseSequence}` }, { value: `${baseSequence + 1}` }]
  return partition.append(records, { ...durable, producer: { ...producer, baseSequence } })
}

const p7 = { producerId: 7, producerEpoch: 3 }
const p8 = { producerId: 8, producerEpoch: 0 }

/** Producer 7 at [0, 2) [2, 4) [4, 6) [8, 10), producer 8 at [6, 8). */
async function filled(options: TestPartitionOptions = {}): Promise<TestPartition> {
  const test = await openPartition({ config, ...options })
  for (const sequence of [0, 2, 4]) await send(test, sequence, p7)
  await send(test, 0, p8)
  await send(test, 6, p7)
  return test
}

describe('truncateTo, and the producers', () => {
  for (const [what, prepare] of [
    ['no snapshot', nothing],
    ['a snapshot above the cut', ({ partition }: TestPartition) => partition.checkpoint()],
  ] as const) {
    it(`${what} → the last batch that stays is known, and what goes may come again`, async () => {
      const test = await filled()
      await prepare(test)
      await test.partition.truncateTo(6, nothing)
      assert.equal((await send(test, 4, p7)).baseOffset, 4)
      await assert.rejects(send(test, 8, p7), OutOfOrderSequenceError)
      await assert.rejects(send(test, 0, { ...p7, producerEpoch: 2 }), InvalidProducerEpochError)
      assert.equal((await send(test, 6, p7)).baseOffset, 6)
      assert.equal((await send(test, 0, p8)).baseOffset, 8)
    })
  }

  it('a producer all of whose batches go → is not known', async () => {
    const test = await filled()
    await test.partition.truncateTo(6, nothing)
    assert.equal((await send(test, 40, p8)).baseOffset, 6)
  })

  it('a snapshot below the cut → tells of producers whose batches are gone', async () => {
    const test = await filled()
    await test.partition.checkpoint()
    await test.partition.retention.deleteRecords(10, nothing)
    await send(test, 8, p7)
    await send(test, 10, p7)
    await test.partition.truncateTo(12, nothing)
    assert.equal((await send(test, 0, p8)).baseOffset, 6)
    assert.equal((await send(test, 10, p7)).baseOffset, 12)
  })

  it('the cut lies in a batch → that batch may come again', async () => {
    const test = await filled()
    await test.partition.truncateTo(5, nothing)
    assert.equal((await send(test, 2, p7)).baseOffset, 2)
    assert.equal((await send(test, 4, p7)).baseOffset, 4)
  })

  it('never a producer → no snapshot is written', async () => {
    const test = await openPartition({ config })
    await test.partition.append([{ value: 'a' }], durable)
    await test.partition.append([{ value: 'b' }], durable)
    await test.partition.truncateTo(1, nothing)
    assert.deepEqual(snapshots(test), [])
  })

  it('a damaged batch below the cut → the others are known', async () => {
    const test = await filled()
    const file = test.files.open(`${test.dir}/00000000000000000000.log`, 'write')
    file.writeSync(Buffer.from('x'), 70)
    file.close()
    await test.partition.truncateTo(6, nothing)
    assert.equal((await send(test, 4, p7)).baseOffset, 4)
    assert.deepEqual(
      test.damage.map(({ from, to }) => [from, to]),
      [[0, 2]],
    )
  })
})

/** A log whose truncation fails at one of its calls, or is done before it comes to that one. */
async function cutShort(
  files: FaultyFiles,
  fault: { readonly operation: number; readonly kind: 'crash' | 'EIO' },
): Promise<{ test: TestPartition; recoveryPoint: number; isDone: boolean; context: string }> {
  const test = await filled({ files })
  await test.partition.checkpoint()
  await files.syncDirectory('.')
  let { recoveryPoint } = test.partition
  const lower = async (offset: number): Promise<void> => {
    recoveryPoint = offset
  }
  const before = files.operations
  files.failAt(fault)
  await test.partition.truncateTo(6, lower).catch(() => {})
  files.clearFaults()
  const isDone = files.operations - before < fault.operation
  const context = `call ${fault.operation}, SEED=${files.seed}\n${files.trace.join('\n')}`
  return { test, recoveryPoint, isDone, context }
}

/** However far it was cut, producer 7 is where the log has it. */
async function assertKnown(test: TestPartition, context: string): Promise<void> {
  const { logEndOffset } = test.partition
  assert.ok([6, 8, 10].includes(logEndOffset), `ends at ${logEndOffset}\n${context}`)
  const [sequence, offset] = logEndOffset < 10 ? [4, 4] : [6, 8]
  assert.equal((await send(test, sequence, p7)).baseOffset, offset, context)
  assert.equal((await send(test, sequence + 2, p7)).baseOffset, logEndOffset, context)
}

describe('truncateTo, cut short', () => {
  it('a power cut at each of its calls → the producers are those of the log that is found', async () => {
    for (const seed of seeds(3)) {
      for (let call = 1, isDone = false; !isDone; call++) {
        const files = faultyFiles({ seed: seed * 1000 + call })
        const outcome = await cutShort(files, { operation: call, kind: 'crash' })
        const { recoveryPoint, context } = outcome
        isDone = outcome.isDone
        if (isDone) files.crash()
        await assertKnown(await openPartition({ files, config, recoveryPoint }), context)
      }
    }
  })

  it('an I/O error at each of its calls, then recover() → the producers are those of the log', async () => {
    for (let call = 1, isDone = false; !isDone; call++) {
      const files = faultyFiles({ seed: call })
      const { test, context, ...outcome } = await cutShort(files, { operation: call, kind: 'EIO' })
      isDone = outcome.isDone
      await test.partition.recover()
      await assertKnown(test, context)
    }
  })
})

/**
 * Records whose getters do not give the same twice: the size that was reserved is not the size that
 * comes. Such an append is refused, and leaves no trace in the batches of others.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { RecordInput } from '../../lib/types.ts'
import { durable, openPartition, readValues } from '../support/open-partition.ts'

/** Small for the first looks, at which it is measured, and this from then on. */
function turningInto(value: unknown, smallLooks = 1): RecordInput {
  let looks = 0
  return {
    get value() {
      return (looks++ < smallLooks ? 'small' : value) as string
    },
  }
}

const mebibyte = 1 << 20
const sound = { value: 'sound' }

const changes: readonly (readonly [string, unknown])[] = [
  ['bytes larger than a chunk', Buffer.alloc(3 * mebibyte)],
  ['a text larger than a chunk', 'x'.repeat(3 * mebibyte)],
  ['a text of wide characters larger than a chunk', '語'.repeat(mebibyte)],
  ['no bytes at all', 5],
]

for (const [what, value] of changes) {
  describe(`a value that turns into ${what}`, () => {
    it('alone -> TypeError or RangeError, and the next one has its offset', async () => {
      const { partition } = await openPartition()
      await assert.rejects(partition.append(turningInto(value), durable), /TypeError|RangeError/)
      const result = await partition.append(sound, durable)
      assert.equal(result.baseOffset, 0)
      assert.deepEqual(await readValues(partition, 0), ['0:sound'])
    })

    it('joins others -> they are not harmed', async () => {
      const { partition } = await openPartition()
      const before = partition.append(sound, durable)
      const refused = assert.rejects(partition.append(turningInto(value), durable))
      const behind = partition.append(sound, durable)
      await Promise.all([before, refused, behind])
      assert.deepEqual(await readValues(partition, 0), ['0:sound', '1:sound'])
    })

    for (const looks of [1, 2]) {
      it(`behind others in one call, from look ${looks + 1} on -> none of them is in the log`, async () => {
        const { partition } = await openPartition()
        const records = [sound, sound, turningInto(value, looks)]
        // What is large already when it is measured again is too large.
        const refusal = /TypeError|RangeError|RecordBatchTooLargeError/
        await assert.rejects(partition.append(records, durable), refusal)
        await partition.append([sound, sound], durable)
        assert.deepEqual(await readValues(partition, 0), ['0:sound', '1:sound'])
      })
    }

    it('in a call that waits for its compression -> refused, and those behind it pass', async () => {
      const { partition } = await openPartition()
      const gzip = { ...durable, compressionType: 'gzip' } as const
      await assert.rejects(partition.append([sound, turningInto(value)], gzip))
      await partition.append([sound, sound], gzip)
      assert.deepEqual(await readValues(partition, 0), ['0:sound', '1:sound'])
    })
  })
}

/** Appends, flushes and file handles that wait for each other: everything gets its turn. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { OffsetMismatchError } from '../../lib/errors.ts'
import type { Files } from '../../lib/files/files.ts'
import type { AppendRequest } from '../../lib/storage/append-request.ts'
import type { PartitionConfig } from '../../lib/storage/environment.ts'
import { memoryFiles } from '../../lib/testing/index.ts'
import {
  durable,
  openPartition,
  stateOf,
  type TestPartition,
  type TestPartitionOptions,
  turn,
} from '../support/open-partition.ts'

const record = (value: string): { value: string } => ({ value })
const large = { value: Buffer.alloc(300_000, 'x') }
const written: AppendRequest = { acks: 'written', maxBlockMs: -1 }
/** A policy that flushes nothing by itself. */
const lazy = { flushRecords: 1_000_000 }

/** Several partitions of one log, whose handles and budget call for a flush as those of a log do. */
async function openPartitions(
  count: number,
  options: TestPartitionOptions,
): Promise<TestPartition[]> {
  const first = await openPartition(options)
  const all = [first]
  for (let partitionId = 1; partitionId < count; partitionId++) {
    all.push(await openPartition({ ...options, beside: first, partitionId }))
  }
  let turnOf = 0
  const relieve = (): void => {
    for (let step = 1; step <= count; step++) {
      const index = (turnOf + step) % count
      const { partition } = all[index] as TestPartition
      if (!partition.hasUnflushed || partition.state === 'failed') continue
      turnOf = index
      partition.flushSoon()
      return
    }
  }
  first.environment.handles.onPressure(relieve)
  first.environment.budget.onPressure(relieve)
  return all
}

interface OpenLogs {
  readonly files: Files
  /** The most `.log` files that were open at a time. */
  most: number
}

/** Files that count how many `.log` files are open. */
function countOpenLogs(inner: Files): OpenLogs {
  let openNow = 0
  const open: Files['open'] = (path, mode) => {
    const file = inner.open(path, mode)
    if (!path.endsWith('.log')) return file
    openNow++
    counted.most = Math.max(counted.most, openNow)
    const close = (): void => {
      openNow--
      file.close()
    }
    return override(file, 'close', close)
  }
  const counted: OpenLogs = { files: override(inner, 'open', open), most: 0 }
  return counted
}

/** `inner` with one method replaced. */
function override<T extends object>(inner: T, name: keyof T, method: unknown): T {
  return new Proxy(inner, {
    get: (target, property) => {
      if (property === name) return method
      const value: unknown = Reflect.get(target, property)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

describe('many partitions and few file handles', () => {
  for (const [policy, config] of [
    ['group commit', {}],
    ['a policy that flushes nothing by itself', lazy],
  ] as readonly [string, Partial<PartitionConfig>][]) {
    for (const [size, records] of [
      ['small', [record('a'), record('b')]],
      ['large', [record('x'.repeat(70_000)), record('b')]],
    ] as const) {
      it(`300 ${size} appends under ${policy} → all settle within 16 handles and one`, async () => {
        const open = countOpenLogs(memoryFiles())
        const options = { files: open.files, config, maxOpenFiles: 16 }
        const partitions = await openPartitions(300, options)
        open.most = 0
        const request = config === lazy ? written : durable
        const appends = partitions.map(({ partition }) => partition.append(records, request))
        await Promise.all(appends)
        assert.ok(open.most <= 17, `${open.most} files were open`)
        await Promise.all(partitions.map(({ partition }) => partition.close()))
      })
    }
  }

  it('a handle that a partition holds which is never idle → goes round', async () => {
    const [busy, waiting] = (await openPartitions(2, { maxOpenFiles: 1 })) as [
      TestPartition,
      TestPartition,
    ]
    const { files } = busy
    const appends = [busy.partition.append(record('a'), durable)]
    files.hold('write', 'sync')
    await files.whenHeld('sync')
    appends.push(waiting.partition.append(record('b'), durable))
    // Whenever a flush ends, the next write has begun already.
    for (let round = 0; round < 10; round++) {
      appends.push(busy.partition.append([large, record('c')], durable))
      await turn()
      for (const kind of ['sync', 'write'] as const) {
        for (const held of files.held.filter(operation => operation.kind === kind)) held.proceed()
        await turn()
      }
    }
    assert.equal(waiting.partition.writtenOffset, 1)
    files.releaseAll()
    await Promise.all(appends)
  })

  it('a handle that a write in the air holds → goes on when that write is flushed', async () => {
    const [first, second] = (await openPartitions(2, { maxOpenFiles: 1, config: lazy })) as [
      TestPartition,
      TestPartition,
    ]
    for (const { partition } of [first, second]) {
      await partition.append(record('before'), written)
      await partition.flush()
    }
    first.files.hold('write')
    const slow = first.partition.append([large, record('a')], written)
    await first.files.whenHeld('write')
    const waiting = second.partition.append([record('b'), record('c')], written)
    await turn()
    first.files.releaseAll()
    await slow
    assert.equal(await stateOf(waiting), 'fulfilled')
  })
})

describe('appends that wait for room', () => {
  it('of several partitions → a large one is not overtaken for ever by small ones', async () => {
    const [small, big] = (await openPartitions(2, { maxQueuedBytes: 400_000 })) as [
      TestPartition,
      TestPartition,
    ]
    small.files.hold('write')
    const first = small.partition.append([large, record('a')], written)
    await small.files.whenHeld('write')
    const order: string[] = []
    const second = big.partition.append([large, record('b')], { ...durable, acks: 'queued' })
    const third = small.partition.append(record('c'), { ...durable, acks: 'queued' })
    await turn()
    void second.then(() => order.push('large'))
    void third.then(() => order.push('small'))
    await turn()
    assert.deepEqual(order, [])
    small.files.releaseAll()
    await Promise.all([first, second, third])
    assert.deepEqual(order, ['large', 'small'])
  })

  it('un-flushed bytes at their limit and no flush due → a flush makes room', async () => {
    const [test] = await openPartitions(1, { maxUnflushedBytes: 1000, config: lazy })
    const { partition } = test as TestPartition
    await partition.append(record('x'.repeat(2000)), written)
    const waiting = partition.append(record('y'), written)
    assert.equal(await stateOf(waiting), 'fulfilled')
  })

  it('one by one → take no more memory than they have bytes', async () => {
    const { partition, files } = await openPartition({ maxQueuedBytes: 400_000 })
    files.hold('write')
    const appends: Promise<unknown>[] = [partition.append([large, record('a')], durable)]
    appends.push(partition.append([large, record('b')], durable))
    const before = process.memoryUsage().arrayBuffers
    for (let count = 0; count < 500; count++) {
      appends.push(partition.append(record('c'), durable))
      await turn()
    }
    const grownBytes = process.memoryUsage().arrayBuffers - before
    assert.ok(grownBytes < 4 << 20, `500 small appends take ${grownBytes} bytes`)
    files.releaseAll()
    await Promise.all(appends)
  })

  it('maxBlockMs: 0 → an append that only waits for its compression is accepted', async () => {
    const { partition, clock } = await openPartition({ config: { compressionType: 'gzip' } })
    const append = partition.append(record('x'.repeat(1000)), { acks: 'durable', maxBlockMs: 0 })
    await turn()
    clock.advance(1)
    assert.equal((await append).baseOffset, 0)
  })

  it('company that joins a waiting append later → the first is refused in its own time', async () => {
    const { partition, files, clock } = await openPartition({ maxQueuedBytes: 400_000 })
    files.hold('write')
    const held = partition.append([large, record('a')], durable)
    const head = partition.append([large, record('b')], durable)
    const request = { acks: 'durable', maxBlockMs: 1000 } as const
    const first = partition.append(record('d'), request)
    clock.advance(900)
    const second = partition.append(record('e'), request)
    clock.advance(200)
    assert.equal(await stateOf(first), 'rejected')
    assert.equal(await stateOf(second), 'pending')
    clock.advance(900)
    assert.equal(await stateOf(second), 'rejected')
    files.releaseAll()
    await Promise.all([held, head])
  })
})

describe('flush()', () => {
  it('does not wait for appends that come after it, when appends wait all the time', async () => {
    const { partition, files, environment } = await openPartition({ maxQueuedBytes: 400_000 })
    const medium = { value: Buffer.alloc(150_000, 'x') }
    files.hold('write')
    const appends: Promise<unknown>[] = []
    const fill = (): void => {
      while (environment.budget.waitingCount < 3) {
        appends.push(partition.append([medium, record('a')], durable))
      }
    }
    fill()
    const flushed = partition.flush()
    for (let round = 0; round < 8; round++) {
      ;(await files.whenHeld('write')).proceed()
      fill()
      await turn()
      fill()
    }
    assert.equal(await stateOf(flushed), 'fulfilled')
    files.releaseAll()
    await Promise.all(appends)
  })

  it('under a policy that flushes nothing, with appends that wait for a flush → ends', async () => {
    const [test] = await openPartitions(1, { maxUnflushedBytes: 1000, config: lazy })
    const { partition } = test as TestPartition
    await partition.append(record('x'.repeat(2000)), written)
    const waiting = partition.append(record('y'.repeat(2000)), written)
    await partition.flush()
    await waiting
    assert.equal(partition.recoveryPoint, 2)
  })
})

describe('expectedOffset', () => {
  it('of an append that waits → compared when it has its turn', async () => {
    const { partition, files } = await openPartition({ maxQueuedBytes: 400_000 })
    files.hold('write')
    const first = partition.append([large, record('a')], durable)
    const good = partition.append([large, record('b')], { ...durable, expectedOffset: 2 })
    const late = partition.append([record('c')], { ...durable, expectedOffset: 2 })
    const refused = assert.rejects(late, OffsetMismatchError)
    await turn()
    files.releaseAll()
    await Promise.all([first, good, refused])
    assert.equal(partition.logEndOffset, 4)
  })
})

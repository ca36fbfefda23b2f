/**
 * How fast a large topic is compacted, with how much memory, and how long it keeps others waiting:
 *
 *     node --import tsx spec/support/soak-compaction.ts [--bytes=2e9] [--keys=1e6] [--value=1000] [--dir=…]
 *
 * Fills a topic with records whose keys are drawn by a fixed seed, compacts it as fast as it goes
 * while one record a millisecond is appended, checks that of each key the last value is left, prints
 * a line of JSON and removes everything. A stall is a turn of the event loop, appends and all, on the
 * clock on the wall and in time on the processor.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

import { openLog } from '../../lib/open.ts'
import type { Topic } from '../../lib/types.ts'
import { watchTurns } from './loop-turns.ts'
import { SeededRandom } from './random.ts'

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: '2e9' },
    keys: { type: 'string', default: '1e6' },
    value: { type: 'string', default: '1000' },
    dir: { type: 'string', default: tmpdir() },
  },
})
const keyCount = Number(values.keys)
const valueBytes = Number(values.value)
const recordCount = Math.round(Number(values.bytes) / (valueBytes + 20))
const batchRecords = 500

/** Fills the topic; returns the number of the last record of each key. */
async function fill(topic: Topic): Promise<Int32Array> {
  const random = new SeededRandom(1)
  const last = new Int32Array(keyCount).fill(-1)
  const value = Buffer.alloc(valueBytes, 'value ')
  for (let done = 0; done < recordCount; ) {
    const records = []
    for (let left = batchRecords; left > 0 && done < recordCount; left--, done++) {
      const key = random.below(keyCount)
      last[key] = done
      const own = Buffer.from(value)
      own.writeInt32BE(done, 0)
      records.push({ key: `key-${key}`, value: own })
    }
    await topic.append(records, { acks: 'written' })
  }
  await topic.flush()
  return last
}

async function check(topic: Topic, last: Int32Array): Promise<void> {
  let found = 0
  for await (const { keyBytes, valueBytes: bytes } of topic.records({ maxBytes: 4 << 20 })) {
    const key = Number(keyBytes?.toString().slice(4))
    if (Number.isNaN(key)) continue
    assert.equal(bytes?.readInt32BE(0), last[key], `key ${key}`)
    found++
  }
  assert.equal(found, last.filter(number => number >= 0).length)
}

/** Appends a record a millisecond until it is told to stop; returns the longest that one took. */
function appendBeside(topic: Topic): () => Promise<{ count: number; longestMs: number }> {
  let isOver = false
  let longestMs = 0
  let count = 0
  const appending = (async () => {
    while (!isOver) {
      const startMs = performance.now()
      await topic.append({ key: 'beside', value: 'x' }, { acks: 'written' })
      longestMs = Math.max(longestMs, performance.now() - startMs)
      count++
      await new Promise(resolve => setTimeout(resolve, 1))
    }
  })()
  return async () => {
    isOver = true
    await appending
    return { count, longestMs }
  }
}

async function measure(topic: Topic): Promise<object> {
  let peakRss = 0
  const rssBefore = process.memoryUsage.rss()
  const sampler = setInterval(() => {
    peakRss = Math.max(peakRss, process.memoryUsage.rss())
  }, 20)
  const stop = appendBeside(topic)
  const turnsWatched = watchTurns()
  const startMs = performance.now()
  const { partitions } = await topic.compact()
  const seconds = (performance.now() - startMs) / 1000
  const turns = turnsWatched()
  const appends = await stop()
  clearInterval(sampler)
  const [report] = partitions
  assert.ok(report !== undefined && report.skipped === null)
  const round = (value: number, digits = 1): number => Number(value.toFixed(digits))
  return {
    megabytesBefore: round(report.bytesBefore / 1e6),
    megabytesAfter: round(report.bytesAfter / 1e6),
    segmentsBefore: report.segmentsBefore,
    segmentsAfter: report.segmentsAfter,
    keptRecords: report.keptRecords,
    droppedRecords: report.droppedRecords,
    passes: report.passes,
    seconds: round(seconds),
    megabytesPerSecond: round(report.bytesBefore / 1e6 / seconds),
    rssBeforeMiB: round(rssBefore / 2 ** 20),
    peakRssMiB: round(peakRss / 2 ** 20),
    turns: turns.count,
    longestStallMs: round(turns.longestMs),
    p999StallMs: round(turns.p999Ms),
    longestCpuMs: turns.longestCpuMs === null ? null : round(turns.longestCpuMs),
    p999CpuMs: turns.p999CpuMs === null ? null : round(turns.p999CpuMs),
    appendsBeside: appends.count,
    longestAppendMs: round(appends.longestMs),
  }
}

const dir = mkdtempSync(join(values.dir, 'varve-soak-'))
try {
  const log = await openLog(join(dir, 'log'), { compactionBytesPerSecond: -1, sweepIntervalMs: -1 })
  const topic = await log.topic('table', { cleanupPolicy: 'compact' })
  const last = await fill(topic)
  const figures = await measure(topic)
  await check(topic, last)
  await log.close()
  process.stdout.write(`${JSON.stringify(figures)}\n`)
} finally {
  rmSync(dir, { recursive: true, force: true })
}

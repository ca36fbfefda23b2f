/**
 * Which failures a flush reports, and whose promises it answers for. A rejection that nobody answers
 * for is found by listening to the process.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { AppendFailures, allAppends } from '../../lib/storage/append-failures.ts'
import { pendingResult } from '../../lib/storage/pending-result.ts'

/** Runs, and returns the rejections that nobody had handled when some turns were over. */
async function unhandled(run: () => void): Promise<unknown[]> {
  const reasons: unknown[] = []
  const others = process.listeners('unhandledRejection')
  process.removeAllListeners('unhandledRejection')
  process.on('unhandledRejection', reason => void reasons.push(reason))
  try {
    run()
    for (let count = 0; count < 3; count++) await new Promise(resolve => setImmediate(resolve))
  } finally {
    process.removeAllListeners('unhandledRejection')
    for (const other of others) process.on('unhandledRejection', other)
  }
  return reasons
}

const [first, second] = [new Error('first'), new Error('second')]
const untold = { isToldToAll: false }

describe('AppendFailures, what a flush reports', () => {
  it('nothing failed -> null', () => {
    const failures = new AppendFailures()
    assert.equal(failures.flushEnded(failures.flushStarted()), null)
  })

  it('several failed before the call -> the first of them, once', () => {
    const failures = new AppendFailures()
    failures.noteLost(first, untold)
    failures.noteLost(second, untold)
    assert.equal(failures.flushEnded(failures.flushStarted()), first)
    assert.equal(failures.flushEnded(failures.flushStarted()), null)
  })

  it('something fails while it runs -> reported by it, and not by the next', () => {
    const failures = new AppendFailures()
    const report = failures.flushStarted()
    failures.noteLost(first, untold)
    assert.equal(failures.flushEnded(report), first)
    assert.equal(failures.flushEnded(failures.flushStarted()), null)
  })

  it('two flushes run -> both report what lies in both, a third called later does not', () => {
    const failures = new AppendFailures()
    const [a, b] = [failures.flushStarted(), failures.flushStarted()]
    failures.noteLost(first, untold)
    assert.equal(failures.flushEnded(a), first)
    const c = failures.flushStarted()
    failures.noteLost(second, untold)
    assert.equal(failures.flushEnded(b), first)
    assert.equal(failures.flushEnded(c), second)
  })

  it('recovered -> what was told to all is over, the first that was not is reported', () => {
    const failures = new AppendFailures()
    failures.noteLost(first, { isToldToAll: true })
    failures.noteLost(second, untold)
    failures.recovered()
    const report = failures.flushStarted()
    assert.deepEqual([report.first, report.lost], [second, second])
    failures.flushEnded(report)
    failures.noteLost(first, { isToldToAll: true })
    failures.recovered()
    assert.equal(failures.flushEnded(failures.flushStarted()), null)
  })

  it('recovered while a flush runs -> that one reports what was told to all as well', () => {
    const failures = new AppendFailures()
    const report = failures.flushStarted()
    failures.noteLost(first, { isToldToAll: true })
    failures.recovered()
    assert.equal(failures.flushEnded(report), first)
  })
})

describe('AppendFailures, whose rejections are handled', () => {
  it('an append fails and no flush is called -> the rejection is the caller’s own', async () => {
    const failures = new AppendFailures()
    const reasons = await unhandled(() => failures.reject(pendingResult(), first))
    assert.deepEqual(reasons, [first])
  })

  it('a flush is under way -> it answers for the append', async () => {
    const failures = new AppendFailures()
    const reasons = await unhandled(() => {
      failures.flushStarted()
      failures.reject(pendingResult(), first)
    })
    assert.deepEqual(reasons, [])
  })

  it('a flush is called in the same turn -> it answers for the append', async () => {
    const failures = new AppendFailures()
    const reasons = await unhandled(() => {
      failures.reject(pendingResult(), first)
      failures.flushStarted()
    })
    assert.deepEqual(reasons, [])
  })

  it('the turn ended before the flush was called -> it no longer answers, but still reports', async () => {
    const failures = new AppendFailures()
    let reported: Error | null = null
    const reasons = await unhandled(() => {
      failures.reject(pendingResult(), first)
      failures.endOfTurn()
      reported = failures.flushEnded(failures.flushStarted())
    })
    assert.deepEqual(reasons, [first])
    assert.equal(reported, first)
  })

  it('a flush answers for one of several appends -> it answers for the promise of all of them', async () => {
    const failures = new AppendFailures()
    const calls = [pendingResult(), pendingResult()]
    const reasons = await unhandled(() => {
      void allAppends(calls.map(({ promise }) => promise))
      failures.flushStarted()
      for (const call of calls) failures.reject(call, first)
    })
    assert.deepEqual(reasons, [])
  })

  it('no flush answers for any of several appends -> the one rejection is the caller’s own', async () => {
    const failures = new AppendFailures()
    const calls = [pendingResult(), pendingResult()]
    const reasons = await unhandled(() => {
      void allAppends(calls.map(({ promise }) => promise))
      for (const call of calls) failures.reject(call, first)
    })
    assert.deepEqual(reasons, [first])
  })

  it('rejected -> the promise of the call rejects with the error', async () => {
    const failures = new AppendFailures()
    const pending = pendingResult()
    failures.reject(pending, first)
    await assert.rejects(pending.promise, first)
  })
})

import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { compared, metrics, ratioAtLeast, timesBestPeer } from '../../bench/harness/targets.ts'
import type { Outcome, Side, Target, Workload } from '../../bench/harness/workload.ts'
import { reportOf, type TargetReport } from '../../bench/report/report.ts'
import { describeTarget } from '../../bench/report/table.ts'

const rate = metrics.recordsPerSecond

function outcome(recordsPerSecond: number): Outcome {
  return {
    seconds: 1,
    cpuSeconds: 1,
    loopDelayP99Ms: 0,
    peakRssBytes: 1,
    records: recordsPerSecond,
    bytes: recordsPerSecond,
  }
}

/** What becomes of a target when the sides made so many records a second in each round. */
function reportTarget(
  target: Target,
  rates: Readonly<Record<string, readonly number[]>>,
): TargetReport {
  const limit: Side = { kind: 'limit' }
  const peer: Side = { kind: 'peer' }
  const sides = {
    varve: { kind: 'varve' } as Side,
    raw: limit,
    slow: peer,
    fast: peer,
    helped: { ...peer, isHelped: true },
    careless: { ...peer, durability: 'not durable' } as Side,
  }
  const variant = { name: 'v', durability: 'durable', sides, targets: [target] } as const
  const workload: Workload = {
    name: 'w',
    question: '',
    expectation: '',
    chart: { label: '', metric: rate, kind: 'bar' },
    variants: [variant],
  }
  const outcomes = Object.fromEntries(
    Object.entries(rates).map(([side, all]) => [side, all.map(outcome)]),
  )
  const report = reportOf(workload, [{ variant, outcomes, skipped: {}, failures: [] }])
  return report.variants[0]?.targets[0] as TargetReport
}

describe('a target in the report', () => {
  it('rounds that agree -> the median, their span and the verdict', () => {
    const report = reportTarget(ratioAtLeast('raw', 0.8, rate), {
      varve: [90, 95, 100],
      raw: [100, 100, 100],
    })
    assert.equal(describeTarget(report), '≥ 0.8 × raw: 0.95 (0.9 … 1), reached')
  })

  it('rounds that do not agree -> the verdict says by how many it is held', () => {
    const report = reportTarget(ratioAtLeast('raw', 0.8, rate), {
      varve: [40, 90, 100],
      raw: [100, 100, 100],
    })
    assert.equal(
      describeTarget(report),
      '≥ 0.8 × raw: 0.9 (0.4 … 1), reached (reached by 2 of 3 rounds)',
    )
  })

  it('one round -> says that it is only one', () => {
    const report = reportTarget(ratioAtLeast('raw', 0.8, rate), { varve: [40], raw: [100] })
    assert.equal(describeTarget(report), '≥ 0.8 × raw: 0.4 (one round), missed')
  })

  it('no bound -> no verdict', () => {
    const report = reportTarget(compared('raw', rate), { varve: [40], raw: [100] })
    assert.equal(describeTarget(report), '× raw: 0.4 (one round)')
  })

  it('a side that did not run -> not measured', () => {
    const report = reportTarget(ratioAtLeast('raw', 0.8, rate), { varve: [40] })
    assert.equal(describeTarget(report), '≥ 0.8 × raw: not measured')
  })

  it('the best peer -> the fastest as documented at the same durability', () => {
    const report = reportTarget(timesBestPeer(2, rate), {
      varve: [100],
      slow: [10],
      fast: [40],
      helped: [80],
      careless: [90],
    })
    assert.equal(report.figure, 2.5)
  })
})

/** Every combination of the predicates, against rules that are written down without the table. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { decide, type RecoveryDecision, type ScanFinding } from '../../lib/storage/recovery.ts'

const findings: ScanFinding[] = []
for (const end of ['end', 'torn', 'corrupt'] as const) {
  for (const isDurableEndReached of [true, false]) {
    for (const canResume of [true, false]) {
      for (const next of ['none', 'continues', 'apart'] as const) {
        findings.push({ end, isDurableEndReached, canResume, next })
      }
    }
  }
}

function findingsFor(...decisions: RecoveryDecision[]): ScanFinding[] {
  return findings.filter(finding => decisions.includes(decide(finding)))
}

describe('decide', () => {
  it('all 36 findings -> exactly the row of the table', () => {
    const rows = findings.map(it => {
      const good = it.isDurableEndReached ? 'reached' : 'below'
      return `${it.end} ${good} ${it.canResume ? 'resume' : '-'} ${it.next} ${decide(it)}`
    })
    assert.deepEqual(rows, [
      'end reached resume none finish',
      'end reached resume continues advance',
      'end reached resume apart cut',
      'end reached - none finish',
      'end reached - continues advance',
      'end reached - apart cut',
      'end below resume none restart',
      'end below resume continues advance',
      'end below resume apart leave',
      'end below - none restart',
      'end below - continues advance',
      'end below - apart leave',
      ...['torn', 'corrupt'].flatMap(end => [
        `${end} reached resume none cut`,
        `${end} reached resume continues cut`,
        `${end} reached resume apart cut`,
        `${end} reached - none cut`,
        `${end} reached - continues cut`,
        `${end} reached - apart cut`,
        `${end} below resume none skip`,
        `${end} below resume continues skip`,
        `${end} below resume apart skip`,
        `${end} below - none restart`,
        `${end} below - continues leave`,
        `${end} below - apart leave`,
      ]),
    ])
  })

  it('the good part ends below the durable end -> nothing is cut, whatever else holds', () => {
    assert.ok(findingsFor('cut', 'finish').every(it => it.isDurableEndReached))
  })

  it('a decision that goes on in the next segment -> only where there is one', () => {
    assert.ok(findingsFor('advance', 'leave').every(it => it.next !== 'none'))
    assert.ok(findingsFor('finish', 'restart').every(it => it.next === 'none'))
  })

  it('the walk met no bad bytes -> nothing is skipped', () => {
    assert.ok(findingsFor('skip').every(it => it.end !== 'end' && it.canResume))
  })
})

/** A history of a log in which the files fail from each call on, or the power goes during it. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { strikeEach } from '../support/sim-workload.ts'

describe('a log whose files fail from one call on', () => {
  it('EIO → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'EIO', sticky: true })) > 300)
  })

  it('ENOSPC → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'ENOSPC', sticky: true })) > 300)
  })

  it('short writes → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'short', sticky: true })) > 30)
  })

  it('EMFILE when files are opened → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'EMFILE', on: 'open', sticky: true })) > 20)
  })
})

describe('a log that loses power during a call to its files', () => {
  it('the log is opened again → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'crash' })) > 300)
  })
})

describe('a log whose segments cannot be synced', () => {
  it('one sync fails → the partition acknowledges nothing that a power cut takes', async () => {
    const fault = { kind: 'EIO', on: 'sync', path: /\.log$/ } as const
    const count = await strikeEach(fault, ['crash'])
    assert.ok(count >= 8, `${count} syncs of segments`)
  })

  it('all syncs fail from one on → nothing that a power cut takes is acknowledged', async () => {
    const fault = { kind: 'EIO', on: 'sync', path: /\.log$/, sticky: true } as const
    const count = await strikeEach(fault, ['crash'])
    assert.ok(count >= 8, `${count} syncs of segments`)
  })
})

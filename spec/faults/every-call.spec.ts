/**
 * A history of a log in which each call to its files fails in turn, once, in each way in which it
 * can. Odd calls end in a power cut, even ones in kill -9; `npm run soak` does both for each.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { runWorkload, strikeEach } from '../support/sim-workload.ts'

describe('a log of which one call to its files fails', () => {
  it('no call fails → every promise is kept', async () => {
    const { operations } = await runWorkload(null, 'crash', 1)
    assert.ok(operations > 300, `the history makes ${operations} calls`)
  })

  it('EIO → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'EIO' })) > 300)
  })

  it('ENOSPC → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'ENOSPC' })) > 300)
  })

  it('a short write → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'short' })) > 50)
  })

  it('EMFILE when a file is opened → no promise is broken', async () => {
    assert.ok((await strikeEach({ kind: 'EMFILE', on: 'open' })) > 30)
  })
})

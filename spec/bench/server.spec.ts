/** Servers that the bench starts and stops as peers. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { SkippedError } from '../../bench/harness/workload.ts'
import { startServer } from '../../bench/peers/server.ts'

describe('a server', () => {
  it('whose program is not installed → the peer is skipped, and said why', async () => {
    const starting = startServer(['varve-no-such-program'], () => Promise.reject(new Error('no')))
    await assert.rejects(starting, new SkippedError('varve-no-such-program is not installed'))
  })

  it('that ends before it answers → the error of the last attempt to connect', async () => {
    const refused = new Error('connection refused')
    const starting = startServer([process.execPath, '--eval', ''], async () => {
      throw refused
    })
    await assert.rejects(starting, refused)
  })

  it('that answers → its client, and stop() ends it', async () => {
    const server = await startServer(
      [process.execPath, '--eval', 'setInterval(() => {}, 1000)'],
      () => Promise.resolve('client'),
    )
    assert.equal(server.client, 'client')
    await server.stop()
  })
})

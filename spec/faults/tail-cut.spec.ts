/**
 * The last segment of a log, and every file beside it, cut at every byte: as a crash leaves a file
 * whose size was not synced.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { cutBelowRecoveryPoint, cutEverySideFile, cutTails } from '../support/tail-cuts.ts'

const denseBytes = 64 << 10

describe('a log whose last segment is cut', () => {
  it('at any byte above the recovery point → the whole batches before the cut are the log', async () => {
    const cuts = await cutTails({ denseBytes, step: 1 })
    assert.equal(cuts, denseBytes + 1)
  })

  it('below the recovery point → it is damage, reported, and the log goes on behind it', async () => {
    assert.ok((await cutBelowRecoveryPoint(37)) > 400)
  })
})

describe('a log of which a file beside the segments is cut', () => {
  it('at any byte, after a clean close → every record is there', async () => {
    assert.ok((await cutEverySideFile('clean')) > 500)
  })

  it('at any byte, after a crash → every record is there', async () => {
    assert.ok((await cutEverySideFile('crashed')) > 500)
  })
})

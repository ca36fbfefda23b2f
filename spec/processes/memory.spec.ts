/** The small version of `soak-memory.ts`: the bound is the same, the amount is what CI has time for. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { maxRssBytes, measureMemory } from '../support/soak-memory.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('memory of a process', () => {
  it('one appends 300 MB, another follows it -> neither takes more than 150 MB', async t => {
    const { writer, reader } = await measureMemory(t, { dir: tempDir(t), megabytes: 300 })
    assert.deepEqual([writer.records, reader.records], [300_000, 300_000])
    for (const { peakRssBytes } of [writer, reader]) {
      assert(peakRssBytes < maxRssBytes, `${Math.round(peakRssBytes / 1e6)} MB`)
    }
  })
})

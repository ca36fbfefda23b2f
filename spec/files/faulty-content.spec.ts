/**
 * What a power cut may leave of the content of a file. Each rule is played with 2,000 seeds: every
 * outcome that it allows must come up, and none that it forbids.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { faultyFiles } from '../../lib/files/faulty-files.ts'
import { forEachSeed } from '../support/random.ts'
import { assertOutcomes, durableFile, runsOf, textOf } from './faulty-outcomes.ts'

const PAGE = 4096
const SECTOR = 512

function bytes(count: number, letter: string): Buffer {
  return Buffer.alloc(count, letter)
}

describe('content after a crash', () => {
  it('synced, appended to without a sync -> the synced bytes are there', async () => {
    await forEachSeed(2000, async (random, seed) => {
      const files = faultyFiles({ seed })
      const synced = random.below(3 * PAGE)
      const file = await durableFile(files, '/f', bytes(synced, 'a'))
      for (let step = random.below(5); step > 0; step--) {
        file.writeSync(bytes(random.below(PAGE), 'b'), file.sizeBytes())
      }
      files.crash()
      assert.equal(textOf(files, '/f').slice(0, synced), 'a'.repeat(synced))
    })
  })

  it('two pages overwritten without a sync -> each old, new or torn between sectors', async () => {
    const each = ['old', 'new', 'torn']
    await assertOutcomes(
      each.flatMap(one => each.map(other => `${one} ${other}`)),
      async files => {
        const file = await durableFile(files, '/f', bytes(2 * PAGE, 'a'))
        file.writeSync(bytes(2 * PAGE, 'b'), 0)
        files.crash()
        const text = textOf(files, '/f')
        assert.equal(text.length, 2 * PAGE)
        for (let sector = 0; sector < text.length; sector += SECTOR) {
          assert.match(text.slice(sector, sector + SECTOR), /^(a+|b+)$/)
        }
        const fate = (page: string): string =>
          /^a+$/.test(page) ? 'old' : /^b+$/.test(page) ? 'new' : 'torn'
        return `${fate(text.slice(0, PAGE))} ${fate(text.slice(PAGE))}`
      },
    )
  })

  it('a page appended without a sync -> gone, there, zeros, or torn', async () => {
    await assertOutcomes(['gone', 'there', 'zeros', 'torn'], async files => {
      const file = await durableFile(files, '/f', bytes(PAGE, 'a'))
      file.writeSync(bytes(PAGE, 'b'), PAGE)
      files.crash()
      const runs = runsOf(textOf(files, '/f'))
      if (runs === '4096a') return 'gone'
      if (runs === '4096a 4096b') return 'there'
      if (runs === '4096a 4096.') return 'zeros'
      assert.match(textOf(files, '/f'), /^a{4096}(\0{512}|b{512}){8}$/)
      return 'torn'
    })
  })

  it('grown without a sync -> the size is the old, the new, or a page boundary between', async () => {
    const sizes = [1000, PAGE, 2 * PAGE, 3 * PAGE, 3 * PAGE + 100].map(String)
    await assertOutcomes(sizes, async files => {
      const file = await durableFile(files, '/f', bytes(1000, 'a'))
      file.writeSync(bytes(3 * PAGE + 100 - 1000, 'b'), 1000)
      files.crash()
      return String(textOf(files, '/f').length)
    })
  })

  it('grown in steps without a sync -> the size after any of them is among the outcomes', async () => {
    await assertOutcomes(['10', '20', '30'], async files => {
      const file = await durableFile(files, '/f', bytes(10, 'a'))
      file.writeSync(bytes(10, 'b'), 10)
      file.writeSync(bytes(10, 'c'), 20)
      files.crash()
      return String(textOf(files, '/f').length)
    })
  })

  it('part of a synced sector overwritten -> the part is old or new, the rest stays', async () => {
    await assertOutcomes(['512a', '100a 50b 362a'], async files => {
      const file = await durableFile(files, '/f', bytes(SECTOR, 'a'))
      file.writeSync(bytes(50, 'b'), 100)
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('a sector written twice -> any of its states in time, never the second write alone', async () => {
    await assertOutcomes(['300a', '100a 100b 100a', '100a 100b 100c'], async files => {
      const file = await durableFile(files, '/f', bytes(300, 'a'))
      file.writeSync(bytes(100, 'b'), 100)
      file.writeSync(bytes(100, 'c'), 200)
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('cut twice without a sync -> each cut is undone by itself', async () => {
    await assertOutcomes(['3000a', '2000a', '1000a'], async files => {
      const file = await durableFile(files, '/f', bytes(3000, 'a'))
      file.truncate(2000)
      file.truncate(1000)
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('cut and written behind the cut without a sync -> the write may stay and the cut be undone', async () => {
    await assertOutcomes(
      [
        '300a', // neither
        '100a', // the cut alone
        '100a 100b', // both
        '100a 100b 100a', // the write alone
        '100a 100.', // both, and the data is missing
      ],
      async files => {
        const file = await durableFile(files, '/f', bytes(300, 'a'))
        file.truncate(100)
        file.writeSync(bytes(100, 'b'), 100)
        files.crash()
        return runsOf(textOf(files, '/f'))
      },
    )
  })

  it('cut and synced, then written -> what was cut never comes back', async () => {
    await assertOutcomes(['100a', '100a 100b', '100a 100.'], async files => {
      const file = await durableFile(files, '/f', bytes(300, 'a'))
      file.truncate(100)
      await file.syncData()
      file.writeSync(bytes(100, 'b'), 100)
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('written, cut and grown without a sync -> what a cut took away never shows behind it', async () => {
    await assertOutcomes(['300', '150', '250'], async files => {
      const file = await durableFile(files, '/f', bytes(300, 'a'))
      file.writeSync(bytes(100, 'b'), 100)
      file.truncate(150)
      file.writeSync(bytes(50, 'c'), 200)
      files.crash()
      const text = textOf(files, '/f')
      // Longer than the cut and shorter than the synced file: the cut took place.
      if (text.length === 250) assert.equal(runsOf(text.slice(150, 200)), '50.')
      return String(text.length)
    })
  })

  it('a file cut to nothing -> undone in all pages or in none', async () => {
    await assertOutcomes(['', '20000a'], async files => {
      const file = await durableFile(files, '/f', bytes(20_000, 'a'))
      file.truncate(0)
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('a file that was never synced, its name was -> empty is among the outcomes', async () => {
    await assertOutcomes(['', '100a', '100.'], async files => {
      files.open('/f', 'create').writeSync(bytes(100, 'a'), 0)
      await files.syncDirectory('/')
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('a crash without a change since the last one -> changes nothing', async () => {
    await forEachSeed(200, async (random, seed) => {
      const files = faultyFiles({ seed })
      const file = await durableFile(files, '/f', bytes(PAGE, 'a'))
      file.writeSync(bytes(3 * PAGE, 'b'), random.below(2 * PAGE))
      file.truncate(random.below(4 * PAGE))
      files.crash()
      const left = textOf(files, '/f')
      files.crash()
      assert.equal(textOf(files, '/f'), left)
    })
  })

  it('many files changed without a sync -> all lost, all kept and a mixture are each likely', async () => {
    const counts = { none: 0, all: 0, some: 0 }
    await forEachSeed(500, async (_, seed) => {
      const files = faultyFiles({ seed })
      for (let index = 0; index < 8; index++) {
        const file = await durableFile(files, `/f${index}`, bytes(10, 'a'))
        file.writeSync(bytes(10, 'b'), 0)
      }
      files.crash()
      let kept = 0
      for (let index = 0; index < 8; index++) {
        if (textOf(files, `/f${index}`) === 'b'.repeat(10)) kept++
      }
      counts[kept === 0 ? 'none' : kept === 8 ? 'all' : 'some']++
    })
    if (process.env['SEED'] !== undefined) return
    for (const count of Object.values(counts)) assert.ok(count > 75, JSON.stringify(counts))
  })
})

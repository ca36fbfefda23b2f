/**
 * What a sync makes durable, and what a failed one does. Each rule is played with 2,000 seeds: every
 * outcome that it allows must come up, and none that it forbids.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { faultyFiles } from '../../lib/files/faulty-files.ts'
import { assertOutcomes, durableFile, runsOf, textOf } from './faulty-outcomes.ts'

function bytes(count: number, letter: string): Buffer {
  return Buffer.alloc(count, letter)
}

/** How much of a file of `a` was overwritten by `b`. */
function shareOf(text: string): string {
  return /^a+$/.test(text) ? 'nothing' : /^b+$/.test(text) ? 'all' : 'a part'
}

describe('a sync', () => {
  it('of writes and cuts completed before it -> they survive a crash', async () => {
    await assertOutcomes(['300a 100b 100c'], async files => {
      const file = await durableFile(files, '/f', bytes(1000, 'a'))
      file.truncate(300)
      file.writeSync(bytes(100, 'b'), 300)
      await file.write(bytes(100, 'c'), 400)
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('begun while a write is under way -> the write survives or not, whatever was seen of it', async () => {
    const each = ['nothing', 'all', 'a part']
    const allowed = each.flatMap(seen => each.map(left => `saw ${seen}, ${left} is left`))
    await assertOutcomes(allowed, async files => {
      const file = await durableFile(files, '/f', bytes(1024, 'a'))
      const write = file.write(bytes(1024, 'b'), 0)
      const seen = shareOf(textOf(files, '/f'))
      await Promise.all([write, file.syncData()])
      assert.equal(textOf(files, '/f'), 'b'.repeat(1024))
      files.crash()
      return `saw ${seen}, ${shareOf(textOf(files, '/f'))} is left`
    })
  })

  it('under way when a write begins and ends -> the write survives or not', async () => {
    await assertOutcomes(['100a', '100b'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      const sync = file.syncData()
      file.writeSync(bytes(100, 'b'), 0)
      await sync
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('under way when the power goes -> rejects, and what it covered survives or not', async () => {
    await assertOutcomes(['100a', '100b'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      file.writeSync(bytes(100, 'b'), 0)
      const sync = file.syncData()
      files.crash()
      await assert.rejects(sync, { code: 'ECRASHED' })
      return runsOf(textOf(files, '/f'))
    })
  })

  it('of one file -> does nothing for another one', async () => {
    await assertOutcomes(['100a', '100b'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      const other = await durableFile(files, '/g', bytes(100, 'a'))
      file.writeSync(bytes(100, 'b'), 0)
      await other.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('by one handle -> covers what another handle of the file wrote', async () => {
    await assertOutcomes(['100b'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      file.writeSync(bytes(100, 'b'), 0)
      file.close()
      await files.open('/f', 'read').syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('two at once over overlapping writes -> each covers what had ended when it began', async () => {
    await assertOutcomes(['same'], async files => {
      const file = await durableFile(files, '/f', bytes(2000, 'a'))
      const slow = file.write(bytes(1500, 'b'), 0)
      file.writeSync(bytes(1000, 'c'), 500)
      const first = file.syncData()
      await slow
      file.writeSync(bytes(200, 'd'), 700)
      await Promise.all([first, file.syncData()])
      const current = textOf(files, '/f')
      files.crash()
      assert.equal(runsOf(textOf(files, '/f')), runsOf(current))
      return 'same'
    })
  })

  it('of thousands of writes -> none of them is forgotten', async () => {
    const files = faultyFiles({ seed: 1 })
    const file = await durableFile(files, '/f', '')
    for (let index = 0; index < 10_000; index++) file.writeSync(bytes(1, 'a'), index)
    await file.syncData()
    files.crash()
    assert.equal(runsOf(textOf(files, '/f')), '10000a')
  })
})

describe('a failed sync', () => {
  it('the next sync succeeds -> the data is readable until a crash loses it', async () => {
    await assertOutcomes(['100a 100.'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      file.writeSync(bytes(100, 'b'), 100)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO', syscall: 'fdatasync', path: '/f' })
      assert.equal(runsOf(textOf(files, '/f')), '100a 100b')
      await file.syncData()
      assert.equal(runsOf(textOf(files, '/f')), '100a 100b')
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('no sync behind it -> the data is lost, the size may have grown', async () => {
    await assertOutcomes(['100a', '100a 100.'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      file.writeSync(bytes(100, 'b'), 100)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('the same bytes written again and synced -> they survive', async () => {
    await assertOutcomes(['100a 9000b'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      file.writeSync(bytes(9000, 'b'), 100)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      const again = Buffer.alloc(9000)
      file.readSync(again, 100)
      file.writeSync(again, 100)
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('the same sector written elsewhere and synced -> all of the sector survives', async () => {
    await assertOutcomes(['100b 100c'], async files => {
      const file = await durableFile(files, '/f', '')
      file.writeSync(bytes(100, 'b'), 0)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      file.writeSync(bytes(100, 'c'), 100)
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('the same sector written while it was failing -> all of the sector survives the next sync', async () => {
    await assertOutcomes(['100b 100c'], async files => {
      const file = await durableFile(files, '/f', '')
      file.writeSync(bytes(100, 'b'), 0)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      const failing = file.syncData()
      file.writeSync(bytes(100, 'c'), 100)
      await assert.rejects(failing, { code: 'EIO' })
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('the same page written in another sector and synced -> the lost sector comes along or not', async () => {
    await assertOutcomes(['512b 100c', '512. 100c'], async files => {
      const file = await durableFile(files, '/f', '')
      file.writeSync(bytes(512, 'b'), 0)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      file.writeSync(bytes(100, 'c'), 512)
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('another page written and synced -> the lost page stays lost', async () => {
    await assertOutcomes(['4096. 100c'], async files => {
      const file = await durableFile(files, '/f', '')
      file.writeSync(bytes(4096, 'b'), 0)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      file.writeSync(bytes(100, 'c'), 4096)
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('over bytes that were synced before -> a crash brings those back', async () => {
    await assertOutcomes(['100a'], async files => {
      const file = await durableFile(files, '/f', bytes(100, 'a'))
      file.writeSync(bytes(100, 'b'), 0)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('of a cut -> the next sync makes the cut durable', async () => {
    await assertOutcomes(['100a'], async files => {
      const file = await durableFile(files, '/f', bytes(300, 'a'))
      file.truncate(100)
      files.failAt({ operation: 1, kind: 'EIO', on: 'sync' })
      await assert.rejects(file.syncData(), { code: 'EIO' })
      await file.syncData()
      files.crash()
      return runsOf(textOf(files, '/f'))
    })
  })

  it('of a directory -> its names stay un-synced', async () => {
    await assertOutcomes(['absent', ''], async files => {
      files.open('/f', 'create').close()
      files.failAt({ operation: 1, kind: 'EIO', on: 'syncDirectory' })
      await assert.rejects(files.syncDirectory('/'), { code: 'EIO', syscall: 'fsync', path: '/' })
      files.crash()
      return textOf(files, '/f')
    })
  })

  it('of a directory, synced again -> its names survive', async () => {
    await assertOutcomes([''], async files => {
      files.open('/f', 'create').close()
      files.failAt({ operation: 1, kind: 'EIO', on: 'syncDirectory' })
      await assert.rejects(files.syncDirectory('/'), { code: 'EIO' })
      await files.syncDirectory('/')
      files.crash()
      return textOf(files, '/f')
    })
  })
})

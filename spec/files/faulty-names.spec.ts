/**
 * What a power cut may leave of names and directories. Each rule is played with 2,000 seeds: every
 * outcome that it allows must come up, and none that it forbids.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { assertOutcomes, durableFile, textOf } from './faulty-outcomes.ts'

/** Every file of a directory with its content, as in `a=1 b=2`. */
function namesIn(files: Files, dir: string): string {
  const names = files.list(dir).map(entry => entry.name)
  return names
    .filter(name => files.stat(`${dir}/${name}`)?.isDirectory === false)
    .toSorted()
    .map(name => `${name}=${textOf(files, `${dir}/${name}`)}`)
    .join(' ')
}

async function syncedFile(files: Files, path: string, content: string): Promise<void> {
  const file = files.open(path, 'create')
  file.writeSync(Buffer.from(content), 0)
  await file.syncData()
  file.close()
}

async function durableDirectory(files: Files, path: string): Promise<void> {
  files.makeDirectory(path)
  await files.syncDirectory('/')
}

describe('names after a crash', () => {
  it('a created file, synced, its directory not -> there or not', async () => {
    await assertOutcomes(['', 'a=1'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a created file, synced, its directory too -> there', async () => {
    await assertOutcomes(['a=1'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a made directory, synced, its parent not -> it and all in it are there or not', async () => {
    await assertOutcomes(['absent', 'a=1'], async files => {
      files.makeDirectory('/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      files.crash()
      return files.stat('/d') === null ? 'absent' : namesIn(files, '/d')
    })
  })

  it('a made directory, its parent synced, itself not -> there, with or without its files', async () => {
    await assertOutcomes(['', 'a=1'], async files => {
      files.makeDirectory('/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('two removals without a sync -> each is undone by itself', async () => {
    await assertOutcomes(['', 'a=1', 'b=2', 'a=1 b=2'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await syncedFile(files, '/d/b', '2')
      await files.syncDirectory('/d')
      await files.remove('/d/a')
      await files.remove('/d/b')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a removal, the directory synced -> gone', async () => {
    await assertOutcomes([''], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      await files.remove('/d/a')
      await files.syncDirectory('/d')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a removal that is undone -> the content is what was durable of it', async () => {
    await assertOutcomes(['', 'a=1', 'a=2'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      const file = files.open('/d/a', 'write')
      file.writeSync(Buffer.from('2'), 0)
      await files.remove('/d/a')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a file replaced by a rename without a sync -> the old or the new one, never neither', async () => {
    await assertOutcomes(['a=old', 'a=old a.tmp=new', 'a=new'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', 'old')
      await files.syncDirectory('/d')
      await syncedFile(files, '/d/a.tmp', 'new')
      files.rename('/d/a.tmp', '/d/a')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('the power goes during a replacement -> the old or the new one, never neither', async () => {
    await assertOutcomes(['a=old', 'a=old a.tmp=new', 'a=new'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', 'old')
      await files.syncDirectory('/d')
      await syncedFile(files, '/d/a.tmp', 'new')
      const replaced = assert.rejects(files.replace('/d/a.tmp', '/d/a'), { code: 'ECRASHED' })
      files.crash()
      await replaced
      return namesIn(files, '/d')
    })
  })

  it('a file replaced by a rename, the directory synced -> the new one', async () => {
    await assertOutcomes(['a=new'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', 'old')
      await files.syncDirectory('/d')
      await syncedFile(files, '/d/a.tmp', 'new')
      files.rename('/d/a.tmp', '/d/a')
      await files.syncDirectory('/d')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a file replaced by one that was not synced, the directory synced -> its content may be missing', async () => {
    await assertOutcomes(['a=', 'a=new', 'a=\0\0\0'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', 'old')
      files.open('/d/a.tmp', 'create').writeSync(Buffer.from('new'), 0)
      files.rename('/d/a.tmp', '/d/a')
      await files.syncDirectory('/d')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('renames of two files without a sync -> each is undone by itself', async () => {
    await assertOutcomes(['a=1 b=2', 'a=1 y=2', 'b=2 x=1', 'x=1 y=2'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await syncedFile(files, '/d/b', '2')
      await files.syncDirectory('/d')
      files.rename('/d/a', '/d/x')
      files.rename('/d/b', '/d/y')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a name used again after a rename without a sync -> both files have a name, or the older alone', async () => {
    await assertOutcomes(['a=1', 'b=1', 'a=2 b=1'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      files.rename('/d/a', '/d/b')
      await syncedFile(files, '/d/a', '2')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a rename into another directory without a sync -> one of the two names, never none or both', async () => {
    await assertOutcomes(['a=1|', '|b=1'], async files => {
      await durableDirectory(files, '/d')
      await durableDirectory(files, '/e')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      files.rename('/d/a', '/e/b')
      files.crash()
      return `${namesIn(files, '/d')}|${namesIn(files, '/e')}`
    })
  })

  for (const synced of ['/d', '/e']) {
    it(`a file made and renamed into another directory, ${synced === '/d' ? 'the old' : 'the new'} one synced -> only the new name`, async () => {
      await assertOutcomes(['|b=1'], async files => {
        await durableDirectory(files, '/d')
        await durableDirectory(files, '/e')
        await syncedFile(files, '/d/a', '1')
        files.rename('/d/a', '/e/b')
        await files.syncDirectory(synced)
        files.crash()
        return `${namesIn(files, '/d')}|${namesIn(files, '/e')}`
      })
    })
  }

  it('a renamed directory without a sync -> one of the two names, with its files', async () => {
    await assertOutcomes(['d', 'e'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      files.rename('/d', '/e')
      files.crash()
      const names = ['d', 'e'].filter(name => textOf(files, `/${name}/a`) === '1')
      return names.join(' ')
    })
  })

  it('a removed tree without a sync -> the tree, or what was left of it at some time, or nothing', async () => {
    await assertOutcomes(['absent', '', 'a=1'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      await files.remove('/d/a')
      files.removeDirectory('/d')
      files.crash()
      return files.stat('/d') === null ? 'absent' : namesIn(files, '/d')
    })
  })

  it('a link without a sync -> the first name stays, the second is there or not', async () => {
    await assertOutcomes(['a=1', 'a=1 b=1'], async files => {
      await durableDirectory(files, '/d')
      await syncedFile(files, '/d/a', '1')
      await files.syncDirectory('/d')
      files.link('/d/a', '/d/b')
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a file created while its directory is being synced -> there or not', async () => {
    await assertOutcomes(['', 'a=1'], async files => {
      await durableDirectory(files, '/d')
      const sync = files.syncDirectory('/d')
      await syncedFile(files, '/d/a', '1')
      await sync
      files.crash()
      return namesIn(files, '/d')
    })
  })

  it('a file removed and made again, the directory synced -> the new one alone', async () => {
    await assertOutcomes(['2'], async files => {
      await durableFile(files, '/f', '1')
      await files.remove('/f')
      await syncedFile(files, '/f', '2')
      await files.syncDirectory('/')
      files.crash()
      return textOf(files, '/f')
    })
  })
})

/** Files as blocks of bytes, and which files nobody has to name. */
import assert from 'node:assert/strict'
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { namedInputs, textFilesBelow, totalBytes } from '../../lib/cli/inputs.ts'
import { tempDir } from '../support/temp-dir.ts'

describe('the blocks of a file', () => {
  it('of several megabytes -> all its bytes, in blocks that stay as they were', t => {
    const path = join(tempDir(t), 'a.bin')
    const content = Buffer.alloc(2_500_000, Buffer.from('0123456789a'))
    writeFileSync(path, content)
    const [input] = namedInputs([path])
    assert.ok(input?.kind === 'file')
    assert.ok(Buffer.concat([...input.blocks()]).equals(content))
  })

  it('that grows while it is read -> what came behind, too', t => {
    const path = join(tempDir(t), 'a.log')
    writeFileSync(path, 'one\n')
    const [input] = namedInputs([path])
    assert.ok(input?.kind === 'file')
    const blocks: Buffer[] = []
    for (const block of input.blocks()) {
      if (blocks.push(block) === 1) appendFileSync(path, 'two\n')
    }
    assert.equal(String(Buffer.concat(blocks)), 'one\ntwo\n')
  })
})

describe('the text files below a directory', () => {
  it('by path, with packages, without hidden, binary and segment files', t => {
    const dir = tempDir(t)
    const names = [
      'b.md',
      'a/z.ts',
      'node_modules/p/i.js',
      '.git/c.md',
      '.d.md',
      'e.png',
      'f',
      'g.log',
    ]
    for (const name of names) {
      mkdirSync(join(dir, name, '..'), { recursive: true })
      writeFileSync(join(dir, name), 'x\n')
    }
    const inputs = textFilesBelow(dir)
    assert.deepEqual(
      inputs.map(({ name }) => name),
      [join('a', 'z.ts'), 'b.md', join('node_modules', 'p', 'i.js')],
    )
    assert.equal(totalBytes(inputs), 6)
  })

  it('one goes before it is read -> it counts as empty', t => {
    const dir = tempDir(t)
    writeFileSync(join(dir, 'a.md'), 'x\n')
    const [input] = textFilesBelow(dir)
    assert.ok(input?.kind === 'file')
    rmSync(join(dir, 'a.md'))
    assert.deepEqual([...input.blocks()], [])
  })
})

/**
 * Kafka's checkpoint form as tables of texts, the checksum line against every prefix and every
 * flipped bit, and the order of operations of a replacement, with each of them failing once.
 *
 * Worked example: the recovery points 4711 of orders-0 and 12 of orders-1 are the bytes
 * `0 LF 2 LF orders 0 4711 LF orders 1 12 LF`.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files, OpenFile } from '../../lib/files/files.ts'
import {
  checkedText,
  formatCheckpoint,
  parseCheckpoint,
  parseDecimal,
  replaceFile,
  withChecksum,
} from '../../lib/storage/checkpoint-file.ts'

describe('formatCheckpoint', () => {
  it('two entries → the worked example', () => {
    assert.equal(
      formatCheckpoint(['orders 0 4711', 'orders 1 12']),
      '0\n2\norders 0 4711\norders 1 12\n',
    )
  })

  it('no entries → version and a count of zero', () => {
    assert.equal(formatCheckpoint([]), '0\n0\n')
  })

  for (const line of ['', ' a', 'a\nb', 'a\n']) {
    it(`${JSON.stringify(line)} as an entry → a broken invariant`, () => {
      assert.throws(() => formatCheckpoint([line]), { name: 'AssertionError' })
    })
  }
})

describe('parseCheckpoint', () => {
  const valid: readonly [string, string, readonly (readonly string[])[]][] = [
    ['an empty text', '', []],
    ['a count of zero', '0\n0\n', []],
    [
      'the worked example',
      '0\n2\na 0 4711\nb 1 12\n',
      [
        ['a', '0', '4711'],
        ['b', '1', '12'],
      ],
    ],
    ['fields apart by several blanks and tabs', '0\n1\na  0\t7\n', [['a', '0', '7']]],
    ['lines that end in CR LF', '0\r\n1\r\na 0 7\r\n', [['a', '0', '7']]],
  ]
  for (const [what, text, entries] of valid) {
    it(`${what} → ${entries.length} entries`, () => {
      assert.deepEqual(parseCheckpoint(text), entries)
    })
  }

  for (const [what, text] of [
    ['another version', '1\n1\na 0 7\n'],
    ['no version', '\n1\na 0 7\n'],
    ['a version alone', '0\n'],
    ['a count that is too low', '0\n1\na 0 7\nb 0 7\n'],
    ['a count that is too high', '0\n2\na 0 7\n'],
    ['a negative count', '0\n-1\n'],
    ['a count that is no number', '0\nx\n'],
    ['a count that is not plain decimal', '0\n0x1\na 0 7\n'],
    ['a blank line in place of an entry', '0\n1\n\n'],
    ['a blank line at the end', '0\n1\na 0 7\n\n'],
    ['a last line that does not end', '0\n1\na 0 7'],
    ['a line too many that does not end', '0\n1\na 0 7\nb 0 8'],
  ] as const) {
    it(`${what} → null`, () => {
      assert.equal(parseCheckpoint(text), null)
    })
  }

  it('every true prefix of a file but the empty one → null', () => {
    const text = formatCheckpoint(['orders 0 4711', 'orders 1 12'])
    for (let length = 1; length < text.length; length++) {
      assert.equal(parseCheckpoint(text.slice(0, length)), null, `the first ${length} characters`)
    }
  })
})

describe('parseDecimal', () => {
  for (const [text, value] of [
    ['0', 0],
    ['7', 7],
    ['9007199254740991', 2 ** 53 - 1],
    ['9007199254740992', null],
    ['99999999999999999', null],
    ['', null],
    ['00', null],
    ['07', null],
    ['-1', null],
    ['+1', null],
    ['1e3', null],
    ['1.0', null],
    [' 1', null],
    ['1\n', null],
  ] as const) {
    it(`${JSON.stringify(text)} → ${value}`, () => {
      assert.equal(parseDecimal(text), value)
    })
  }
})

describe('checksum line', () => {
  const text = 'varve something 1\nname größe\n'
  const file = Buffer.from(withChecksum(text))

  it('123456789 and a line feed → a line with the CRC-32 of these ten bytes', () => {
    assert.equal(withChecksum('123456789\n'), '123456789\ncrc32 e0117757\n')
  })

  it('a CRC with leading zeros → eight digits all the same', () => {
    assert.match(withChecksum('195\n'), /^195\ncrc32 00[0-9a-f]{6}\n$/)
  })

  it('an untouched file → the text before the line', () => {
    assert.equal(checkedText(file.toString()), text)
  })

  it('every true prefix → null', () => {
    for (let length = 0; length < file.length; length++) {
      assert.equal(checkedText(file.toString('utf8', 0, length)), null, `the first ${length} bytes`)
    }
  })

  it('every single bit flipped → null', () => {
    for (let bit = 0; bit < file.length * 8; bit++) {
      const damaged = Buffer.from(file)
      damaged.writeUInt8(damaged.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(checkedText(damaged.toString()), null, `bit ${bit}`)
    }
  })

  for (const [what, damaged] of [
    ['a line behind it', `${file}x\n`],
    ['the line twice', `${file}${file.toString().slice(text.length)}`],
    ['the line alone', 'crc32 00000000\n'],
    ['upper-case digits', file.toString().replace(/[0-9a-f]+\n$/, crc => crc.toUpperCase())],
  ] as const) {
    it(`${what} → null`, () => {
      assert.equal(checkedText(damaged), null)
    })
  }

  it('a text whose last line has not ended → a broken invariant', () => {
    assert.throws(() => withChecksum('x'), { name: 'AssertionError' })
  })
})

/** A directory of files that notes what is done to it and lets the operation named `failing` fail. */
class NotingFiles {
  readonly contents = new Map<string, Buffer>()
  readonly operations: string[] = []
  failing: string | null = null
  /** How much a single write takes at most. */
  writeBytes = Number.POSITIVE_INFINITY

  asFiles(): Files {
    return {
      stat: (path: string) => (this.contents.has(path) ? {} : null),
      open: (path: string, mode: string) => {
        this.#note(`open ${path} ${mode}`)
        assert.ok(!this.contents.has(path), 'EEXIST')
        this.contents.set(path, Buffer.alloc(0))
        return this.#openFile(path)
      },
      replace: async (from: string, to: string) => {
        this.#note(`rename ${from} ${to}`)
        this.contents.set(to, this.#content(from))
        this.contents.delete(from)
      },
      remove: async (path: string) => {
        this.#note(`remove ${path}`)
        assert.ok(this.contents.delete(path), 'ENOENT')
      },
      syncDirectory: async (path: string) => this.#note(`syncDirectory ${path}`),
    } as unknown as Files
  }

  #openFile(path: string): OpenFile {
    return {
      path,
      write: async (bytes: Buffer, position: number) => {
        this.#note(`write ${path}`)
        const count = Math.min(bytes.length, this.writeBytes)
        const before = this.#content(path).subarray(0, position)
        this.contents.set(path, Buffer.concat([before, bytes.subarray(0, count)]))
        return count
      },
      syncData: async () => this.#note(`syncData ${path}`),
      close: () => this.#note(`close ${path}`),
    } as unknown as OpenFile
  }

  #content(path: string): Buffer {
    const content = this.contents.get(path)
    assert.ok(content !== undefined, 'ENOENT')
    return content
  }

  #note(operation: string): void {
    this.operations.push(operation)
    if (operation.split(' ')[0] === this.failing) throw new Error(`EIO: ${operation}`)
  }
}

describe('replaceFile', () => {
  const order = [
    'open /d/f.tmp create',
    'write /d/f.tmp',
    'syncData /d/f.tmp',
    'close /d/f.tmp',
    'rename /d/f.tmp /d/f',
    'syncDirectory /d',
  ]

  it('a new content → written aside, synced, renamed, directory synced, in this order', async () => {
    const files = new NotingFiles()
    await replaceFile(files.asFiles(), '/d/f', 'new')
    assert.deepEqual(files.operations, order)
    assert.deepEqual([...files.contents], [['/d/f', Buffer.from('new')]])
  })

  it('an old content → replaced', async () => {
    const files = new NotingFiles()
    files.contents.set('/d/f', Buffer.from('old and longer'))
    await replaceFile(files.asFiles(), '/d/f', Buffer.from('new'))
    assert.deepEqual([...files.contents], [['/d/f', Buffer.from('new')]])
  })

  it('a temporary file left by a crash → removed first', async () => {
    const files = new NotingFiles()
    files.contents.set('/d/f.tmp', Buffer.from('half'))
    await replaceFile(files.asFiles(), '/d/f', 'new')
    assert.deepEqual(files.operations, ['remove /d/f.tmp', ...order])
  })

  it('writes that take one byte each → the whole content', async () => {
    const files = new NotingFiles()
    files.writeBytes = 1
    await replaceFile(files.asFiles(), '/d/f', 'content')
    assert.equal(files.contents.get('/d/f')?.toString(), 'content')
  })

  it('a write that takes nothing → DISK_FULL and the old content', async () => {
    const files = new NotingFiles()
    files.contents.set('/d/f', Buffer.from('old'))
    files.writeBytes = 0
    await assert.rejects(replaceFile(files.asFiles(), '/d/f', 'new'), { code: 'DISK_FULL' })
    assert.deepEqual([...files.contents], [['/d/f', Buffer.from('old')]])
  })

  for (const failing of ['open', 'write', 'syncData', 'close', 'rename']) {
    it(`${failing} fails → its error, the old content and no temporary file`, async () => {
      const files = new NotingFiles()
      files.contents.set('/d/f', Buffer.from('old'))
      files.failing = failing
      await assert.rejects(replaceFile(files.asFiles(), '/d/f', 'new'), {
        message: new RegExp(`^EIO: ${failing}`),
      })
      assert.deepEqual([...files.contents], [['/d/f', Buffer.from('old')]])
    })
  }

  it('write fails → the temporary file is closed before it is removed', async () => {
    const files = new NotingFiles()
    files.failing = 'write'
    await assert.rejects(replaceFile(files.asFiles(), '/d/f', 'new'))
    assert.deepEqual(files.operations.slice(-2), ['close /d/f.tmp', 'remove /d/f.tmp'])
  })

  it('syncing the directory fails → its error', async () => {
    const files = new NotingFiles()
    files.failing = 'syncDirectory'
    await assert.rejects(replaceFile(files.asFiles(), '/d/f', 'new'), /EIO: syncDirectory/)
  })
})

/** Lines of blocks that are cut anywhere, against a split of the whole. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { LineSplitter, LineTooLongError } from '../../lib/cli/line-splitter.ts'

function linesOf(blocks: readonly Buffer[], maxBytes = 1000): readonly string[] {
  const splitter = new LineSplitter(maxBytes)
  const lines: string[] = []
  for (const block of blocks) for (const line of splitter.split(block)) lines.push(String(line))
  const last = splitter.end()
  return last === null ? lines : [...lines, String(last)]
}

describe('LineSplitter', () => {
  for (const text of ['', '\n', '\n\n', 'a', 'a\n', '\na', 'a\n\nbb\r\n', 'aa\nbb\n\n\ncc']) {
    it(`${JSON.stringify(text)} cut at any two places -> the same lines`, () => {
      const whole = Buffer.from(text)
      const expected = text.split('\n')
      if (expected.at(-1) === '') expected.pop()
      for (let first = 0; first <= whole.length; first++) {
        for (let second = first; second <= whole.length; second++) {
          const blocks = [
            whole.subarray(0, first),
            whole.subarray(first, second),
            whole.subarray(second),
          ]
          assert.deepEqual(linesOf(blocks), expected)
        }
      }
    })
  }

  it('a line of the largest size -> taken, with its end in another block too', () => {
    assert.deepEqual(linesOf([Buffer.from('abc\nab'), Buffer.from('c\n')], 3), ['abc', 'abc'])
  })

  for (const blocks of [['ab\nabcd\n'], ['ab\nab', 'cd\n'], ['ab\nab', 'cd']]) {
    it(`${blocks.join(' | ')} with at most 3 bytes -> refused by its number`, () => {
      const buffers = blocks.map(block => Buffer.from(block))
      assert.throws(() => linesOf(buffers, 3), { message: /^line 2 is longer than 3 bytes/ })
    })
  }

  it('a line without end -> refused as soon as it is too long, not at its end', () => {
    const splitter = new LineSplitter(3)
    assert.deepEqual([...splitter.split(Buffer.from('ab'))], [])
    assert.throws(() => [...splitter.split(Buffer.from('cd'))], LineTooLongError)
  })
})

/** Progress, tables and numbers as a person sees them. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Progress } from '../../lib/cli/progress.ts'
import { count, counted, drawTable, hasColors, size } from '../../lib/cli/table.ts'

function screen(isTTY: boolean, columns = 80): { written: string[]; stream: object } {
  const written: string[] = []
  return { written, stream: { isTTY, columns, write: (text: string) => written.push(text) } }
}

describe('Progress', () => {
  it('on a terminal -> a bar in one line, which end() takes away', () => {
    const { written, stream } = screen(true)
    const progress = new Progress(stream as NodeJS.WriteStream, 'reading')
    progress.update(() => ({ part: 0.5, text: '7 records' }))
    progress.end()
    assert.deepEqual(written, [
      '\r\x1b[Kreading ████████████░░░░░░░░░░░░ 50% 7 records',
      '\r\x1b[K',
    ])
  })

  it('on a narrow terminal -> cut before the last column', () => {
    const { written, stream } = screen(true, 12)
    new Progress(stream as NodeJS.WriteStream, 'reading').update(() => ({ part: 1, text: '' }))
    assert.equal(written[0], '\r\x1b[Kreading ███')
  })

  it('without an end that is known -> no bar', () => {
    const { written, stream } = screen(true)
    new Progress(stream as NodeJS.WriteStream, 'reading').update(() => ({ part: null, text: 'x' }))
    assert.equal(written[0], '\r\x1b[Kreading x')
  })

  it('updates right after each other -> drawn once, and again after a while', () => {
    const { written, stream } = screen(true)
    let nowMs = 0
    const progress = new Progress(stream as NodeJS.WriteStream, 'reading', () => nowMs)
    for (; nowMs < 150; nowMs += 10) progress.update(() => ({ part: null, text: `${nowMs}` }))
    assert.deepEqual(written, ['\r\x1b[Kreading 0', '\r\x1b[Kreading 100'])
  })

  it('without a terminal -> nothing of a short task, a line now and then of a long one', () => {
    const { written, stream } = screen(false)
    let nowMs = 0
    const progress = new Progress(stream as NodeJS.WriteStream, 'reading', () => nowMs)
    for (; nowMs < 2000; nowMs += 500) progress.update(() => ({ part: 0.5, text: 'x' }))
    assert.deepEqual(written, [])
    for (; nowMs < 5000; nowMs += 500) progress.update(() => ({ part: 0.5, text: 'x' }))
    progress.end()
    assert.deepEqual(written, ['reading 50% x\n', 'reading 50% x\n'])
  })
})

describe('drawTable', () => {
  it('text to the left, numbers to the right, as wide as the widest', () => {
    const table = drawTable({ heading: ['name', 'n'], rows: [['a', '12345']] }, false)
    assert.deepEqual(table.split('\n'), [
      '┌──────┬───────┐',
      '│ name │     n │',
      '├──────┼───────┤',
      '│ a    │ 12345 │',
      '└──────┴───────┘',
    ])
  })
})

describe('colors', () => {
  for (const [isTTY, noColor, expected] of [
    [true, undefined, true],
    [true, '1', false],
    [false, undefined, false],
  ] as const) {
    it(`terminal: ${isTTY}, NO_COLOR: ${noColor} -> ${expected}`, t => {
      const before = process.env['NO_COLOR']
      t.after(() => {
        if (before === undefined) delete process.env['NO_COLOR']
        else process.env['NO_COLOR'] = before
      })
      if (noColor === undefined) delete process.env['NO_COLOR']
      else process.env['NO_COLOR'] = noColor
      assert.equal(hasColors({ isTTY }), expected)
    })
  }
})

describe('numbers', () => {
  it('in thousands, in decimal units, with their noun', () => {
    assert.equal(count(1234567.4), '1,234,567')
    assert.deepEqual([0, 999, 1000, 1234567, 999_950].map(size), [
      '0 B',
      '999 B',
      '1.00 kB',
      '1.23 MB',
      '1.00 MB',
    ])
    assert.deepEqual([counted(1, 'record'), counted(2, 'record')], ['1 record', '2 records'])
  })
})

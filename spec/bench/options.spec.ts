import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { OptionError, parseOptions } from '../../bench/harness/options.ts'

const of = { benchDir: '/bench', names: ['append-batches', 'append-curve', 'micro/read'] }

describe('parseOptions', () => {
  it('nothing asked for -> every workload, five rounds, no peers', () => {
    const options = parseOptions([], of)
    assert.deepEqual(options.only, [])
    assert.equal(options.rounds, 5)
    assert.equal(options.withPeers, false)
  })

  it('the start of a name -> accepted', () => {
    assert.deepEqual(parseOptions(['--only', 'append', '--only', 'micro/read'], of).only, [
      'append',
      'micro/read',
    ])
  })

  const wrong: readonly (readonly [string, readonly string[], RegExp])[] = [
    ['an unknown option', ['--fast'], /--fast/],
    ['an argument that no option takes', ['append'], /'append'/],
    ['--only without a name', ['--only'], /--only/],
    ['a name that no workload has', ['--only', 'nope'], /'nope'.*append-batches, append-curve/],
    ['an empty name', ['--only', ''], /starts with ''/],
    ['rounds that are no number', ['--rounds', 'many'], /1 to 1000, got 'many'/],
    ['no rounds at all', ['--rounds', '0'], /got '0'/],
    ['half a round', ['--rounds', '1.5'], /got '1.5'/],
    ['an empty directory', ['--dir', ''], /--dir/],
    ['a profile of a smoke run', ['--smoke', '--profile'], /profile/],
  ]
  for (const [what, args, message] of wrong) {
    it(`${what} -> an OptionError that names it`, () => {
      assert.throws(
        () => parseOptions(args, of),
        error => error instanceof OptionError && message.test(error.message),
      )
    })
  }
})

/**
 * The rules themselves: each is shown a source that breaks it and one that comes close and does not.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  defaultExports,
  fileSystemImports,
  hiddenInputs,
  importCycles,
  leftOverNotes,
  strayPackages,
  topLevelAwaits,
  uncheckedTypes,
  undocumentedExports,
  upwardImports,
} from './rules.ts'
import { parseSource, type Source } from './source.ts'

type Rule = (sources: readonly Source[]) => readonly string[]

/** How many violations a rule finds in one source. */
function count(rule: Rule, path: string, text: string): number {
  return rule([parseSource(path, text)]).length
}

describe('upwardImports', () => {
  it('finds an import of a higher layer, over several lines too', () => {
    assert.equal(
      count(upwardImports, 'lib/record/a.ts', "import {\n  b,\n} from '../log/b.ts'\n"),
      1,
    )
    assert.equal(count(upwardImports, 'lib/errors.ts', "export type { B } from './log/b.ts'\n"), 1)
    assert.equal(count(upwardImports, 'lib/log/a.ts', "import '../index.ts'\n"), 1)
  })

  it('finds a folder that is no layer and an import from outside lib', () => {
    assert.equal(count(upwardImports, 'lib/helpers/a.ts', ''), 1)
    assert.equal(count(upwardImports, 'lib/log/a.ts', "import { b } from '../../spec/b.ts'\n"), 1)
  })

  it('lets imports point down, and the base name the types of the storage interface', () => {
    assert.equal(count(upwardImports, 'lib/log/a.ts', "import { b } from '../storage/b.ts'\n"), 0)
    const typeImport = "import type { Files } from './files/files.ts'\n"
    assert.equal(count(upwardImports, 'lib/types.ts', typeImport), 0)
    assert.equal(count(upwardImports, 'lib/types.ts', typeImport.replace('type ', '')), 1)
  })
})

describe('importCycles', () => {
  const a = parseSource('lib/log/a.ts', "import { b } from './b.ts'\n")
  const c = parseSource('lib/log/c.ts', "import { a } from './a.ts'\n")

  it('finds a circle through three files', () => {
    const b = parseSource('lib/log/b.ts', "import { c } from './c.ts'\n")
    assert.deepEqual(importCycles([a, b, c]), [
      'lib/log/a.ts → lib/log/b.ts → lib/log/c.ts → lib/log/a.ts',
    ])
  })

  it('lets types refer to each other', () => {
    const b = parseSource('lib/log/b.ts', "import type { C } from './c.ts'\n")
    assert.deepEqual(importCycles([a, b, c]), [])
  })
})

describe('fileSystemImports', () => {
  const text = "import { openSync } from 'node:fs'\n"

  it('finds node:fs and fs-ext in any other layer', () => {
    assert.equal(count(fileSystemImports, 'lib/storage/a.ts', text), 1)
    assert.equal(count(fileSystemImports, 'lib/storage/a.ts', "import 'node:fs/promises'\n"), 1)
    assert.equal(
      count(fileSystemImports, 'lib/cli/a.ts', "import { flockSync } from 'fs-ext'\n"),
      1,
    )
  })

  it('lets lib/files and the command line read files', () => {
    assert.equal(count(fileSystemImports, 'lib/files/a.ts', text), 0)
    assert.equal(count(fileSystemImports, 'lib/cli/a.ts', text), 0)
  })
})

describe('strayPackages', () => {
  it('finds a package imported, required or loaded dynamically', () => {
    assert.equal(count(strayPackages, 'lib/log/a.ts', "import { x } from 'snappyjs'\n"), 1)
    assert.equal(count(strayPackages, 'lib/log/a.ts', "const x = await import('snappyjs')\n"), 1)
    assert.equal(count(strayPackages, 'lib/log/a.ts', 'createRequire(import.meta.url)\n'), 1)
  })

  it('lets natives.ts require, and everybody import modules of node', () => {
    assert.equal(
      count(strayPackages, 'lib/files/natives.ts', 'createRequire(import.meta.url)\n'),
      0,
    )
    assert.equal(count(strayPackages, 'lib/log/a.ts', "import { join } from 'node:path'\n"), 0)
  })
})

describe('hiddenInputs', () => {
  for (const text of [
    'setTimeout(f, 5)',
    'const sleep = promisify(setTimeout)',
    'setInterval(f, 5)',
    'Date.now()',
    'new Date()',
    'performance.now()',
    'process.hrtime.bigint()',
    'Math.random()',
    'const t = `${Date.now()}`',
    "import { setTimeout as sleep } from 'node:timers/promises'",
  ]) {
    it(`finds ${text}`, () => {
      assert.ok(count(hiddenInputs, 'lib/log/a.ts', text) > 0)
      assert.equal(count(hiddenInputs, 'lib/testing/a.ts', text), 0)
    })
  }

  it('lets comments and strings speak of them, and dates be made from numbers', () => {
    const text =
      "// Date.now()\nconst a = 'Math.random()'\nconst b = new Date(5)\nclearTimeout(c)\n"
    assert.equal(count(hiddenInputs, 'lib/log/a.ts', text), 0)
  })
})

describe('hiddenInputs of a file with an exception', () => {
  it('lets that one use be and finds every other', () => {
    const text = 'Math.random()\nDate.now()\n'
    assert.deepEqual(hiddenInputs([parseSource('lib/files/faulty-files.ts', text)]), [
      'lib/files/faulty-files.ts:2: Date.now comes from a Clock or a seed',
    ])
  })
})

describe('defaultExports', () => {
  it('finds both ways to write one', () => {
    assert.equal(count(defaultExports, 'lib/log/a.ts', 'export default class A {}'), 1)
    assert.equal(count(defaultExports, 'lib/log/a.ts', 'export { a as default }'), 1)
  })
})

describe('uncheckedTypes', () => {
  it('finds any as a type wherever it stands', () => {
    for (const text of ['let a: any', 'b as any', 'Map<string, any>', 'any[]']) {
      assert.equal(count(uncheckedTypes, 'lib/log/a.ts', text), 1, text)
    }
    assert.equal(count(uncheckedTypes, 'lib/log/a.ts', `// @ts-${'ignore'}`), 1)
  })

  it('lets prose and methods of that name be', () => {
    const text = "// any\nconst a = 'any'\nPromise.any([])\nconst many = 1\n"
    assert.equal(count(uncheckedTypes, 'lib/log/a.ts', text), 0)
  })
})

describe('leftOverNotes', () => {
  it('finds them in comments', () => {
    assert.deepEqual(leftOverNotes([parseSource('lib/a.ts', `\n// TO${'DO'}: later`)]), [
      `lib/a.ts:2: TO${'DO'}`,
    ])
  })
})

describe('topLevelAwaits', () => {
  it('finds an await outside every function only', () => {
    assert.equal(count(topLevelAwaits, 'lib/a.ts', 'const a = await b()'), 1)
    assert.equal(count(topLevelAwaits, 'lib/a.ts', 'async function f() { await b() }'), 0)
  })
})

describe('undocumentedExports', () => {
  it('finds an export without a docstring, or behind one of something else', () => {
    assert.equal(count(undocumentedExports, 'lib/a.ts', 'export const a = 1'), 1)
    assert.equal(count(undocumentedExports, 'lib/a.ts', '/* a */\nexport class A {}'), 1)
    const text = '/** One. */\nexport type A = 1\nexport interface B {}\n'
    assert.equal(count(undocumentedExports, 'lib/a.ts', text), 1)
  })

  it('lets overloads share the docstring of the first', () => {
    const text =
      '/** One. */\nexport function a(b: 1): 1\nexport function a(b: 2): 2\nexport function a() {}\n'
    assert.equal(count(undocumentedExports, 'lib/a.ts', text), 0)
  })
})

describe('the scanner', () => {
  it('tells code inside a template from its text', () => {
    const { code } = parseSource('lib/a.ts', 'f(`any ${g({ a: "}" })} any`, any)')
    assert.equal(code, 'f(`    ${g({ a: " " })}    `, any)')
  })

  it('tells a regular expression from a division', () => {
    const { code } = parseSource('lib/a.ts', "return /['/]any/.test(a) || b / any / 'c'")
    assert.equal(code, "return /       /.test(a) || b / any / ' '")
  })
})

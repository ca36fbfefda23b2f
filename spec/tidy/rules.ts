/**
 * The rules of the architecture as functions from sources to violations, each a line that names the
 * file and the rule's reason. `tidy.spec.ts` applies them to the project, `rules.spec.ts` to
 * sources that break them.
 */
import { lineAt, type Source } from './source.ts'

/** The layers of lib, lowest first: a file imports from its own layer and from those before it. */
const layers: readonly string[] = [
  'base',
  'files',
  'record',
  'storage',
  'log',
  'producer',
  'consumer',
  'index',
  'wire',
  'cluster',
  'testing',
  'cli',
]

const fsPackages: readonly string[] = ['node:fs', 'node:fs/promises', 'fs', 'fs-ext']

/** The files that load packages by `require`, and why an import would not do. */
const requireExceptions: Readonly<Record<string, string>> = {
  'lib/files/natives.ts': 'natives may be missing, and then something else takes their place',
  'lib/storage/crc32.ts': 'the declarations of buffer-crc32 do not fit its ES module',
}

/** Where time and randomness come from outside the `Clock`. */
const timeExceptions: readonly string[] = ['lib/clock.ts', 'lib/testing/', 'lib/cli/']

/** The single use that a file may make of the machine, beside those. */
const machineUses: Readonly<Record<string, string>> = {
  // A number that tells two records of one process apart.
  'lib/files/pid-record.ts': 'process.hrtime',
  // The seed where the test gives none; it can be read back and given again.
  'lib/files/faulty-files.ts': 'Math.random',
}

function layerOf(path: string): number {
  const [, first = '', second] = path.split('/')
  const isTop = first === 'index.ts' || first === 'open.ts'
  const name = second !== undefined ? first : isTop ? 'index' : 'base'
  return layers.indexOf(name)
}

/** Imports that point up, and files of no known layer. */
export function upwardImports(sources: readonly Source[]): readonly string[] {
  const violations: string[] = []
  for (const { path, imports } of sources) {
    if (path.startsWith('lib/types/')) continue
    if (layerOf(path) < 0) violations.push(`${path}: its folder is no layer`)
    for (const { target, isOwn, isTypeOnly } of imports) {
      // The storage interface is part of the public options, so the base names its types.
      if (!isOwn || (isTypeOnly && target === 'lib/files/files.ts')) continue
      if (!target.startsWith('lib/')) violations.push(`${path}: imports ${target}, outside lib`)
      else if (layerOf(target) > layerOf(path))
        violations.push(`${path}: imports ${target}, above it`)
    }
  }
  return violations
}

/** One line for each circle of imports that are there at run time. */
export function importCycles(sources: readonly Source[]): readonly string[] {
  const graph = new Map<string, readonly string[]>()
  for (const { path, imports } of sources) {
    const values = imports.filter(({ isOwn, isTypeOnly }) => isOwn && !isTypeOnly)
    graph.set(
      path,
      values.map(({ target }) => target),
    )
  }
  const cycles: string[] = []
  const done = new Set<string>()
  const visit = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path)
    if (start >= 0) cycles.push([...trail.slice(start), path].join(' → '))
    if (start >= 0 || done.has(path)) return
    for (const target of graph.get(path) ?? []) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of graph.keys()) visit(path, [])
  return cycles
}

/** File system packages outside lib/files. The command line may read its input files. */
export function fileSystemImports(sources: readonly Source[]): readonly string[] {
  const violations: string[] = []
  for (const { path, imports } of sources) {
    if (path.startsWith('lib/files/')) continue
    for (const { target } of imports) {
      if (!fsPackages.includes(target)) continue
      if (path.startsWith('lib/cli/') && target.startsWith('node:fs')) continue
      violations.push(`${path}: imports ${target}, which belongs under lib/files`)
    }
  }
  return violations
}

/** Packages loaded any other way than through natives.ts; `node:` modules are free. */
export function strayPackages(sources: readonly Source[]): readonly string[] {
  const violations: string[] = []
  for (const { path, code, imports } of sources) {
    if (path in requireExceptions) continue
    if (/\bcreateRequire\b|\brequire\s*\(/.test(code)) {
      violations.push(`${path}: requires a package, which belongs in lib/files/natives.ts`)
    }
    for (const { target, isOwn, isDynamic } of imports) {
      if (isDynamic) violations.push(`${path}: imports ${target || 'something'} dynamically`)
      else if (!isOwn && !target.startsWith('node:')) {
        violations.push(`${path}: imports the package ${target}`)
      }
    }
  }
  return violations
}

/** Clocks, timers and random numbers taken from the machine instead of being handed in. */
export function hiddenInputs(sources: readonly Source[]): readonly string[] {
  const machine =
    /\b(?:setTimeout|setInterval)\b|\bDate\.now\b|\bnew Date\(\s*\)|\bperformance\.now\b|\bprocess\.hrtime\b|\bMath\.random\b/g
  const inner = sources.filter(({ path }) => !timeExceptions.some(start => path.startsWith(start)))
  const timers = inner.filter(({ imports }) =>
    imports.some(({ target }) => target.startsWith('node:timers')),
  )
  const used = inner.flatMap(source =>
    occurrences([source], machine, 'comes from a Clock or a seed').filter(
      line => !line.includes(`: ${machineUses[source.path]} `),
    ),
  )
  return [...used, ...timers.map(({ path }) => `${path}: imports node:timers`)]
}

/** Default exports. */
export function defaultExports(sources: readonly Source[]): readonly string[] {
  return occurrences(sources, /\bexport\s+default\b|\bas\s+default\b/g, 'exports are named')
}

/** `any` as a type, and the comments that switch the type checker off. */
export function uncheckedTypes(sources: readonly Source[]): readonly string[] {
  const typed = sources.filter(({ path }) => !path.startsWith('lib/types/'))
  const switchedOff = typed.filter(({ text }) => /@ts-(?:ignore|nocheck)/.test(text))
  return [
    ...occurrences(typed, /(?<![.\w$])any\b(?!\s*[:(])/g, 'is unknown'),
    ...switchedOff.map(({ path }) => `${path}: switches the type checker off`),
  ]
}

/** Notes to oneself: a known limit is written as a sentence "Limit: …". */
export function leftOverNotes(sources: readonly Source[]): readonly string[] {
  const notes = new RegExp(`\\b(?:TO${'DO'}|FIX${'ME'}|XX${'X'})\\b`, 'g')
  return sources.flatMap(({ path, text }) =>
    [...text.matchAll(notes)].map(found => `${path}:${lineAt(text, found.index)}: ${found[0]}`),
  )
}

/** `await` outside every function: `require()` of the package refuses a module that has one. */
export function topLevelAwaits(sources: readonly Source[]): readonly string[] {
  const violations: string[] = []
  for (const { path, code } of sources) {
    let depth = 0
    for (const found of code.matchAll(/[{}]|\bawait\b/g)) {
      if (found[0] === '{') depth += 1
      else if (found[0] === '}') depth -= 1
      else if (depth === 0) violations.push(`${path}:${lineAt(code, found.index)}: await`)
    }
  }
  return violations
}

/** Exported declarations without a docstring right before them; overloads share the first one's. */
export function undocumentedExports(sources: readonly Source[]): readonly string[] {
  const declaration =
    /^export (?:declare |abstract |async )*(?:class|function\*?|interface|type|const|let) ([\w$]+)/gm
  const violations: string[] = []
  for (const { path, text, code } of sources) {
    const documented = new Set<string>()
    for (const found of code.matchAll(declaration)) {
      const name = found[1] ?? ''
      const before = text.slice(0, found.index).trimEnd()
      const comment = before.slice(before.lastIndexOf('/*'))
      if (before.endsWith('*/') && comment.startsWith('/**')) documented.add(name)
      else if (!documented.has(name)) violations.push(`${path}: ${name} has no docstring`)
    }
  }
  return violations
}

function occurrences(sources: readonly Source[], pattern: RegExp, rule: string): readonly string[] {
  return sources.flatMap(({ path, code }) =>
    [...code.matchAll(pattern)].map(
      found => `${path}:${lineAt(code, found.index)}: ${found[0]} ${rule}`,
    ),
  )
}

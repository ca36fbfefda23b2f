/**
 * TypeScript sources as the tidy spec looks at them: enough of a scanner to tell code from comments
 * and strings, and to list imports. There is no compiler API to ask.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The directory of package.json. */
export const root: string = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** One import, export-from or dynamic import of a file. */
export interface Import {
  /** A path from the root (`lib/errors.ts`) for an own file, else the specifier as written. */
  readonly target: string
  readonly isOwn: boolean
  readonly isTypeOnly: boolean
  readonly isDynamic: boolean
}

/** One source file; `path` is from the root, with forward slashes. */
export interface Source {
  readonly path: string
  readonly text: string
  /** The text with comments and the contents of strings blanked out; every position stays the same. */
  readonly code: string
  readonly imports: readonly Import[]
}

/** Every `.ts` file below a directory of the project, but for what npm has put there. */
export function readSources(dir: string): readonly Source[] {
  const sources: Source[] = []
  for (const entry of readdirSync(join(root, dir), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts')) continue
    if (entry.parentPath.split(sep).includes('node_modules')) continue
    const path = relative(root, join(entry.parentPath, entry.name)).split(sep).join('/')
    sources.push(parseSource(path, readFileSync(join(root, path), 'utf8')))
  }
  return sources.sort((a, b) => (a.path < b.path ? -1 : 1))
}

/** A source of that path and text. */
export function parseSource(path: string, text: string): Source {
  const code = blankOut(text)
  return { path, text, code, imports: listImports(path, text, code) }
}

/** The number of the line that holds a position, from 1. */
export function lineAt(text: string, position: number): number {
  return text.slice(0, position).split('\n').length
}

const importStatement = /^(?:import|export)\b(\s+type\b)?(?:[^;'"()=]*?\bfrom)?\s*(['"])( *)\2/gm
const importCall = /\bimport\s*\(\s*(?:(['"])( *)\1)?/g

function listImports(path: string, text: string, code: string): readonly Import[] {
  const imports: Import[] = []
  const add = (specifier: string, isTypeOnly: boolean, isDynamic: boolean): void => {
    const isOwn = specifier.startsWith('.')
    const target = isOwn ? posix.join(posix.dirname(path), specifier) : specifier
    imports.push({ target, isOwn, isTypeOnly, isDynamic })
  }
  for (const found of code.matchAll(importStatement)) {
    const end = found.index + found[0].length - 1
    const specifier = text.slice(end - (found[3] ?? '').length, end)
    add(specifier, found[1] !== undefined, false)
  }
  for (const found of code.matchAll(importCall)) {
    const end = found.index + found[0].length - 1
    const specifier = found[1] === undefined ? '' : text.slice(end - (found[2] ?? '').length, end)
    // `import('x')` inside a type is a dynamic import here too: no file needs it.
    add(specifier, false, true)
  }
  return imports
}

/** What may stand before a slash that begins a regular expression instead of dividing. */
const beforeRegExp = /(?:^|[(,=:[!&|?{};+\-*%<>~^]|\breturn|\btypeof|\bcase|=>)$/

function blankOut(text: string): string {
  const out = text.split('')
  const blank = (from: number, to: number): void => {
    for (let index = from; index < to; index += 1) if (text[index] !== '\n') out[index] = ' '
  }
  // Depths of braces at which a template's `${` was opened: its `}` goes back into the template.
  const templates: number[] = []
  let depth = 0
  let position = 0
  let codeBefore = ''
  const skipTemplate = (start: number): number => {
    let end = start
    while (end < text.length && text[end] !== '`' && !text.startsWith('${', end)) {
      end += text[end] === '\\' ? 2 : 1
    }
    blank(start, end)
    if (text[end] === '`') return end + 1
    templates.push(depth)
    depth += 1
    return end + 2
  }
  while (position < text.length) {
    const character = text.charAt(position)
    const start = position
    if (text.startsWith('//', position)) {
      position = endOr(text.indexOf('\n', position), text.length)
      blank(start, position)
    } else if (text.startsWith('/*', position)) {
      position = endOr(text.indexOf('*/', position + 2) + 2, text.length)
      blank(start, position)
    } else if (character === "'" || character === '"') {
      position = endOfQuoted(text, start, character)
      blank(start + 1, position - 1)
      codeBefore = character
    } else if (character === '`') {
      position = skipTemplate(start + 1)
      codeBefore = '`'
    } else if (character === '/' && beforeRegExp.test(codeBefore.trimEnd())) {
      position = endOfRegExp(text, start)
      blank(start + 1, position - 1)
      codeBefore = '/'
    } else {
      position += 1
      if (character === '{') depth += 1
      if (character === '}') {
        depth -= 1
        if (templates.at(-1) === depth) {
          templates.pop()
          position = skipTemplate(position)
        }
      }
      codeBefore = `${codeBefore.slice(-8)}${character}`
    }
  }
  return out.join('')
}

function endOr(end: number, otherwise: number): number {
  return end <= 1 ? otherwise : end
}

function endOfQuoted(text: string, start: number, quote: string): number {
  let end = start + 1
  while (end < text.length && text[end] !== quote) end += text[end] === '\\' ? 2 : 1
  return end + 1
}

function endOfRegExp(text: string, start: number): number {
  let end = start + 1
  let isInClass = false
  while (end < text.length && (isInClass || text[end] !== '/')) {
    if (text[end] === '[') isInClass = true
    if (text[end] === ']') isInClass = false
    end += text[end] === '\\' ? 2 : 1
  }
  return end + 1
}

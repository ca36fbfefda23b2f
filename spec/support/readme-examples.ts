/** The examples of the README, taken out of it and made into programs that run from the sources. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The folder of the project. */
export const root: string = fileURLToPath(new URL('../..', import.meta.url))

/** The whole README. */
export const readme: string = readFileSync(join(root, 'README.md'), 'utf8')

/** One block of code, under the bold words or else the heading before it. */
export interface Example {
  readonly title: string
  readonly code: string
}

/** All of them, in the order of the README. */
export const examples: readonly Example[] = [
  ...readme.matchAll(/^\*\*([^\n*]+)\.\*\*|^#+ ([^\n]+)|^```js\n(.*?)^```$/gms),
].reduce<{ title: string; found: Example[] }>(
  ({ title, found }, [, words, heading, code]) =>
    code === undefined
      ? { title: words ?? heading ?? '', found }
      : { title, found: [...found, { title, code }] },
  { title: '', found: [] },
).found

/**
 * Writes an example to `example.mjs` in a directory, unchanged but for where `varve` is: the sources,
 * or the module whose URL is given.
 */
export function writeExample(dir: string, title: string, library?: string): void {
  const example = examples.find(found => found.title === title)
  if (example === undefined) throw new Error(`the README has no example under ${title}`)
  const code = example.code
    .replaceAll("'varve'", `'${library ?? sourceOf('index.ts')}'`)
    .replaceAll("'varve/testing'", `'${sourceOf('testing/index.ts')}'`)
  writeFileSync(join(dir, 'example.mjs'), code)
}

function sourceOf(name: string): string {
  return pathToFileURL(join(root, 'lib', name)).href
}

/** What Node has to be started with, to run an example in its directory. */
export const exampleArguments: readonly string[] = [
  '--import',
  import.meta.resolve('tsx'),
  'example.mjs',
]

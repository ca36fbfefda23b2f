/** Where the lines come from: files, standard input, or the text that lies around here. */
import {
  closeSync,
  createReadStream,
  openSync,
  readdirSync,
  readSync,
  type Stats,
  statSync,
} from 'node:fs'
import { extname, join, relative } from 'node:path'

import { UsageError } from './arguments.ts'

/** Bytes read at once. */
const blockBytes = 1024 * 1024

/**
 * What counts as text among the files that nobody named. Not `.log`: that would be the segments of a
 * log below the project, and the one that is being written would be read without end.
 */
const textExtensions: ReadonlySet<string> = new Set([
  ...['.cjs', '.css', '.html', '.js', '.json', '.jsonl', '.map', '.md', '.mjs'],
  ...['.cts', '.mts', '.ts', '.txt', '.yaml', '.yml'],
])

/**
 * One source of bytes. A plain file gives its blocks at once, which for many small files takes a tenth
 * of the time that a stream each would; what may have to be waited for gives a stream. No byte of a
 * block is written again, so that views of it stay valid.
 */
export type Input =
  | {
      readonly kind: 'file'
      readonly name: string
      readonly sizeBytes: number
      blocks(): Iterable<Buffer>
    }
  | { readonly kind: 'stream'; readonly name: string; blocks(): AsyncIterable<Buffer> }

/**
 * The inputs that the command line names; `-` is standard input.
 *
 * @throws {UsageError} when one is not there or no file; nothing has been read then
 */
export function namedInputs(paths: readonly string[]): readonly Input[] {
  if (paths.filter(path => path === '-').length > 1) {
    throw new UsageError('standard input, -, can be read once only')
  }
  return paths.map(path => (path === '-' ? standardInput : pathInput(path)))
}

/** Every text file below a directory, those of installed packages included, in the order of their paths. */
export function textFilesBelow(root: string): readonly Input[] {
  const inputs: Input[] = []
  const visit = (dir: string): void => {
    const entries = readdirSync(dir, { withFileTypes: true })
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const path = join(dir, entry.name)
      if (entry.name.startsWith('.')) continue
      if (entry.isDirectory()) visit(path)
      else if (entry.isFile() && textExtensions.has(extname(entry.name))) {
        const stats = statSync(path, { throwIfNoEntry: false })
        if (stats === undefined) continue
        const { size } = stats
        const blocks = (): Iterable<Buffer> => blocksIfThere(path, size)
        inputs.push({ kind: 'file', name: relative(root, path), sizeBytes: size, blocks })
      }
    }
  }
  visit(root)
  return inputs
}

/** Bytes of all inputs together; null when one of them does not know. */
export function totalBytes(inputs: readonly Input[]): number | null {
  let total = 0
  for (const input of inputs) {
    if (input.kind === 'stream') return null
    total += input.sizeBytes
  }
  return total
}

const standardInput: Input = {
  kind: 'stream',
  name: 'standard input',
  blocks: () => process.stdin as AsyncIterable<Buffer>,
}

function pathInput(path: string): Input {
  let stats: Stats
  try {
    stats = statSync(path)
    // A file that may not be read is found out now, not after gigabytes of those before it.
    if (stats.isFile()) closeSync(openSync(path, 'r'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      throw new UsageError(`there is no file ${path}`)
    }
    throw new UsageError(`cannot read ${path}: ${(error as Error).message}`)
  }
  if (stats.isDirectory()) throw new UsageError(`${path} is a directory; name the files in it`)
  if (stats.isFile()) {
    const { size } = stats
    return { kind: 'file', name: path, sizeBytes: size, blocks: () => fileBlocks(path, size) }
  }
  // A named pipe, say, as in <(zcat old.log.gz).
  const blocks = (): AsyncIterable<Buffer> => createReadStream(path)
  return { kind: 'stream', name: path, blocks }
}

/** Of a file that nobody named, and that may have gone since it was listed. */
function* blocksIfThere(path: string, sizeBytes: number): Iterable<Buffer> {
  try {
    yield* fileBlocks(path, sizeBytes)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function* fileBlocks(path: string, sizeBytes: number): Iterable<Buffer> {
  const fd = openSync(path, 'r')
  try {
    // A byte more than a small file has, so that its end is seen without a second block.
    const isSmall = sizeBytes > 0 && sizeBytes < blockBytes
    let block = Buffer.allocUnsafeSlow(isSmall ? sizeBytes + 1 : blockBytes)
    let position = 0
    for (;;) {
      const count = readSync(fd, block, position, block.length - position, null)
      if (count === 0) return
      yield block.subarray(position, position + count)
      position += count
      if (position === block.length) {
        block = Buffer.allocUnsafeSlow(blockBytes)
        position = 0
      }
    }
  } finally {
    closeSync(fd)
  }
}

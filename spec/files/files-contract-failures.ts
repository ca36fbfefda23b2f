import type { Files } from '../../lib/files/files.ts'

/** A call that fails, in a directory with the files `file`, `other` and `full/file` and the directory `empty`. */
export interface FailureRow {
  readonly title: string
  readonly codes: readonly string[]
  readonly call: (files: Files, at: (name: string) => string) => unknown
}

/** Every call that must fail, and the codes that it may fail with. */
export const failures: readonly FailureRow[] = [
  {
    title: 'open for reading, nothing there',
    codes: ['ENOENT'],
    call: (files, at) => files.open(at('a'), 'read'),
  },
  {
    title: 'open for writing, nothing there',
    codes: ['ENOENT'],
    call: (files, at) => files.open(at('a'), 'write'),
  },
  {
    title: 'create, no such directory',
    codes: ['ENOENT'],
    call: (files, at) => files.open(at('a/b'), 'create'),
  },
  {
    title: 'create in a file',
    codes: ['ENOTDIR'],
    call: (files, at) => files.open(at('file/b'), 'create'),
  },
  {
    title: 'create, a file there',
    codes: ['EEXIST'],
    call: (files, at) => files.open(at('file'), 'create'),
  },
  {
    title: 'create, a directory there',
    codes: ['EEXIST'],
    call: (files, at) => files.open(at('empty'), 'create'),
  },
  {
    title: 'open a directory for writing',
    codes: ['EISDIR'],
    call: (files, at) => files.open(at('empty'), 'write'),
  },
  {
    title: 'readFile of a directory',
    codes: ['EISDIR'],
    call: (files, at) => readFileWithPath(files, at('empty')),
  },
  { title: 'list, nothing there', codes: ['ENOENT'], call: (files, at) => files.list(at('a')) },
  { title: 'list of a file', codes: ['ENOTDIR'], call: (files, at) => files.list(at('file')) },
  {
    title: 'makeDirectory, a file there',
    codes: ['EEXIST'],
    call: (files, at) => files.makeDirectory(at('file')),
  },
  {
    title: 'makeDirectory, a directory there',
    codes: ['EEXIST'],
    call: (files, at) => files.makeDirectory(at('empty')),
  },
  {
    title: 'makeDirectory, no parent',
    codes: ['ENOENT'],
    call: (files, at) => files.makeDirectory(at('a/b')),
  },
  {
    title: 'rename of nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.rename(at('a'), at('b')),
  },
  {
    title: 'rename into nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.rename(at('file'), at('a/b')),
  },
  {
    title: 'rename of a file onto a directory',
    codes: ['EISDIR'],
    call: (files, at) => files.rename(at('file'), at('empty')),
  },
  {
    title: 'replace by nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.replace(at('a'), at('b')),
  },
  {
    title: 'replace of a directory by a file',
    codes: ['EISDIR'],
    call: (files, at) => files.replace(at('file'), at('empty')),
  },
  {
    title: 'rename of a directory onto a file',
    codes: ['ENOTDIR'],
    call: (files, at) => files.rename(at('empty'), at('file')),
  },
  {
    title: 'rename of a directory onto a full one',
    codes: ['ENOTEMPTY'],
    call: (files, at) => files.rename(at('empty'), at('full')),
  },
  {
    title: 'rename of a directory into itself',
    codes: ['EINVAL'],
    call: (files, at) => files.rename(at('full'), at('full/sub')),
  },
  {
    title: 'link of nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.link(at('a'), at('b')),
  },
  {
    title: 'link, a file there',
    codes: ['EEXIST'],
    call: (files, at) => files.link(at('file'), at('other')),
  },
  {
    title: 'link of a directory',
    codes: ['EPERM'],
    call: (files, at) => files.link(at('empty'), at('b')),
  },
  { title: 'remove of nothing', codes: ['ENOENT'], call: (files, at) => files.remove(at('a')) },
  {
    title: 'remove of a directory',
    codes: ['EISDIR', 'EPERM'],
    call: (files, at) => files.remove(at('empty')),
  },
  {
    title: 'removeDirectory of nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.removeDirectory(at('a')),
  },
  {
    title: 'removeDirectory of a file',
    codes: ['ENOTDIR'],
    call: (files, at) => files.removeDirectory(at('file')),
  },
  {
    title: 'removeDirectory of a full one',
    codes: ['ENOTEMPTY'],
    call: (files, at) => files.removeDirectory(at('full')),
  },
  {
    title: 'syncDirectory of nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.syncDirectory(at('a')),
  },
  {
    title: 'freeSpace of nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.freeSpace(at('a')),
  },
  {
    title: 'watch of nothing',
    codes: ['ENOENT'],
    call: (files, at) => files.watch(at('a'), () => {}),
  },
  {
    title: 'write to a file open for reading',
    codes: ['EBADF'],
    call: (files, at) => files.open(at('file'), 'read').write(Buffer.from('x'), 0),
  },
  {
    title: 'writeSync to a file open for reading',
    codes: ['EBADF'],
    call: (files, at) => files.open(at('file'), 'read').writeSync(Buffer.from('x'), 0),
  },
  {
    title: 'truncate of a file open for reading',
    codes: ['EINVAL', 'EBADF'],
    call: (files, at) => files.open(at('file'), 'read').truncate(0),
  },
]

/** Node's own error of reading a directory has no path. */
function readFileWithPath(files: Files, path: string): unknown {
  try {
    return files.readFile(path)
  } catch (error) {
    throw Object.assign(error as Error, { path })
  }
}

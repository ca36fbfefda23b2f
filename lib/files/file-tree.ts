import { resolve, sep } from 'node:path'

import { errnoError } from './errno.ts'
import type { DirectoryEntry, FileStat } from './files.ts'

/** What the tree has to know about a file; it is shared by all its names. */
export interface FileNode {
  readonly sizeBytes: number
  modifiedMs: number
}

/** A directory, or a file of kind `File`. */
export type TreeNode<File extends FileNode> = Directory<File> | File

/** The names in one directory. */
export type Entries<File extends FileNode> = Map<string, TreeNode<File>>

let directoryCount = 0

/** A directory of the tree. Its identity stays when it is renamed. */
export class Directory<File extends FileNode> {
  /** Unique in the process. */
  readonly id: number = ++directoryCount
  entries: Entries<File> = new Map()
  modifiedMs = 0
}

/** A name in a directory, whether or not anything has it. */
export interface Place<File extends FileNode> {
  readonly directory: Directory<File>
  readonly name: string
}

/**
 * One change of names, which happens as a whole: `node` loses the name `from` (a removal), gets the
 * name `to` (a creation or a link), or both (a rename, which replaces a file that was at `to`).
 */
export interface EntryChange<File extends FileNode> {
  readonly node: TreeNode<File>
  readonly from?: Place<File>
  readonly to?: Place<File>
}

/** How a tree is told about time and tells about changes. */
export interface FileTreeOptions<File extends FileNode> {
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Hears every change of names, after it was made. */
  readonly onChange?: (change: EntryChange<File>) => void
}

/** Makes a change of names in the entries that `entriesOf` gives for a directory. */
export function applyChange<File extends FileNode>(
  change: EntryChange<File>,
  entriesOf: (directory: Directory<File>) => Entries<File>,
): void {
  const { node, from, to } = change
  if (from !== undefined && entriesOf(from.directory).get(from.name) === node) {
    entriesOf(from.directory).delete(from.name)
  }
  if (to !== undefined) entriesOf(to.directory).set(to.name, node)
}

/**
 * Names and directories held in memory, with the errors of POSIX. The root and the working
 * directory are there from the start. Every call is synchronous and either takes place or throws.
 */
export class FileTree<File extends FileNode> {
  readonly root: Directory<File> = new Directory<File>()
  readonly #options: FileTreeOptions<File>

  constructor(options: FileTreeOptions<File>) {
    this.#options = options
    let directory = this.root
    for (const name of namesOf('.')) {
      const child = new Directory<File>()
      directory.entries.set(name, child)
      directory = child
    }
  }

  /** What has this path, undefined when nothing has. */
  find(path: string): TreeNode<File> | undefined {
    let node: TreeNode<File> | undefined = this.root
    for (const name of namesOf(path)) {
      if (!(node instanceof Directory)) return undefined
      node = node.entries.get(name)
    }
    return node
  }

  /** Throws ENOENT when nothing has this path. */
  assertExists(path: string, syscall: string): void {
    if (this.find(path) === undefined) throw errnoError('ENOENT', { syscall, path })
  }

  /** The directory of this path. Throws ENOENT or ENOTDIR. */
  directory(path: string, syscall: string): Directory<File> {
    return this.#walk(namesOf(path), { syscall, path })
  }

  /** The file of this path. Throws ENOENT, ENOTDIR or EISDIR. */
  file(path: string, syscall: string): File {
    const { node } = this.#existing(path, syscall)
    if (node instanceof Directory) throw errnoError('EISDIR', { syscall, path })
    return node
  }

  /** The directory that a path lies in, and its last name there. */
  place(path: string, syscall: string): Place<File> {
    const names = namesOf(path)
    const name = names.pop()
    if (name === undefined) throw errnoError('EBUSY', { syscall, path })
    return { directory: this.#walk(names, { syscall, path }), name }
  }

  stat(path: string): FileStat | null {
    const node = this.find(path)
    if (node === undefined) return null
    const isDirectory = node instanceof Directory
    const sizeBytes = isDirectory ? 0 : node.sizeBytes
    return { sizeBytes, isDirectory, modifiedMs: node.modifiedMs }
  }

  list(path: string): DirectoryEntry[] {
    const { entries } = this.directory(path, 'scandir')
    return Array.from(entries, ([name, node]) => ({ name, isDirectory: node instanceof Directory }))
  }

  /** Puts a new file or directory at a path. Throws EEXIST when there is something. */
  create(path: string, node: TreeNode<File>): void {
    const syscall = node instanceof Directory ? 'mkdir' : 'open'
    const to = this.place(path, syscall)
    if (to.directory.entries.has(to.name)) throw errnoError('EEXIST', { syscall, path })
    node.modifiedMs = this.#options.now()
    this.#change({ node, to })
  }

  link(path: string, dest: string): void {
    const { node } = this.#existing(path, 'link')
    if (node instanceof Directory) throw errnoError('EPERM', { syscall: 'link', path, dest })
    const to = this.place(dest, 'link')
    if (to.directory.entries.has(to.name)) {
      throw errnoError('EEXIST', { syscall: 'link', path, dest })
    }
    this.#change({ node, to })
  }

  rename(path: string, dest: string): void {
    const facts = { syscall: 'rename', path, dest }
    const { node, place: from } = this.#existing(path, 'rename')
    const to = this.place(dest, 'rename')
    const replaced = to.directory.entries.get(to.name)
    // Two names of one file: POSIX leaves both.
    if (replaced === node) return
    if (node instanceof Directory) {
      if (`${resolve(dest)}${sep}`.startsWith(`${resolve(path)}${sep}`)) {
        throw errnoError('EINVAL', facts)
      }
      if (replaced !== undefined && !(replaced instanceof Directory)) {
        throw errnoError('ENOTDIR', facts)
      }
      if (replaced !== undefined && replaced.entries.size > 0) throw errnoError('ENOTEMPTY', facts)
    } else if (replaced instanceof Directory) {
      throw errnoError('EISDIR', facts)
    }
    this.#change({ node, from, to })
  }

  /** Takes a name from a file. Those who have the file open keep it. */
  remove(path: string): void {
    const { node, place: from } = this.#existing(path, 'unlink')
    if (node instanceof Directory) throw errnoError('EISDIR', { syscall: 'unlink', path })
    this.#change({ node, from })
  }

  removeDirectory(path: string): void {
    const { node, place: from } = this.#existing(path, 'rmdir')
    if (!(node instanceof Directory)) throw errnoError('ENOTDIR', { syscall: 'rmdir', path })
    if (node.entries.size > 0) throw errnoError('ENOTEMPTY', { syscall: 'rmdir', path })
    this.#change({ node, from })
  }

  /** Every file that has a name, once for each name. */
  *files(directory: Directory<File> = this.root): Generator<File> {
    for (const node of directory.entries.values()) {
      if (node instanceof Directory) yield* this.files(node)
      else yield node
    }
  }

  #existing(path: string, syscall: string): { node: TreeNode<File>; place: Place<File> } {
    const place = this.place(path, syscall)
    const node = place.directory.entries.get(place.name)
    if (node === undefined) throw errnoError('ENOENT', { syscall, path })
    return { node, place }
  }

  #walk(names: readonly string[], facts: { syscall: string; path: string }): Directory<File> {
    let directory = this.root
    for (const name of names) {
      const node = directory.entries.get(name)
      if (node === undefined) throw errnoError('ENOENT', facts)
      if (!(node instanceof Directory)) throw errnoError('ENOTDIR', facts)
      directory = node
    }
    return directory
  }

  #change(change: EntryChange<File>): void {
    applyChange(change, directory => directory.entries)
    const now = this.#options.now()
    if (change.from !== undefined) change.from.directory.modifiedMs = now
    if (change.to !== undefined) change.to.directory.modifiedMs = now
    this.#options.onChange?.(change)
  }
}

function namesOf(path: string): string[] {
  return resolve(path)
    .split(sep)
    .filter(name => name !== '')
}

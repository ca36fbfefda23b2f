/**
 * Files whose writes and syncs wait until the test lets them go, or fail with what the test says, so
 * that a spec can look at the moment between the two.
 */
import type { Files, OpenFile } from '../../lib/files/files.ts'

/** One operation that waits. */
export interface HeldOperation {
  readonly kind: 'write' | 'sync'
  readonly path: string
  /** Bytes of a write. */
  readonly sizeBytes: number
  /** Lets it happen. */
  proceed(): void
  /** Makes it fail without having happened. */
  fail(code: string): void
}

/** Files under a test's control. */
export interface HeldFiles extends Files {
  /** Hold operations of these kinds on `.log` files from now on. */
  hold(...kinds: readonly ('write' | 'sync')[]): void
  /** What waits now, the oldest first. */
  readonly held: readonly HeldOperation[]
  /** Resolves when something of that kind waits. */
  whenHeld(kind: 'write' | 'sync'): Promise<HeldOperation>
  /** Lets everything go, and holds nothing any more. */
  releaseAll(): void
  /** The next synchronous write to a `.log` gives this result: a count, or an errno code to throw. */
  nextWrite(result: number | string): void
  /** Every operation in order: `write PATH SIZE`, `sync PATH`, `syncDirectory PATH`, `create PATH`. */
  readonly trace: string[]
}

/** Wraps `inner`. */
export function heldFiles(inner: Files): HeldFiles {
  const held: HeldOperation[] = []
  const kinds = new Set<string>()
  const trace: string[] = []
  let watchers: { kind: string; resolve: (operation: HeldOperation) => void }[] = []
  let injected: (number | string)[] = []

  const hold = <T>(
    of: { kind: 'write' | 'sync'; path: string; sizeBytes: number },
    run: () => Promise<T>,
  ): Promise<T> => {
    if (!kinds.has(of.kind) || !of.path.endsWith('.log')) return run()
    return new Promise((resolve, reject) => {
      const leave = (): void => void held.splice(held.indexOf(operation), 1)
      const operation: HeldOperation = {
        ...of,
        proceed: () => {
          leave()
          run().then(resolve, reject)
        },
        fail: code => {
          leave()
          reject(errno(code))
        },
      }
      held.push(operation)
      const told = watchers.filter(watcher => watcher.kind === of.kind)
      watchers = watchers.filter(watcher => watcher.kind !== of.kind)
      for (const watcher of told) watcher.resolve(operation)
    })
  }

  const wrap = (file: OpenFile): OpenFile => ({
    path: file.path,
    read: (buffer, position) => file.read(buffer, position),
    readSync: (buffer, position) => file.readSync(buffer, position),
    write: (buffer, position) => {
      trace.push(`write ${file.path} ${buffer.length}`)
      return hold({ kind: 'write', path: file.path, sizeBytes: buffer.length }, () =>
        file.write(buffer, position),
      )
    },
    writeSync: (buffer, position) => {
      trace.push(`write ${file.path} ${buffer.length}`)
      const result = file.path.endsWith('.log') ? injected.shift() : undefined
      if (typeof result === 'string') throw errno(result)
      return file.writeSync(result === undefined ? buffer : buffer.subarray(0, result), position)
    },
    syncData: () => {
      trace.push(`sync ${file.path}`)
      return hold({ kind: 'sync', path: file.path, sizeBytes: 0 }, () => file.syncData())
    },
    truncate: sizeBytes => {
      trace.push(`truncate ${file.path} ${sizeBytes}`)
      file.truncate(sizeBytes)
    },
    sizeBytes: () => file.sizeBytes(),
    close: () => file.close(),
  })

  return {
    kind: inner.kind,
    open: (path, mode) => {
      if (mode === 'create') trace.push(`create ${path}`)
      return wrap(inner.open(path, mode))
    },
    readFile: path => inner.readFile(path),
    list: dir => inner.list(dir),
    stat: path => inner.stat(path),
    makeDirectory: path => inner.makeDirectory(path),
    rename: (from, to) => inner.rename(from, to),
    replace: (from, to) => inner.replace(from, to),
    link: (from, to) => inner.link(from, to),
    remove: path => inner.remove(path),
    removeDirectory: path => inner.removeDirectory(path),
    syncDirectory: path => {
      trace.push(`syncDirectory ${path}`)
      return inner.syncDirectory(path)
    },
    freeSpace: path => inner.freeSpace(path),
    watch: (dir, onChange) => inner.watch(dir, onChange),
    lock: dir => inner.lock(dir),
    hold: (...more) => {
      for (const kind of more) kinds.add(kind)
    },
    held,
    whenHeld: kind => {
      const present = held.find(operation => operation.kind === kind)
      if (present !== undefined) return Promise.resolve(present)
      return new Promise(resolve => watchers.push({ kind, resolve }))
    },
    releaseAll: () => {
      kinds.clear()
      injected = []
      for (const operation of [...held]) operation.proceed()
    },
    nextWrite: result => void injected.push(result),
    trace,
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code })
}

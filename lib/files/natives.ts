import { createRequire } from 'node:module'
import { isMainThread } from 'node:worker_threads'

const require = createRequire(import.meta.url)

/** What came of loading one package; kept, since a failed load is slow and would fail again. */
interface Loaded {
  readonly native: unknown
  readonly failure: string | undefined
}

/**
 * Packages that keep handles of the thread that loaded them last. Loaded by the main thread, then by
 * a worker thread that ends, then by another one, fs-ext 2.1.1 ends the whole process with "Check
 * failed: node->IsInUse()" or a segmentation fault.
 */
const mainThreadOnly: ReadonlySet<string> = new Set(['fs-ext'])

const loaded = new Map<string, Loaded>()

/**
 * Loads an optional package with a compiled part; the only place that does. The first result for a
 * name, good or bad, stands for the life of the thread. In a worker thread fs-ext is never loaded.
 *
 * Returns what the package exports, or null when it is not installed or does not load here; then
 * `nativeFailure` says why. Callers check the shape before they use it.
 */
export function loadNative(name: string): unknown | null {
  return load(name).native
}

/** Why `loadNative(name)` gives null, in one line for people; undefined when it does not. */
export function nativeFailure(name: string): string | undefined {
  return load(name).failure
}

function load(name: string): Loaded {
  const known = loaded.get(name)
  if (known !== undefined) return known
  const result = attempt(name)
  loaded.set(name, result)
  return result
}

function attempt(name: string): Loaded {
  if (mainThreadOnly.has(name) && !isMainThread) {
    return { native: null, failure: 'it is safe in the main thread only' }
  }
  try {
    return { native: require(name) as unknown, failure: undefined }
  } catch (error) {
    // The lines below the first are the require stack: paths of this machine, of no use in a report.
    const message = error instanceof Error ? error.message : String(error)
    return { native: null, failure: message.split('\n', 1)[0] ?? message }
  }
}

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** What of a `TestContext` is needed to clean up behind a test. */
export interface CleansUp {
  after(cleanUp: () => void): void
}

/**
 * Makes an empty directory on the disk that is removed, with all in it, when the test has ended. A
 * program that is ended after it may still write there: removing is tried for some seconds.
 */
export function tempDir(test: CleansUp): string {
  const dir = mkdtempSync(join(tmpdir(), 'varve-'))
  test.after(() => rmSync(dir, { recursive: true, force: true, maxRetries: 15 }))
  return dir
}

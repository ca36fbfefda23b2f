/**
 * A reporter for `node --test` that writes one JSON line per test, for run-specs.mjs to count:
 * `{ kind, outcome, file, name, reason }`. `file` is where the test is written, which for a shared
 * suite is not the spec that runs it.
 *
 * - kind `test`: passed, failed or skipped.
 * - kind `suite`: only when it was skipped as a whole or failed by itself.
 * - kind `file`: node makes a test of each file, and reports it when the file held none (passed) or
 *   its process died (failed).
 */
import { relative } from 'node:path'

export default async function* results(events) {
  for await (const { type, data } of events) {
    if (type !== 'test:pass' && type !== 'test:fail') continue
    const result = describeResult(data, type === 'test:pass')
    if (result !== null) yield `${JSON.stringify(result)}\n`
  }
}

function describeResult(data, hasPassed) {
  const kind = data.name === data.file ? 'file' : (data.details?.type ?? 'test')
  // A failing todo is no failure to node; here it is what it amounts to, a test that does not count.
  const excuse = [data.skip, data.todo].find(given => given !== undefined && given !== false)
  const outcome = excuse !== undefined ? 'skipped' : hasPassed ? 'passed' : 'failed'
  if (kind === 'suite') {
    const isOwnFailure = data.details?.error?.failureType !== 'subtestsFailed'
    if (outcome === 'passed' || (outcome === 'failed' && !isOwnFailure)) return null
  }
  const reason = typeof excuse === 'string' && excuse !== '' ? excuse : 'no reason given'
  const file = relative(process.cwd(), data.file ?? '').replaceAll('\\', '/')
  return { kind, outcome, file, name: data.name, reason }
}

/**
 * Runs the specs: `npm test`, `npm test -- --only <text>` for those whose path contains the text,
 * `npm test -- --raise-floor` to write down a grown suite. Anything else is passed on to node.
 *
 * A runner that finds nothing reports success, so success is counted here instead of believed: every
 * spec file must have run at least as many tests as it has lines that begin with `it(` or `test(`,
 * and all together at least as many as spec/support/test-floor.json says. A skipped test is named
 * with its reason, and is a failure where CI=true.
 */
import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

const root = process.cwd()
const floorPath = join('spec', 'support', 'test-floor.json')

/** The longest a spec file, or a test in it, may take before it counts as hanging. */
const hangMs = 900_000

const options = readArguments(process.argv.slice(2))
const { specs, misplaced } = listSpecs()
const chosen = specs.filter(path => path.includes(options.only))
const isPartial = options.only !== '' || options.passedOn.length > 0
const problems = misplaced.map(path => `${path} lies outside spec/<area>/ and would never run`)

const results = chosen.length === 0 ? [] : await runNode(chosen)
const tests = results.filter(({ kind }) => kind === 'test')
const counts = { passed: 0, failed: 0, skipped: 0 }
for (const { kind, outcome } of results) {
  if (kind === 'test' || outcome !== 'passed') counts[outcome] += 1
}

for (const path of chosen) checkFile(path)
if (isPartial) {
  console.log('\nA part of the suite: the total is not checked against the floor.')
  if (tests.length === 0) problems.push('no test ran')
} else {
  checkFloor()
}
reportSkips()
for (const problem of problems) console.log(`✖ ${problem}`)
const skipped = counts.skipped === 0 ? '' : `, ${counts.skipped} skipped`
process.exitCode = problems.length > 0 || counts.failed > 0 ? 1 : 0
console.log(`${counts.passed} passed, ${counts.failed} failed${skipped}`)

function readArguments(args) {
  const read = { only: '', raiseFloor: false, passedOn: [] }
  for (let index = 0; index < args.length; index += 1) {
    if (args[index] === '--only') {
      index += 1
      read.only = args[index] ?? ''
      if (read.only === '') throw new Error('--only needs a part of a path')
    } else if (args[index] === '--raise-floor') read.raiseFloor = true
    else read.passedOn.push(args[index])
  }
  return read
}

/** Node 20's own runner expands no globs and does not look for .ts files, so the list is made here. */
function listSpecs() {
  const specs = []
  const misplaced = []
  for (const entry of readdirSync(join(root, 'spec'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.spec.ts')) continue
    const path = join(entry.parentPath ?? entry.path, entry.name)
    const parts = path.slice(root.length + 1).split(/[\\/]/)
    ;(parts.length === 3 ? specs : misplaced).push(parts.join('/'))
  }
  return { specs: specs.sort(), misplaced: misplaced.sort() }
}

async function runNode(files) {
  const scratch = mkdtempSync(join(tmpdir(), 'varve-specs-'))
  const resultsPath = join(scratch, 'results.jsonl')
  const reporter = fileURLToPath(new URL('./results-reporter.mjs', import.meta.url))
  const args = ['--import', import.meta.resolve('tsx'), '--test', '--test-concurrency=2']
  args.push(`--test-timeout=${hangMs}`)
  args.push('--test-reporter=spec', '--test-reporter-destination=stdout')
  args.push(`--test-reporter=${pathToFileURL(reporter)}`)
  args.push(`--test-reporter-destination=${resultsPath}`, ...options.passedOn, ...files)
  // Inside another test run node would take the files for a nested run and skip them.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined }
  try {
    const child = spawn(process.execPath, args, { cwd: root, env, stdio: 'inherit' })
    const [code, signal] = await new Promise((resolve, reject) => {
      child.on('error', reject)
      child.on('close', (...end) => resolve(end))
    })
    if (code !== 0) problems.push(`node ended with ${signal ?? `exit code ${code}`}`)
    const lines = readFileSync(resultsPath, 'utf8').split('\n')
    return lines.filter(line => line !== '').map(line => JSON.parse(line))
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function checkFile(path) {
  const own = results.filter(({ file }) => file === path)
  if (own.some(({ kind, outcome }) => kind === 'file' && outcome === 'passed')) {
    problems.push(`${path} ran no test`)
    return
  }
  // Node's own filters leave tests out on purpose, and a skipped suite does not name its tests.
  if (options.passedOn.length > 0 || own.some(({ kind }) => kind === 'suite')) return
  const source = readFileSync(join(root, path), 'utf8')
  const writtenCount = source.match(/^\s*(?:it|test)(?:\.(?:only|skip|todo))?\(/gm)?.length ?? 0
  const ranCount = own.filter(({ kind }) => kind === 'test').length
  if (ranCount < writtenCount) {
    problems.push(`${path} ran ${ranCount} tests, ${writtenCount} are written`)
  }
}

function checkFloor() {
  const floor = readFloor()
  const ranCount = tests.length
  if (
    ranCount < floor &&
    results.some(({ kind, outcome }) => kind === 'suite' && outcome === 'skipped')
  ) {
    console.log(`\n${ranCount} tests ran, the floor is ${floor}: whole suites were skipped.`)
  } else if (ranCount < floor) {
    problems.push(`${ranCount} tests ran, the suite has at least ${floor} (${floorPath})`)
  }
  if (ranCount <= floor || problems.length > 0 || counts.failed > 0) return
  if (options.raiseFloor) {
    writeFileSync(join(root, floorPath), `${JSON.stringify({ tests: ranCount })}\n`)
    console.log(`\nThe floor is ${ranCount} tests now.`)
  } else {
    console.log(
      `\n${ranCount} tests ran, the floor is ${floor}: npm test -- --raise-floor raises it.`,
    )
  }
}

function readFloor() {
  const { tests } = JSON.parse(readFileSync(join(root, floorPath), 'utf8'))
  if (!Number.isSafeInteger(tests) || tests < 1) throw new Error(`${floorPath} holds no number`)
  return tests
}

function reportSkips() {
  for (const { outcome, file, name, reason } of results) {
    if (outcome !== 'skipped') continue
    const line = `skipped on ${process.platform}: ${file}: ${name} (${reason})`
    if (process.env.CI === 'true') problems.push(line)
    else console.log(line)
  }
}

/**
 * How close is varve to what the disk and the memory of this machine can do, and how much faster is
 * it than the alternatives? Runs every workload against its limits, on demand against other stores,
 * and writes results.json, report.html and table.md.
 *
 * Run: npm run bench -- --help
 */
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Children, compile } from './harness/children.ts'
import { describeMachine } from './harness/machine.ts'
import { microBenches, runMicro } from './harness/micro.ts'
import { OptionError, parseOptions, type RunOptions, usage } from './harness/options.ts'
import type { Probe } from './harness/probe.ts'
import { hottest } from './harness/profile.ts'
import { runWorkload } from './harness/run-workload.ts'
import { toHtml } from './report/html.ts'
import { toMarkdown } from './report/markdown.ts'
import { type MicroReport, type Report, reportOf, type WorkloadReport } from './report/report.ts'
import { workloads } from './workloads/index.ts'

const benchDir = dirname(fileURLToPath(import.meta.url))

/** Runs what was asked for, with everything temporary in `dir`s that go away. */
async function run(
  options: RunOptions,
  dirs: { readonly build: string; readonly data: string },
): Promise<Report> {
  const isWanted = (name: string): boolean =>
    options.only.length === 0 || options.only.some(start => name.startsWith(start))
  const progress = (line: string): void => console.error(line)
  const profileDir = options.isProfiling ? join(options.outDir, 'profiles') : null
  const { isSmoke } = options
  const machine = describeMachine(dirs.data, process.argv.slice(2))
  progress('compiling')
  compile(dirs.build)
  const children = new Children(dirs.build, { isShared: isSmoke })
  progress('probing the machine')
  const probed = await probeMachine(children, { isSmoke, dataDir: dirs.data })
  const reports: WorkloadReport[] = []
  const failures: string[] = []
  const wanted = workloads.filter(({ name }) => isWanted(name))
  for (const [index, workload] of wanted.entries()) {
    progress(`${index + 1} of ${wanted.length}: ${workload.name}`)
    const results = await runWorkload(children, workload, {
      ...options,
      dataDir: dirs.data,
      profileDir,
      onProgress: progress,
    })
    failures.push(...results.flatMap(result => result.failures))
    reports.push(reportOf(workload, results))
  }
  const micro: MicroReport[] = []
  for (const name of microBenches(benchDir).filter(isWanted)) {
    progress(name)
    const { failure, ...result } = await runMicro(dirs.build, name, options)
    micro.push(result)
    if (failure !== null) failures.push(failure)
  }
  if (profileDir !== null) console.log(hottest(profileDir))
  return { isSmoke, machine, probe: probed, workloads: reports, micro, failures }
}

async function probeMachine(
  children: Children,
  options: { readonly isSmoke: boolean; readonly dataDir: string },
): Promise<Probe> {
  const dir = join(options.dataDir, 'probe')
  const place = { dir, preparedDir: dir, isSmoke: options.isSmoke }
  const result = await children.run({ workload: null, variant: '', side: null, ...place })
  rmSync(dir, { recursive: true, force: true })
  if (result.kind === 'probed') return result.probe
  throw new Error('reason' in result ? result.reason : 'the machine could not be probed')
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) {
    console.log(usage)
    return
  }
  const names = [...workloads.map(({ name }) => name), ...microBenches(benchDir)]
  const options = parseOptions(process.argv.slice(2), { benchDir, names })
  const peersDir = join(benchDir, 'peers', 'packages')
  process.env['VARVE_BENCH_PEERS'] = peersDir
  if (options.withPeers && !existsSync(join(peersDir, 'node_modules'))) {
    throw new OptionError('no other stores are installed: npm run bench:peers installs them')
  }
  const dirs = {
    // Inside the package, so that the compiled sources find its dependencies.
    build: join(benchDir, 'results', `build-${process.pid}`),
    data: join(options.dataDir, `data-${process.pid}`),
  }
  const removeDirs = (): void => {
    for (const dir of Object.values(dirs)) {
      if (existsSync(dir)) rmSync(dir, { recursive: true, force: true })
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      removeDirs()
      process.exit(1)
    })
  }
  try {
    makeDir('--dir', dirs.data)
    makeDir('--out', options.outDir)
    const report = await run(options, dirs)
    const markdown = toMarkdown(report)
    writeFileSync(join(options.outDir, 'results.json'), `${JSON.stringify(report, null, 2)}\n`)
    writeFileSync(join(options.outDir, 'table.md'), markdown)
    writeFileSync(join(options.outDir, 'report.html'), toHtml(report))
    console.log(markdown)
    console.log(`${options.outDir}: results.json, table.md, report.html`)
    if (report.failures.length > 0) process.exitCode = 1
  } finally {
    removeDirs()
  }
}

/** Now, and not after the last workload, it turns out that nothing can be written there. */
function makeDir(option: string, dir: string): void {
  try {
    makeMissing(dir)
    if (!statSync(dir).isDirectory()) throw new Error(`${dir} is no directory`)
    accessSync(dir, constants.W_OK)
  } catch (error) {
    throw new OptionError(`${option}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** Step by step: below /proc and its like, Node's own `recursive` tries for ever. */
function makeMissing(dir: string): void {
  if (existsSync(dir)) return
  makeMissing(dirname(dir))
  mkdirSync(dir)
}

try {
  await main()
} catch (error) {
  if (!(error instanceof OptionError)) throw error
  console.error(`${error.message}\n\n${usage}`)
  process.exitCode = 2
}

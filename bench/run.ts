/**
 * How close is varve to what the disk and the memory of this machine can do, and how much faster is
 * it than the alternatives? Runs every workload against its limits, on demand against other stores,
 * and writes results.json, report.html and table.md.
 *
 * Run: npm run bench -- --help
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import { Children, compile } from './harness/children.ts'
import { describeMachine } from './harness/machine.ts'
import { microBenches, runMicro } from './harness/micro.ts'
import { parseOptions, type RunOptions, usage } from './harness/options.ts'
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
  const profileDir = options.isProfiling ? join(options.outDir, 'profiles') : null
  const { isSmoke } = options
  const machine = describeMachine(dirs.data, process.argv.slice(2))
  compile(dirs.build)
  const children = new Children(dirs.build, { isShared: isSmoke })
  const probed = await probeMachine(children, { isSmoke, dataDir: dirs.data })
  const reports: WorkloadReport[] = []
  const failures: string[] = []
  for (const workload of workloads.filter(({ name }) => isWanted(name))) {
    const results = await runWorkload(children, workload, {
      ...options,
      dataDir: dirs.data,
      profileDir,
      onProgress: line => console.error(line),
    })
    failures.push(...results.flatMap(result => result.failures))
    reports.push(reportOf(workload, results))
  }
  const micro: MicroReport[] = []
  for (const name of isWanted('micro') ? microBenches(dirs.build) : []) {
    console.error(`micro/${name}`)
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
  const options = parseOptions(process.argv.slice(2), benchDir)
  process.env['VARVE_BENCH_PEERS'] = join(benchDir, 'peers', 'packages')
  const dirs = {
    // Inside the package, so that the compiled sources find its dependencies.
    build: join(benchDir, 'results', `build-${process.pid}`),
    data: join(options.dataDir, `data-${process.pid}`),
  }
  const removeDirs = (): void => {
    for (const dir of Object.values(dirs)) rmSync(dir, { recursive: true, force: true })
  }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      removeDirs()
      process.exit(1)
    })
  }
  try {
    mkdirSync(dirs.data, { recursive: true })
    mkdirSync(options.outDir, { recursive: true })
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

await main()

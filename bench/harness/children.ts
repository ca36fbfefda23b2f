/** The processes that do the work: the sources compiled once, then a process for each job. */
import { type ChildProcess, execFileSync, fork } from 'node:child_process'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

import type { Job, JobResult } from './child.ts'

const benchDir = dirname(dirname(fileURLToPath(import.meta.url)))

/**
 * Compiles `lib` and `bench` into `buildDir` as a release is compiled, without checking types. A
 * loader that compiles on the fly would name every closure at run time, and cost hot loops dearly.
 */
export function compile(buildDir: string): void {
  const typescript = createRequire(import.meta.url).resolve('typescript/package.json')
  const tsc = join(dirname(typescript), 'bin', 'tsc')
  execFileSync(process.execPath, [tsc, '-p', benchDir, '--outDir', buildDir], { stdio: 'inherit' })
}

/** Starts processes from the compiled sources and gives them jobs. */
export class Children {
  readonly #buildDir: string
  readonly #isShared: boolean
  #shared: ChildProcess | null = null

  /** `isShared`: one process for all jobs until `end()`, as smoke mode has it. */
  constructor(buildDir: string, options: { readonly isShared: boolean }) {
    this.#buildDir = buildDir
    this.#isShared = options.isShared
  }

  /** Runs one job; a process that dies is a failed job. */
  async run(job: Job, nodeOptions: readonly string[] = []): Promise<JobResult> {
    const child = this.#shared ?? this.#start(nodeOptions)
    if (this.#isShared) this.#shared = child
    try {
      return await resultOf(child, job)
    } finally {
      if (!this.#isShared || !child.connected) {
        this.#shared = null
        await ended(child)
      }
    }
  }

  /** Lets the shared process go. */
  async end(): Promise<void> {
    const child = this.#shared
    this.#shared = null
    if (child !== null) await ended(child)
  }

  #start(nodeOptions: readonly string[]): ChildProcess {
    return fork(join(this.#buildDir, 'bench', 'harness', 'child.js'), {
      execArgv: ['--expose-gc', ...nodeOptions],
    })
  }
}

function resultOf(child: ChildProcess, job: Job): Promise<JobResult> {
  return new Promise((resolve, reject) => {
    const done = (result: JobResult): void => {
      child.off('exit', exited)
      resolve(result)
    }
    const exited = (code: number | null, signal: string | null): void => {
      child.off('message', done)
      resolve({ kind: 'failed', reason: `the process ended with ${code ?? signal}` })
    }
    child.once('message', done)
    child.once('exit', exited)
    child.send(job, error => {
      if (error !== null) reject(error)
    })
  })
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = new Promise(resolve => child.once('exit', resolve))
  if (child.connected) child.disconnect()
  await exit
}

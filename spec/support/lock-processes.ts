/** Processes and worker threads that lock directories for the specs of the directory lock. */

import assert from 'node:assert/strict'
import type { ChildProcess } from 'node:child_process'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { Worker } from 'node:worker_threads'

import { lockDirectory } from '../../lib/files/directory-lock.ts'
import type { Holder } from '../../lib/files/lock-holder.ts'
import type { HoldingKind } from '../../lib/files/pid-record.ts'

/** What a child is asked for. */
export interface LockRequest {
  readonly action: 'lock' | 'release' | 'churn' | 'leave'
  readonly dir: string
  readonly kinds: readonly HoldingKind[]
  readonly rounds: number
}

/** What a child answers. */
export type LockReply =
  | { readonly outcome: 'held'; readonly kind: string }
  | { readonly outcome: 'locked' | 'released' | 'interrupted' | 'progress' | 'left' }
  | { readonly outcome: 'churned'; readonly taken: number }
  | { readonly outcome: 'failed'; readonly message: string }

/** What a pid file says, as JSON. */
export interface PidFileText {
  readonly id: string
  readonly kind: string
  readonly since: string
  readonly holder: Holder
}

export const allKinds: readonly HoldingKind[] = ['flock', 'flock-helper', 'pid-file']

const childUrl = new URL('./lock-child.ts', import.meta.url)

/** Node 20 does not hand `--import` hooks on to worker threads, so the worker registers them itself. */
const workerEntry = `
  const { loader, entry } = require('node:worker_threads').workerData
  import(loader).then(tsx => { tsx.register(); return import(entry) })
`

/** A directory of the test's own, removed when it ends. */
export function makeDirectory(test: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'lock-'))
  test.after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** A child process at work; its replies come in the order of the requests. */
export class LockProcess {
  readonly #child: ChildProcess
  readonly #replies: LockReply[] = []
  #wake: (() => void) | null = null

  constructor(child: ChildProcess) {
    this.#child = child
    child.on('message', message => {
      this.#replies.push(message as LockReply)
      this.#wake?.()
    })
    child.on('exit', () => this.#wake?.())
  }

  get pid(): number {
    assert(this.#child.pid !== undefined)
    return this.#child.pid
  }

  /** Asks, and waits for the answer. */
  async ask(request: Partial<LockRequest> & Pick<LockRequest, 'action'>): Promise<LockReply> {
    this.tell(request)
    return this.reply()
  }

  /** Asks only. */
  tell(request: Partial<LockRequest> & Pick<LockRequest, 'action'>): void {
    this.#child.send({ dir: '', kinds: allKinds, rounds: 0, ...request })
  }

  /** The next reply. */
  async reply(): Promise<LockReply> {
    for (;;) {
      const reply = this.#replies.shift()
      if (reply !== undefined) return reply
      assert(this.#isRunning, 'the child ended without a reply')
      await new Promise<void>(resolve => {
        this.#wake = resolve
      })
    }
  }

  /** Takes `dir` by the one kind given. */
  async hold(dir: string, kind: HoldingKind): Promise<void> {
    const reply = await this.ask({ action: 'lock', dir, kinds: [kind] })
    assert.deepEqual(reply, { outcome: 'held', kind })
  }

  /** Sends a signal; `group` to the whole process group. */
  signal(name: NodeJS.Signals, to: 'process' | 'group' = 'process'): void {
    process.kill(to === 'group' ? -this.pid : this.pid, name)
  }

  /** Kills it with SIGKILL and waits until it is gone; does nothing when it has ended. */
  async kill(): Promise<void> {
    if (!this.#isRunning) return
    const gone = once(this.#child, 'exit')
    this.#child.kill('SIGKILL')
    await gone
  }

  /** Waits until it has ended by itself and gives its exit code. */
  async exit(): Promise<number | null> {
    if (this.#isRunning) await once(this.#child, 'exit')
    return this.#child.exitCode
  }

  get #isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }
}

/** A test, or a suite: whatever can say that it is over. */
export interface AtEnd {
  after(clean: () => Promise<void>): void
}

/** Starts a child in a process group of its own; it is killed when the test or suite ends. */
export function startProcess(test: AtEnd): LockProcess {
  const child = new LockProcess(
    fork(childUrl, { execArgv: ['--import', 'tsx'], detached: true, serialization: 'json' }),
  )
  test.after(() => child.kill())
  return child
}

/** Starts a worker thread of this process that holds `dir` by `kind`, of the `kinds` that it may use. */
export async function startHoldingWorker(
  test: TestContext,
  dir: string,
  { kind, kinds = [kind] }: { kind: HoldingKind; kinds?: readonly HoldingKind[] },
): Promise<Worker> {
  const worker = new Worker(workerEntry, {
    eval: true,
    workerData: { loader: import.meta.resolve('tsx/esm/api'), entry: childUrl.href },
  })
  test.after(async () => void (await worker.terminate()))
  worker.postMessage({ action: 'lock', dir, kinds, rounds: 0 } satisfies LockRequest)
  const [reply] = (await once(worker, 'message')) as [LockReply]
  assert.deepEqual(reply, { outcome: 'held', kind })
  return worker
}

/** What the pid file of `dir` says. */
export function readPidFile(dir: string): PidFileText {
  return JSON.parse(readFileSync(join(dir, '.lock.pid'), 'utf8')) as PidFileText
}

/** A pid file of this very thread by `kind`, as it would be while it holds a directory; it holds none. */
export async function ownPidFile(test: TestContext, kind: HoldingKind): Promise<PidFileText> {
  const dir = makeDirectory(test)
  const lock = await lockDirectory(dir, { kinds: [kind] })
  const text = readPidFile(dir)
  await lock.release()
  return text
}

/** `text` as the pid file of a holder that had this process's number before, and is gone. */
export function ofAnEarlierProcess(text: PidFileText): PidFileText {
  return { ...text, id: `${text.id}-gone`, holder: { ...text.holder, startTicks: '1' } }
}

/** Writes a pid file under its name, or under another one of the directory. */
export function plantPidFile(dir: string, text: PidFileText | string, name = '.lock.pid'): void {
  writeFileSync(join(dir, name), typeof text === 'string' ? text : `${JSON.stringify(text)}\n`)
}

/**
 * Programs that use the log in processes of their own. They are compiled before the first one starts:
 * plain JavaScript is up several times faster than a loader that compiles on the way, and with
 * hundreds of processes that is what a spec's time consists of.
 *
 * A program tells what it does in lines on its standard output, which is a pipe that it writes
 * synchronously: a line that was said is there to be heard even if the process is killed right after.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const sources = ['lib', 'spec/support/processes']

let builtAt: string | null = null

/** The directory with the compiled package (`lib/index.js`) and programs; removed when this process ends. */
export function compiled(): string {
  if (builtAt !== null) return builtAt
  const dir = mkdtempSync(join(tmpdir(), 'varve-programs-'))
  process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
  writeFileSync(join(dir, 'package.json'), '{ "type": "module" }\n')
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'))
  // Types are checked elsewhere, and what somebody else is changing just now must not stop this.
  const options = { noEmit: false, noCheck: true, rootDir: root, outDir: dir, noEmitOnError: false }
  const slim = { declaration: false, declarationMap: false, sourceMap: false, inlineSources: false }
  const isolated = { isolatedDeclarations: false, typeRoots: [join(root, 'node_modules/@types')] }
  const project = {
    extends: join(root, 'tsconfig.json'),
    compilerOptions: { ...options, ...slim, ...isolated },
    include: sources.map(source => join(root, source)),
  }
  writeFileSync(join(dir, 'tsconfig.json'), JSON.stringify(project))
  const compiler = createRequire(import.meta.url).resolve('typescript/package.json')
  execFileSync(process.execPath, [join(dirname(compiler), 'bin', 'tsc'), '-p', dir])
  builtAt = dir
  return dir
}

/** A test, or a suite: whatever can say that it is over. */
export interface AtEnd {
  after(clean: () => Promise<void>): void
}

/** How a process ended. */
export interface ProgramEnd {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** How a program is started. */
export interface StartOptions {
  /** Options of node itself, before the program. */
  readonly nodeOptions?: readonly string[]
  /** In a process group of its own. */
  readonly detached?: boolean
  /** @default the directory of this process */
  readonly cwd?: string
  /** @default the environment of this process */
  readonly env?: NodeJS.ProcessEnv
}

/** A program at work. Lines are heard in the order in which they were said. */
export class Program {
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  #errors = ''
  #wake: () => void = () => {}
  #end: ProgramEnd | null = null

  constructor(child: ChildProcess) {
    this.#child = child
    assert(child.stdout !== null && child.stderr !== null)
    createInterface({ input: child.stdout }).on('line', line => {
      this.#lines.push(line)
      this.#wake()
    })
    child.stderr.on('data', (text: Buffer) => {
      this.#errors += text.toString()
    })
    // Not `exit`: what the process said last may come later than that.
    child.on('close', (code, signal) => {
      this.#end = { code, signal }
      this.#wake()
    })
  }

  get pid(): number {
    assert(this.#child.pid !== undefined)
    return this.#child.pid
  }

  /** What it wrote to its standard error so far. */
  get errors(): string {
    return this.#errors
  }

  /** The next line; null when the process has ended and nothing is left. */
  async nextLine(): Promise<string | null> {
    for (;;) {
      const line = this.#lines.shift()
      if (line !== undefined) return line
      if (this.#end !== null) return null
      await this.#news()
    }
  }

  /** Hears lines until one that begins with `word`, and gives what stands behind it. */
  async hear(word: string): Promise<string> {
    const heard: string[] = []
    for (;;) {
      const line = await this.nextLine()
      assert(line !== null, `ended without '${word}', said: ${heard.join(' | ')}\n${this.#errors}`)
      if (line === word || line.startsWith(`${word} `)) return line.slice(word.length + 1)
      heard.push(line)
    }
  }

  /** Every line that is left; resolves when the process has ended. */
  async rest(): Promise<string[]> {
    const lines: string[] = []
    for (let line = await this.nextLine(); line !== null; line = await this.nextLine()) {
      lines.push(line)
    }
    return lines
  }

  /** Gives the program a line on its standard input. */
  tell(line: string): void {
    this.#child.stdin?.write(`${line}\n`)
  }

  /** Sends a signal; `group` to its whole process group. Nothing happens when it has ended. */
  signal(name: NodeJS.Signals, to: 'process' | 'group' = 'process'): void {
    if (this.#end !== null) return
    if (to === 'group') process.kill(-this.pid, name)
    else this.#child.kill(name)
  }

  /** How it ended; waits until it has, by itself. */
  async ended(): Promise<ProgramEnd> {
    while (this.#end === null) await this.#news()
    return this.#end
  }

  /** Waits until it has ended without an error. */
  async endedWell(): Promise<void> {
    assert.deepEqual(await this.ended(), { code: 0, signal: null }, this.#errors)
  }

  /** Kills it with SIGKILL and waits until it is gone. */
  async kill(): Promise<void> {
    this.signal('SIGKILL')
    await this.ended()
  }

  #news(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve
    })
  }
}

/** Path of a compiled program, by the stem of its source in this directory. */
export function programPath(name: string): string {
  return join(compiled(), 'spec', 'support', 'processes', `${name}.js`)
}

/** Starts the program of this directory with that stem; it is killed when the test ends. */
export function startProgram(
  test: AtEnd,
  [name, ...args]: readonly [string, ...(string | number)[]],
  options: StartOptions = {},
): Program {
  return startFile(test, [programPath(name), ...args.map(String)], options)
}

/** Starts any JavaScript file; it is killed when the test ends. */
export function startFile(
  test: AtEnd,
  [path, ...args]: readonly [string, ...string[]],
  { nodeOptions = [], ...options }: StartOptions = {},
): Program {
  return startCommand(test, [process.execPath, ...nodeOptions, path, ...args], options)
}

/** Starts any command; it is killed when the test ends. */
export function startCommand(
  test: AtEnd,
  [command, ...args]: readonly [string, ...string[]],
  options: Omit<StartOptions, 'nodeOptions'> = {},
): Program {
  const child = spawn(command, args, options)
  const program = new Program(child)
  test.after(() => program.kill())
  return program
}

/** Writes a program of the spec's own beside the compiled ones; it may import `../lib/index.js`. */
export function writeProgram(test: AtEnd, name: string, source: string): string {
  const dir = mkdtempSync(join(compiled(), 'own-'))
  test.after(async () => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, name)
  writeFileSync(path, source)
  return path
}

/** The micro-benchmarks: each file a process of its own that prints what it finds. */
import { execFile } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { basename, join } from 'node:path'

/** What one file printed, and why it failed if it did. */
export interface MicroResult {
  readonly name: string
  readonly text: string
  readonly failure: string | null
}

/** Names of the files in `bench/micro`, as the reports have them. */
export function microBenches(benchDir: string): readonly string[] {
  return readdirSync(join(benchDir, 'micro'))
    .filter(name => name.endsWith('.bench.ts'))
    .sort()
    .map(name => `micro/${basename(name, '.bench.ts')}`)
}

/** Runs one; in smoke mode each function of it once, untimed. */
export function runMicro(
  buildDir: string,
  name: string,
  options: { readonly isSmoke: boolean },
): Promise<MicroResult> {
  const path = join(buildDir, 'bench', `${name}.bench.js`)
  const env = { ...process.env, BENCH_SMOKE: options.isSmoke ? '1' : '0', NO_COLOR: '1' }
  return new Promise(resolve => {
    const args = ['--expose-gc', path]
    execFile(process.execPath, args, { env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      const failure = error === null ? null : `${name}: ${error.message}\n${stderr}`
      resolve({ name, text: plain(stdout), failure })
    })
  })
}

/** Without the colors that a terminal would show. */
function plain(text: string): string {
  return text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '').trimEnd()
}

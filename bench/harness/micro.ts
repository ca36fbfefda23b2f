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

/** Names of the files, from the compiled sources. */
export function microBenches(buildDir: string): readonly string[] {
  return readdirSync(join(buildDir, 'bench', 'micro'))
    .filter(name => name.endsWith('.bench.js'))
    .sort()
}

/** Runs one; in smoke mode each function of it once, untimed. */
export function runMicro(
  buildDir: string,
  name: string,
  options: { readonly isSmoke: boolean },
): Promise<MicroResult> {
  const path = join(buildDir, 'bench', 'micro', name)
  const env = { ...process.env, BENCH_SMOKE: options.isSmoke ? '1' : '0', NO_COLOR: '1' }
  const title = basename(name, '.bench.js')
  return new Promise(resolve => {
    const args = ['--expose-gc', path]
    execFile(process.execPath, args, { env, maxBuffer: 1 << 24 }, (error, stdout, stderr) => {
      const failure = error === null ? null : `micro/${title}: ${error.message}\n${stderr}`
      resolve({ name: `micro/${title}`, text: plain(stdout), failure })
    })
  })
}

/** Without the colors that a terminal would show. */
function plain(text: string): string {
  return text.replaceAll(new RegExp(`${String.fromCharCode(27)}\\[[0-9;]*m`, 'g'), '').trimEnd()
}

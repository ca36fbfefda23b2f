/**
 * A process that runs sides of a workload and sends each outcome to the process that started it: one
 * side only, so that its memory is its own, or in smoke mode all of them one after another.
 */
import { mkdirSync } from 'node:fs'

import { extname } from 'node:path'
import { type Probe, probe } from './probe.ts'
import {
  type Context,
  type Outcome,
  SkippedError,
  type Variant,
  type Workload,
} from './workload.ts'

/** What the child is to do; `side: null` prepares the variant, `workload: null` probes the machine. */
export interface Job {
  readonly workload: string | null
  readonly variant: string
  readonly side: string | null
  readonly dir: string
  readonly preparedDir: string
  readonly isSmoke: boolean
}

/** What came of a job. */
export type JobResult =
  | { readonly kind: 'outcome'; readonly outcome: Outcome }
  | { readonly kind: 'prepared' }
  | { readonly kind: 'probed'; readonly probe: Probe }
  | { readonly kind: 'skipped'; readonly reason: string }
  | { readonly kind: 'failed'; readonly reason: string }

/**
 * Only the workload's own file is loaded, which is called as it is: with all of them, and what they use,
 * the heap is twice as large before anything is measured, and so is the price of each collection.
 */
async function variantOf(job: Job): Promise<Variant> {
  const file = new URL(`../workloads/${job.workload}${extname(import.meta.url)}`, import.meta.url)
  const exported: unknown[] = Object.values((await import(file.href)) as object)
  const isWorkload = (it: unknown): it is Workload =>
    typeof it === 'object' && it !== null && 'name' in it && it.name === job.workload
  const variant = exported.find(isWorkload)?.variants.find(({ name }) => name === job.variant)
  if (variant === undefined) throw new Error(`no variant ${job.workload}, ${job.variant}`)
  return variant
}

async function run(job: Job): Promise<JobResult> {
  const { dir, preparedDir, isSmoke } = job
  const pick = (full: number, smoke: number): number => (isSmoke ? smoke : full)
  const context: Context = { dir, preparedDir, isSmoke, pick }
  try {
    mkdirSync(dir, { recursive: true })
    mkdirSync(preparedDir, { recursive: true })
    if (job.workload === null) return { kind: 'probed', probe: await probe(context) }
    const variant = await variantOf(job)
    if (job.side === null) {
      await variant.prepare?.(context)
      return { kind: 'prepared' }
    }
    const side = variant.sides[job.side]
    if (side?.run === undefined) throw new Error(`no side ${job.side} of ${job.workload}`)
    return { kind: 'outcome', outcome: await side.run(context) }
  } catch (error) {
    if (error instanceof SkippedError) return { kind: 'skipped', reason: error.message }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    return { kind: 'failed', reason }
  }
}

// Started by hand there is nobody to ask for jobs.
process.on('message', (job: Job) => {
  run(job).then(
    result => process.send?.(result),
    error => process.emitWarning(error),
  )
})
process.on('disconnect', () => process.exit())

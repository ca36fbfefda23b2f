/**
 * A program that appends is killed with SIGKILL, over and over, wherever it happens to be: while it
 * opens, recovers, appends, rolls or closes. What it had acknowledged reached this process through a
 * pipe and is compared with what the directory holds. `node --import tsx kill-cycles.ts --cycles=N
 * --seed=S` runs it on its own.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { SeededRandom } from '../../../lib/files/seeded-random.ts'
import { openLog } from '../../../lib/open.ts'
import type { Acks, Log } from '../../../lib/types.ts'
import { nameIn, type RecordName } from './kill-payload.ts'
import { type AtEnd, type Program, startProgram } from './programs.ts'

/** An append as it was acknowledged. */
interface Acknowledged {
  readonly run: number
  readonly sequence: number
  readonly count: number
  readonly acks: Acks
  readonly baseOffset: number
  readonly leaderEpoch: number
}

/** A record as it was found. */
interface Found extends RecordName {
  readonly leaderEpoch: number
}

/** What must hold for one partition. */
class ExpectedPartition {
  readonly #name: string
  /** Not compared with the log yet. */
  readonly #acknowledged: Acknowledged[] = []
  /** By offset: what was found there, which stays there for ever. */
  readonly #known: Found[] = []
  acknowledgedCount = 0

  constructor(name: string) {
    this.#name = name
  }

  acknowledge(append: Acknowledged): void {
    this.acknowledgedCount++
    this.#acknowledged.push(append)
  }

  /** Compares with all that may be read; `forgets` what was not promised to survive a kill. */
  check(found: readonly Found[], level: 'recovered' | 'visible'): void {
    for (const [offset, known] of this.#known.entries()) {
      assert.deepEqual(found[offset], known, `${this.#name}: offset ${offset} was known`)
    }
    const promised: readonly Acks[] = level === 'recovered' ? ['durable', 'written'] : ['durable']
    for (const { acks, baseOffset, leaderEpoch, run, sequence, count } of this.#acknowledged) {
      if (!promised.includes(acks)) continue
      for (let index = 0; index < count; index++) {
        const expected = { run, sequence, index, count, leaderEpoch }
        const what = `${this.#name}: ${acks} append at ${baseOffset}`
        assert.deepEqual(found[baseOffset + index], expected, what)
      }
    }
    this.#checkOrder(found)
    for (let offset = this.#known.length; offset < found.length; offset++) {
      this.#known.push(found[offset] as Found)
    }
    // The rest is promised nothing, or is compared when the writing side has recovered.
    if (level === 'recovered') this.#acknowledged.length = 0
  }

  /** Whole appends, in the order in which each run made them, without a gap in any run. */
  #checkOrder(found: readonly Found[]): void {
    let before: Found | undefined
    for (const [offset, record] of found.entries()) {
      const isNextInAppend = record.index > 0
      const isNewRun = before === undefined || record.run > before.run
      const expected = isNextInAppend
        ? { run: before?.run, sequence: before?.sequence, index: (before?.index ?? 0) + 1 }
        : { run: record.run, sequence: isNewRun ? 0 : (before?.sequence ?? 0) + 1, index: 0 }
      const { run, sequence, index } = record
      assert.deepEqual({ run, sequence, index }, expected, `${this.#name}: offset ${offset}`)
      const isBeforeWhole = isNextInAppend || before === undefined || isLast(before)
      assert(isBeforeWhole, `${this.#name}: the append before offset ${offset} is not whole`)
      assert(before === undefined || run >= before.run, `${this.#name}: runs out of order`)
      before = record
    }
    assert(before === undefined || isLast(before), `${this.#name}: the last append is not whole`)
  }
}

function isLast({ index, count }: RecordName): boolean {
  return index === count - 1
}

/** Counts of what happened, so that a spec can see that it happened at all. */
export interface KillReport {
  readonly cycles: number
  readonly acknowledged: number
  readonly records: number
  readonly killedWhile: Readonly<Record<'opening' | 'appending' | 'closing', number>>
  readonly uncleanOpens: number
}

/** Where a cycle's kill falls. */
interface Plan {
  readonly moment: 'opening' | 'appending' | 'closing'
  /** Acknowledgements to hear before. */
  readonly acknowledgements: number
}

/** Runs the cycles in `dir`. @throws {AssertionError} when a promise is broken, with the seed in it */
export async function runKillCycles(
  test: AtEnd,
  options: { readonly dir: string; readonly cycles: number; readonly seed: number },
): Promise<KillReport> {
  const random = new SeededRandom(options.seed)
  const expected = new Map<string, ExpectedPartition>()
  const killedWhile = { opening: 0, appending: 0, closing: 0 }
  let uncleanOpens = 0
  // Most of a cycle would be spent on a process that starts, so the next one does so meanwhile.
  const plans = Array.from({ length: options.cycles }, () => planCycle(random))
  const start = (run: number): Program | undefined => {
    const plan = plans[run - 1]
    if (plan === undefined) return undefined
    const closeAfter = plan.moment === 'closing' ? plan.acknowledgements : 1_000_000
    return startProgram(test, ['appender', options.dir, run, random.below(2 ** 31), closeAfter])
  }
  let next = start(1)
  for (let run = 1; run <= options.cycles; run++) {
    try {
      const plan = plans[run - 1] as Plan
      const isLastCycle = run === options.cycles
      const program = next as Program
      next = start(run + 1)
      const wasUnclean = await killOnce(program, { run, plan, expected, random })
      if (wasUnclean) uncleanOpens++
      killedWhile[plan.moment]++
      if (random.chance(0.4)) await check(options.dir, expected, 'visible')
      if (isLastCycle || random.chance(0.3)) await check(options.dir, expected, 'recovered')
    } catch (error) {
      throw new Error(`cycle ${run}, replay with SEED=${options.seed}`, { cause: error })
    }
  }
  const acknowledged = [...expected.values()].reduce((sum, of) => sum + of.acknowledgedCount, 0)
  const log = await openLog(options.dir)
  let records = 0
  for (const { partitions } of (await log.describe()).topics) {
    for (const { logEndOffset } of partitions) records += logEndOffset
  }
  await log.close()
  return { cycles: options.cycles, acknowledged, records, killedWhile, uncleanOpens }
}

function planCycle(random: SeededRandom): Plan {
  const dice = random.next()
  if (dice < 0.1) return { moment: 'opening', acknowledgements: 0 }
  if (dice < 0.2) return { moment: 'closing', acknowledgements: 1 + random.below(60) }
  return { moment: 'appending', acknowledgements: random.below(random.pick([4, 40, 250])) }
}

/** Lets the program begin, hears it out up to the planned moment, kills it and takes in what it had said. */
async function killOnce(
  program: Program,
  cycle: {
    readonly run: number
    readonly plan: Plan
    readonly expected: Map<string, ExpectedPartition>
    readonly random: SeededRandom
  },
): Promise<boolean> {
  const { plan, random } = cycle
  program.tell('begin')
  await program.hear('opening')
  let wasUnclean = false
  if (plan.moment === 'opening') {
    // Somewhere between the first call of opening and the first appends.
    for (let spins = random.below(40); spins > 0; spins--) await new Promise(setImmediate)
  } else {
    wasUnclean = (await program.hear('opened')) === 'false'
    await hearUntil(program, cycle)
  }
  program.signal('SIGKILL')
  for (const line of await program.rest()) takeIn(line, cycle)
  assert.equal(program.errors, '')
  return wasUnclean
}

async function hearUntil(program: Program, cycle: Parameters<typeof takeIn>[1] & { plan: Plan }) {
  for (let heard = 0; heard < cycle.plan.acknowledgements; heard++) {
    const line = await program.nextLine()
    assert(line !== null, `the program ended by itself: ${program.errors}`)
    takeIn(line, cycle)
  }
  if (cycle.plan.moment !== 'closing') return
  for (;;) {
    const line = await program.nextLine()
    assert(line !== null, `the program ended by itself: ${program.errors}`)
    if (line === 'closing') return
    takeIn(line, cycle)
  }
}

function takeIn(
  line: string,
  { run, expected }: { readonly run: number; readonly expected: Map<string, ExpectedPartition> },
): void {
  const [word, topic, partition, acks, ...numbers] = line.split(' ')
  if (word !== 'ack') return
  const [sequence, count, baseOffset, nextOffset, leaderEpoch] = numbers.map(Number)
  assert(sequence !== undefined && count !== undefined && baseOffset !== undefined)
  assert.equal(nextOffset, baseOffset + count)
  assert(leaderEpoch !== undefined)
  const name = `${topic}-${partition}`
  const of = expected.get(name) ?? new ExpectedPartition(name)
  expected.set(name, of)
  of.acknowledge({ run, sequence, count, acks: acks as Acks, baseOffset, leaderEpoch })
}

/** Opens the directory here, which also shows that the lock is free, and compares all it holds. */
async function check(
  dir: string,
  expected: ReadonlyMap<string, ExpectedPartition>,
  level: 'recovered' | 'visible',
): Promise<void> {
  const log = await openLog(dir, { readOnly: level === 'visible' })
  const topics = await log.topics()
  for (const [name, partition] of expected) {
    const [topic = '', id] = name.split('-')
    assert(topics.includes(topic), `${topic} is gone`)
    partition.check(await findAll(log, topic, Number(id)), level)
  }
  await log.close()
}

async function findAll(log: Log, topic: string, id: number): Promise<Found[]> {
  const found: Found[] = []
  const partition = (await log.topic(topic)).partition(id)
  for await (const batch of partition.batches()) {
    assert.equal(batch.baseOffset, found.length, `${topic}-${id}: a gap, or an offset twice`)
    for (const record of batch) {
      assert.equal(record.offset, found.length)
      found.push({ ...nameIn(String(record.value)), leaderEpoch: batch.leaderEpoch })
    }
  }
  if (log.lockKind !== 'none') assert.equal(found.length, partition.logEndOffset)
  assert.equal(found.length, partition.highWatermark)
  return found
}

/**
 * Cycles in rounds of 200, each in a directory of its own so that the comparisons stay short; ends
 * early when `isOver` says so. Returns how many cycles there were.
 */
export async function soakKills(options: {
  readonly cycles: number
  readonly seed: number
  readonly isOver: () => boolean
  readonly onRound: (text: string) => void
}): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'varve-kill-'))
  const cleanUps: (() => Promise<void>)[] = []
  const perRound = Math.min(options.cycles, 200)
  let count = 0
  try {
    for (let round = 0; count < options.cycles && !options.isOver(); round++) {
      const seed = options.seed + round
      const of = { dir: join(dir, `${round}`), cycles: perRound, seed }
      const report = await runKillCycles({ after: clean => cleanUps.push(clean) }, of)
      rmSync(of.dir, { recursive: true, force: true })
      count += perRound
      options.onRound(`seed ${seed}: ${JSON.stringify(report)}`)
    }
  } finally {
    for (const clean of cleanUps) await clean()
    rmSync(dir, { recursive: true, force: true })
  }
  return count
}

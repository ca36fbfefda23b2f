/**
 * One simulated history of a log in which records go: random appends, sweeps, compactions, changes of
 * the rules, clock jumps, faults, kills and power cuts, compared with a model all along. Everything
 * that is left to chance comes from the seed, so the seed replays it.
 */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

import type { FaultKind, FaultyOperation } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { OpenOptions, TopicConfig } from '../../lib/types.ts'
import { SeededRandom } from './random.ts'
import { makeRetentionWorld, RetentionProcess, type RetentionWorld } from './retention-process.ts'
import type { LossRules, NewRecord } from './retention-records.ts'
import type { RetainedTopicModel } from './retention-topics.ts'

/** What a run did, to see that it did something. */
export interface RetentionSummary {
  readonly seed: number
  readonly openings: number
  readonly crashes: number
  /** Promised records that are there in the end, and that have gone. */
  readonly keptRecords: number
  readonly lostRecords: number
  /** Calls to the files. */
  readonly calls: number
}

const minuteMs = 60_000
const dayMs = 24 * 60 * minuteMs

const names = ['events', 'states', 'both'] as const

const faultKinds: readonly [FaultKind, ...FaultKind[]] = [
  'EIO',
  'EIO',
  'ENOSPC',
  'EMFILE',
  'short',
  'crash',
  'crash',
  'crash',
]

const strikable: readonly [FaultyOperation, ...FaultyOperation[]] = [
  'open',
  'read',
  'write',
  'sync',
  'sync',
  'rename',
  'rename',
  'remove',
  'remove',
  'syncDirectory',
  'syncDirectory',
]

/** Runs the history of a seed. @throws {Error} that names the broken promise and how to replay it */
export async function runRetentionSeed(
  seed: number,
  operations: number,
): Promise<RetentionSummary> {
  const files = faultyFiles({ seed, clock: { wallMs: () => 0 } as never })
  const history = new History(files, new SeededRandom(seed * 11 + 3))
  const onRejection = (error: unknown): void => {
    history.world.violations.push(new Error('an unhandled rejection', { cause: error }))
  }
  process.on('unhandledRejection', onRejection)
  try {
    return await history.run(seed, operations)
  } catch (error) {
    const steps = history.world.steps.slice(-80).join('\n')
    const calls = files.trace.slice(-80).join('\n')
    const command = `npm run sim -- --kind=retention --seed=${seed} --ops=${operations}`
    const message = inspect(error, { depth: 4 })
    throw new Error(`${command}\n${message}\n\nsteps:\n${steps}\n\ncalls:\n${calls}`, {
      cause: error,
    })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}

class History {
  readonly world: RetentionWorld
  readonly #files: FaultyFiles
  readonly #random: SeededRandom
  /** The same for every opening. */
  readonly #openOptions: OpenOptions
  #process: RetentionProcess
  #openings = 0

  constructor(files: FaultyFiles, random: SeededRandom) {
    this.#files = files
    this.#random = random
    this.world = makeRetentionWorld(files)
    this.#process = new RetentionProcess(this.world, { slowness: 0 })
    this.#openOptions = {
      sweepIntervalMs: random.pick([-1, minuteMs, 10 * minuteMs]),
      compactionMapBytes: random.pick([1024, 1 << 20]),
    }
  }

  async run(seed: number, operations: number): Promise<RetentionSummary> {
    await this.#open({ mayFail: false })
    this.#create()
    for (let done = 0; done < operations; done++) {
      await this.#operate()
      this.#process.observe()
      if (!this.#process.isAlive) await this.#openAgain()
      this.#assertSound()
    }
    await this.#end()
    let keptRecords = 0
    let lostRecords = 0
    for (const { partitions } of this.world.topics.topics.values()) {
      for (const partition of partitions) {
        keptRecords += partition.keptCount
        lostRecords += partition.lostCount
      }
    }
    const { crashes, operations: calls } = this.#files
    return { seed, openings: this.#openings, crashes, keptRecords, lostRecords, calls }
  }

  /** Opening a log twice changes nothing, whichever way it ended in between. */
  async #end(): Promise<void> {
    this.#heal()
    await this.#process.settle()
    if (this.#random.chance(0.5)) await this.#process.life.close()
    else this.#process.life.kill()
    await this.#open({ mayFail: false })
    const before = await this.#process.snapshot()
    if (this.#random.chance(0.5)) await this.#process.life.close()
    else this.#process.life.kill()
    await this.#open({ mayFail: false })
    assert.deepEqual(await this.#process.snapshot(), before, 'opening again changes nothing')
    await this.#process.life.close()
    this.#assertSound()
  }

  #assertSound(): void {
    const [first] = this.world.violations
    if (first !== undefined) throw first
  }

  // ---- opening and ending

  async #openAgain(): Promise<void> {
    for (let tries = this.#random.below(3); tries > 0; tries--) {
      if (this.#random.chance(0.5)) this.#heal()
      else this.#breakSomething(60)
      if (await this.#open({ mayFail: true })) return
    }
    this.#heal()
    await this.#open({ mayFail: false })
  }

  async #open({ mayFail }: { readonly mayFail: boolean }): Promise<boolean> {
    const random = this.#random
    this.#process.bury()
    // While no process runs, the machine's clock may be set.
    if (random.chance(0.4)) {
      this.world.wallMs += random.pick([-3 * dayMs, -minuteMs, 5 * minuteMs, dayMs])
    }
    this.#process = new RetentionProcess(this.world, { slowness: random.pick([0, 0, 200]) })
    const isOpen = await this.#process.open({
      ...this.#openOptions,
      maxOpenFiles: random.pick([128, 128, 6]),
    })
    this.#assertSound()
    if (!isOpen || !this.#process.isAlive) {
      assert.ok(mayFail, 'a log whose files work can be opened')
      if (this.#process.isAlive && random.chance(0.5)) this.#process.life.kill()
      return false
    }
    this.#openings++
    this.#heal()
    await this.#process.check()
    this.#assertSound()
    return true
  }

  #heal(): void {
    this.#files.clearFaults()
  }

  #breakSomething(within: number): void {
    const random = this.#random
    const kind = random.pick(faultKinds)
    const on = kind === 'short' ? 'write' : random.pick([undefined, random.pick(strikable)])
    const operation = 1 + random.below(on === undefined ? within : 1 + within / 6)
    this.#process.life.step(`fault ${kind} on ${on ?? 'any call'} in ${operation}`)
    this.#files.failAt({ operation, kind, on, sticky: false })
  }

  // ---- what happens

  async #operate(): Promise<void> {
    const random = this.#random
    const chance = random.below(1000)
    if (chance < 15) this.#process.life.crash()
    else if (chance < 25) this.#process.life.kill()
    else if (chance < 50) await this.#process.life.close()
    else if (chance < 80) this.#heal()
    else if (chance < 170) await this.#advance()
    else if (chance < 190) this.#setWall()
    else if (chance < 240) this.#changeTopics()
    else if (chance < 290) this.#configure()
    else if (chance < 310) this.#flush()
    else if (chance < 350) this.#follow()
    else if (chance < 400) this.#process.readOn(1 + random.below(8))
    else if (chance < 450) await this.#compare()
    else if (chance < 570) await this.#disturbed(isChecked => this.#process.sweep({ isChecked }))
    else if (chance < 650) await this.#disturbed(() => this.#compact())
    else if (chance < 690) await this.#disturbed(() => this.#deleteRecords())
    else await this.#append()
    if (random.chance(0.6)) await this.#process.life.turns(random.below(8))
  }

  /** Work that is struck by a fault now and then, runs alone, or beside what comes. */
  async #disturbed(work: (isAlone: boolean) => Promise<unknown>): Promise<void> {
    const random = this.#random
    const isAlone = random.chance(0.6)
    if (isAlone) await this.#process.settle()
    if (!this.#process.isAlive) return
    const isStruck = random.chance(0.3)
    if (isStruck) this.#breakSomething(80)
    else if (isAlone) this.#heal()
    const done = work(isAlone && !isStruck)
    if (!isAlone && !isStruck) return
    await this.#process.life.settle('work', done)
    if (isStruck) this.#heal()
  }

  async #advance(): Promise<void> {
    const ms = this.#random.pick([5, 1000, minuteMs, minuteMs, 11 * minuteMs, dayMs / 8, dayMs])
    this.#process.life.step(`advance ${ms} ms`)
    this.#process.clock.advance(ms)
    // Records that say no time get that of their turn.
    await this.#process.life.turns(1)
  }

  /** The wall clock jumps: the process goes on as if it had not, the next one starts from there. */
  #setWall(): void {
    const byMs = this.#random.pick([-3 * dayMs, -minuteMs, minuteMs, 2 * dayMs])
    this.#process.life.step(`the wall clock is set by ${byMs} ms`)
    this.#process.clock.setWall(this.#process.clock.wallMs() + byMs)
  }

  #topic(): RetainedTopicModel | undefined {
    const all = [...this.world.topics.topics.values()].filter(it => !it.isDeleting)
    return all[this.#random.below(all.length)]
  }

  #partition(): { readonly topic: RetainedTopicModel; readonly id: number } | null {
    const topic = this.#topic()
    if (topic !== undefined) return { topic, id: this.#random.below(topic.partitions.length) }
    this.#create()
    return null
  }

  #changeTopics(): void {
    const random = this.#random
    const topic = this.#topic()
    const choice = random.below(10)
    if (topic === undefined || choice < 5) this.#create()
    else if (choice < 7) void this.#process.delete(topic)
    else {
      // One change at a time: the model keeps no order of those that overlap.
      const total = topic.partitions.length + 1
      if (total <= 2 && topic.counts.size === 1) void this.#process.addPartitions(topic, total)
    }
  }

  #create(): void {
    const random = this.#random
    const name = random.pick(names)
    if (this.world.topics.topics.has(name)) return
    const cleanupPolicy = (
      { events: 'delete', states: 'compact', both: 'compact,delete' } as const
    )[name]
    void this.#process.create(name, {
      partitions: 1 + random.below(2),
      rules: { ...this.#limits(), cleanupPolicy, deleteRetentionMs: this.#deleteRetentionMs() },
      config: {
        segmentBytes: random.pick([1024, 1024, 3000]),
        segmentMs: random.pick([-1, 10 * minuteMs]),
        flushRecords: random.pick([1, 1, 1, 5]),
        compressionType: random.pick(['none', 'none', 'none', 'snappy'] as const),
        indexIntervalBytes: random.pick([0, 300, 4096]),
        minCleanableDirtyRatio: random.pick([0, 0.5, 1]),
        maxCompactionLagMs: random.pick([-1, 30 * minuteMs]),
      },
    })
  }

  #deleteRetentionMs(): number {
    return this.#random.pick([0, minuteMs, minuteMs, dayMs])
  }

  #limits(): Omit<LossRules, 'cleanupPolicy' | 'deleteRetentionMs'> {
    const random = this.#random
    return {
      retentionMs: random.pick([-1, 0, 30_000, 10 * minuteMs, 10 * minuteMs, dayMs]),
      retentionBytes: random.pick([-1, -1, -1, 0, 2000, 6000]),
      retentionRecords: random.pick([-1, -1, -1, 0, 10, 40]),
      retentionBy: random.pick(['append', 'append', 'append', 'record']),
      retainUntilConsumed: random.chance(0.1) ? ['nobody'] : [],
    }
  }

  #configure(): void {
    const random = this.#random
    const topic = this.#topic()
    if (topic?.rules == null) return
    const limits = this.#limits()
    const { retentionMs, retentionBytes, retentionRecords, retentionBy } = limits
    const deleteRetentionMs = this.#deleteRetentionMs()
    const changes: TopicConfig = random.pick<TopicConfig>([
      { retentionMs },
      { retentionBytes },
      { retentionRecords },
      { retentionMs, retentionBy },
      { deleteRetentionMs },
      { cleanupPolicy: random.pick(['delete', 'compact', 'compact,delete']) },
      limits,
    ])
    void this.#process.configure(topic, changes)
  }

  #flush(): void {
    const at = this.#partition()
    if (at !== null) void this.#process.flush(at.topic, at.id)
  }

  #follow(): void {
    const random = this.#random
    const at = this.#partition()
    if (at === null) return
    const start = this.#process.logStartOffset(at.topic, at.id)
    const end = this.#process.highWatermark(at.topic, at.id)
    const from = random.chance(0.5) ? start : start + random.below(end - start + 1)
    const options = { from, isLive: random.chance(0.5), mayJump: random.chance(0.5) }
    this.#process.follow(at.topic, at.id, options)
  }

  /** Reads everything and takes what has failed back into service. */
  async #compare(): Promise<void> {
    this.#heal()
    await this.#process.settle()
    for (const topic of this.world.topics.topics.values()) {
      if (topic.isDeleting) continue
      for (const id of topic.partitions.keys()) {
        await this.#process.recover(topic, id)
        await this.#process.readAll(topic, id)
      }
    }
  }

  async #compact(): Promise<unknown> {
    const topic = this.#topic()
    return topic === undefined ? undefined : await this.#process.compact(topic)
  }

  async #deleteRecords(): Promise<unknown> {
    const at = this.#partition()
    if (at === null) return
    const end = this.#process.highWatermark(at.topic, at.id)
    const start = this.#process.logStartOffset(at.topic, at.id)
    const room = end - start
    const before = start + this.#random.pick([room, room + 1, this.#random.below(room + 1)])
    return await this.#process.deleteRecords(at.topic, at.id, before)
  }

  async #append(): Promise<void> {
    const random = this.#random
    const at = this.#partition()
    if (at === null) return
    const count = random.pick([1, 1, 2, 6])
    for (let call = 0; call < count; call++) {
      const recordCount = random.pick([1, 1, 1, 2, 6])
      void this.#process.append(at.topic, at.id, {
        records: Array.from({ length: recordCount }, () => this.#newRecord()),
        acks: random.pick(['durable', 'durable', 'durable', 'written'] as const),
      })
    }
    if (random.chance(0.5)) await this.#process.settle()
  }

  #newRecord(): NewRecord {
    const random = this.#random
    const id = String(this.world.nextRecord++)
    const nowMs = this.#process.clock.wallMs()
    return {
      id,
      key: `k${random.below(6)}`,
      value: random.chance(0.2) ? null : `${id}|`.padEnd(random.pick([8, 60, 60, 400]), 'v'),
      timestamp: random.pick([
        null,
        null,
        0,
        nowMs - 30 * dayMs,
        nowMs - minuteMs,
        nowMs + 400 * dayMs,
      ]),
    }
  }
}

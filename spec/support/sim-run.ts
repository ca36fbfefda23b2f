/**
 * One simulated history of a log: random calls, faults, kills and power cuts on a disk in memory,
 * and a comparison with the model after every opening. Everything that is left to chance comes from
 * the seed, so the seed replays it.
 */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

import type { FaultKind, FaultyOperation } from '../../lib/files/fault-plan.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import type { CompressionType } from '../../lib/types.ts'
import { SeededRandom } from './random.ts'
import { makeWorld, SimProcess, type SimWorld } from './sim-process.ts'
import type { TopicModel } from './sim-topics.ts'

/** What a run did, to see that it did something. */
export interface SimSummary {
  readonly seed: number
  readonly openings: number
  readonly crashes: number
  readonly promisedRecords: number
  /** Calls to the files. */
  readonly calls: number
}

const names = ['orders', 'audit', 'clicks'] as const

const faultKinds: readonly [FaultKind, ...FaultKind[]] = [
  'EIO',
  'EIO',
  'EIO',
  'ENOSPC',
  'EDQUOT',
  'EMFILE',
  'short',
  'short',
  'crash',
]

const strikable: readonly [FaultyOperation, ...FaultyOperation[]] = [
  'open',
  'read',
  'write',
  'write',
  'sync',
  'sync',
  'truncate',
  'rename',
  'remove',
  'syncDirectory',
]

/** Runs the history of a seed. @throws {Error} that names the broken promise and how to replay it */
export async function runSeed(seed: number, operations: number): Promise<SimSummary> {
  const files = faultyFiles({ seed, clock: { wallMs: () => 0 } as never })
  const simulation = new Simulation(files, new SeededRandom(seed * 7 + 1))
  const onRejection = (error: unknown): void => {
    simulation.world.violations.push(new Error('an unhandled rejection', { cause: error }))
  }
  process.on('unhandledRejection', onRejection)
  try {
    return await simulation.run(seed, operations)
  } catch (error) {
    const steps = simulation.world.steps.slice(-80).join('\n')
    const calls = files.trace.slice(-80).join('\n')
    const command = `npm run sim -- --seed=${seed} --ops=${operations}`
    const message = inspect(error, { depth: 4 })
    throw new Error(`${command}\n${message}\n\nsteps:\n${steps}\n\ncalls:\n${calls}`, {
      cause: error,
    })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}

class Simulation {
  readonly world: SimWorld
  readonly #files: FaultyFiles
  readonly #random: SeededRandom
  #process: SimProcess
  #openings = 0

  constructor(files: FaultyFiles, random: SeededRandom) {
    this.#files = files
    this.#random = random
    this.world = makeWorld(files)
    this.#process = new SimProcess(this.world)
  }

  async run(seed: number, operations: number): Promise<SimSummary> {
    await this.#open({ mayFail: false })
    for (let done = 0; done < operations; done++) {
      await this.#operate()
      if (!this.#process.isAlive) await this.#openAgain()
      this.#assertSound()
    }
    this.#heal()
    await this.#process.life.settleAll()
    await this.#process.life.close()
    await this.#open({ mayFail: false })
    await this.#process.life.close()
    this.#assertSound()
    let promisedRecords = 0
    for (const { partitions } of this.world.topics.topics.values()) {
      for (const it of partitions) promisedRecords += it.promisedCount
    }
    const { crashes, operations: calls } = this.#files
    return { seed, openings: this.#openings, crashes, promisedRecords, calls }
  }

  #assertSound(): void {
    const [first] = this.world.violations
    if (first !== undefined) throw first
  }

  // ---- opening and ending

  async #openAgain(): Promise<void> {
    this.#process.life.bury()
    // Now and then opening itself is hit, and tried again.
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
    this.#process.life.bury()
    this.#process = new SimProcess(this.world, { slowness: random.pick([0, 0, 200]) })
    const isOpen = await this.#process.open({
      maxQueuedBytes: random.pick([16 << 20, 16 << 20, 1500]),
      maxUnflushedBytes: random.pick([16 << 20, 16 << 20, 3000]),
      maxOpenFiles: random.pick([128, 128, 4]),
      maxParallelFlushes: random.pick([1, 2]),
      sweepIntervalMs: random.pick([-1, 2000]),
      maxBlockMs: random.pick([60_000, 50]),
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
    this.#files.setCapacity(null)
  }

  #breakSomething(within: number): void {
    const random = this.#random
    const kind = random.pick(faultKinds)
    const on = kind === 'short' ? 'write' : random.pick([undefined, random.pick(strikable)])
    const isSticky = kind !== 'crash' && random.chance(0.15)
    const operation = 1 + random.below(on === undefined ? within : 1 + within / 4)
    this.#process.life.step(
      `fault ${kind} on ${on ?? 'any call'} in ${operation}, sticky ${isSticky}`,
    )
    this.#files.failAt({ operation, kind, on, sticky: isSticky })
  }

  // ---- what happens

  async #operate(): Promise<void> {
    const random = this.#random
    const chance = random.below(1000)
    if (chance < 20) this.#process.life.crash()
    else if (chance < 35) this.#process.life.kill()
    else if (chance < 50) await this.#process.life.close()
    else if (chance < 80) this.#breakSomething(40)
    else if (chance < 90) this.#fillDisk()
    else if (chance < 130) this.#heal()
    else if (chance < 160) this.#advance()
    else if (chance < 200) await this.#process.life.settleAll()
    else if (chance < 260) this.#changeTopics()
    else if (chance < 300) this.#recover()
    else if (chance < 340) this.#onPartition((topic, id) => this.#process.flush(topic, id))
    else if (chance < 440) this.#onPartition((topic, id) => this.#read(topic, id))
    else if (chance < 460) this.#onPartition(async (topic, id) => this.#process.follow(topic, id))
    else this.#onPartition((topic, id) => this.#append(topic, id))
    if (random.chance(0.7)) await this.#process.turns(random.below(8))
  }

  #advance(): void {
    const ms = this.#random.pick([5, 100, 1100, 4000])
    this.#process.life.step(`advance ${ms} ms`)
    this.#process.clock.advance(ms)
  }

  #fillDisk(): void {
    // The looking around must not be hit itself.
    this.#heal()
    let usedBytes = 0
    const add = (dir: string): void => {
      for (const { name, isDirectory } of this.#files.list(dir)) {
        const path = `${dir}/${name}`
        if (isDirectory) add(path)
        else usedBytes += this.#files.stat(path)?.sizeBytes ?? 0
      }
    }
    add('/data')
    const roomBytes = this.#random.below(3000)
    this.#process.life.step(`the disk has room for ${roomBytes} bytes`)
    this.#files.setCapacity(usedBytes + roomBytes)
  }

  #topic(): TopicModel | undefined {
    const all = [...this.world.topics.topics.values()].filter(it => !it.isDeleting)
    return all[this.#random.below(all.length)]
  }

  #onPartition(act: (topic: TopicModel, partition: number) => Promise<unknown>): void {
    const topic = this.#topic()
    if (topic === undefined) {
      this.#create()
      return
    }
    void act(topic, this.#random.below(topic.partitions.length))
  }

  #changeTopics(): void {
    const random = this.#random
    const topic = this.#topic()
    const choice = random.below(10)
    if (topic === undefined || choice < 4) this.#create()
    else if (choice < 6) void this.#process.delete(topic)
    else if (choice < 8) {
      // One change at a time: the model keeps no order of those that overlap.
      const total = topic.partitions.length + 1
      if (total <= 3 && topic.counts.size === 1) void this.#process.addPartitions(topic, total)
    } else if (topic.flushRecords.size === 1) {
      void this.#process.configure(topic, random.pick([1, 1, 3, 50]))
    }
  }

  #create(): void {
    const random = this.#random
    const name = random.pick(names)
    if (this.world.topics.topics.has(name)) return
    void this.#process.create(name, {
      partitions: 1 + random.below(2),
      flushRecords: random.pick([1, 1, 1, 3, 50]),
      segmentBytes: random.pick([1024, 4096, 1 << 20]),
      compressionType: random.pick<CompressionType>(['none', 'none', 'none', 'snappy']),
    })
  }

  #recover(): void {
    for (const topic of this.world.topics.topics.values()) {
      for (const id of topic.partitions.keys()) void this.#process.recover(topic, id)
    }
  }

  #read(topic: TopicModel, id: number): Promise<boolean> {
    const end = this.#process.highWatermark(topic, id)
    return this.#process.read(topic, id, this.#random.below(end + 1))
  }

  async #append(topic: TopicModel, id: number): Promise<void> {
    const random = this.#random
    const count = random.pick([1, 1, 1, 2, 5])
    for (let call = 0; call < count; call++) {
      const acks = random.pick(['durable', 'durable', 'durable', 'written', 'queued'] as const)
      const expectedOffset = random.chance(0.1)
        ? this.#process.logEndOffset(topic, id) + random.pick([0, 0, 1])
        : undefined
      const signal = random.chance(0.03) ? AbortSignal.abort() : undefined
      void this.#process.append(topic, id, {
        recordCount: random.pick([1, 1, 1, 2, 7]),
        valueBytes: random.pick([10, 60, 60, 400, 1200]),
        options: { acks, expectedOffset, signal },
      })
    }
  }
}

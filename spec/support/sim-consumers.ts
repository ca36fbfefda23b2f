/**
 * One simulated history of consumers: members of several groups come, go, fail, seek back and are killed
 * with their process, commit by themselves and by hand, while records are appended and topics grow. Handlers
 * end when the seed says so. What is left to chance comes from the seed, so the seed replays it.
 */
import assert from 'node:assert/strict'

import type { Concurrency, Consumer } from '../../lib/consuming.ts'
import { type FaultyFiles, faultyFiles } from '../../lib/files/faulty-files.ts'
import { openLog } from '../../lib/open.ts'
import { type ManualClock, manualClock } from '../../lib/testing/manual-clock.ts'
import type { Log, LogRecord } from '../../lib/types.ts'
import { SeededRandom } from './random.ts'

/** What a run did, to see that it did something. */
export interface ConsumerSummary {
  readonly finished: number
  readonly redelivered: number
  readonly revoked: number
  readonly lost: number
  readonly openings: number
}

const groups = ['billing', 'shipping'] as const
const topics = ['orders', 'clicks'] as const

/** A call of a handler that has not ended. */
interface Call {
  readonly member: Member
  readonly record: LogRecord
  readonly place: string
  readonly end: (error?: Error) => void
  /** Its partition was lost: nobody waits for it any more. */
  isLost: boolean
}

interface Member {
  readonly group: string
  readonly consumer: Consumer
  /** The opening of the log that it belongs to. */
  readonly era: number
}

/** What is known of one group. */
class GroupModel {
  readonly name: string
  /** Offsets that some handler has finished, by partition. */
  readonly finished = new Map<string, Set<number>>()
  /** Who may be at work in a partition: members that have it and did not lose it. */
  readonly owners = new Map<string, Member>()
  /** What was seen to be committed, by partition: it is durable. */
  readonly committed = new Map<string, number>()
  /** Somebody has sought back since the log was opened: what is committed may go down. */
  hasSoughtBack = false

  constructor(name: string) {
    this.name = name
  }

  finishedIn(place: string): Set<number> {
    const known = this.finished.get(place) ?? new Set()
    this.finished.set(place, known)
    return known
  }

  firstUnfinished(place: string): number {
    const finished = this.finishedIn(place)
    let offset = 0
    while (finished.has(offset)) offset++
    return offset
  }
}

/** Runs the history of a seed. @throws {Error} that names the broken promise and how to replay it */
export async function runConsumerSeed(seed: number, operations: number): Promise<ConsumerSummary> {
  const simulation = new ConsumerSimulation(seed)
  try {
    return await simulation.run(operations)
  } catch (error) {
    const steps = simulation.steps.slice(-60).join('\n')
    throw new Error(`consumers, SEED=${seed}, ${operations} operations\n${error}\n${steps}`, {
      cause: error,
    })
  }
}

class ConsumerSimulation {
  readonly steps: string[] = []
  readonly #random: SeededRandom
  readonly #files: FaultyFiles
  readonly #clock: ManualClock = manualClock()
  readonly #groups: ReadonlyMap<string, GroupModel>
  /** Keys of the records of each partition, by offset. */
  readonly #keys = new Map<string, string[]>()
  #log!: Log
  #members: Member[] = []
  #calls: Call[] = []
  #violation: unknown = null
  #counts = { finished: 0, redelivered: 0, revoked: 0, lost: 0, openings: 0 }

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#files = faultyFiles({ seed, clock: this.#clock })
    this.#groups = new Map(groups.map(name => [name, new GroupModel(name)]))
  }

  async run(operations: number): Promise<ConsumerSummary> {
    await this.#open()
    for (const name of topics) await this.#log.topic(name, { partitions: 2 })
    for (let done = 0; done < operations; done++) {
      await this.#operate()
      await this.#settle()
      await this.#check()
      await this.#checkAssigned()
    }
    await this.#finishEverything()
    await this.#log.close()
    return this.#counts
  }

  async #operate(): Promise<void> {
    const random = this.#random
    const choice = random.below(100)
    if (choice < 25) await this.#append()
    else if (choice < 65) this.#endCall()
    else if (choice < 75) await this.#join()
    else if (choice < 81) this.#leave()
    else if (choice < 85) this.#seekBack()
    else if (choice < 87) await this.#grow()
    else if (choice < 90) this.#commit()
    else if (choice < 95) this.#advance()
    else if (choice < 97) this.#pauseOrResume()
    else await this.#crash()
  }

  async #open(): Promise<void> {
    const files = this.#files.currentProcess()
    this.#log = await openLog('/log', { files, clock: this.#clock, sweepIntervalMs: -1 })
  }

  async #append(): Promise<void> {
    const name = this.#random.pick(topics)
    const topic = await this.#log.topic(name)
    const records = Array.from({ length: 1 + this.#random.below(5) }, () => {
      return { key: `k${this.#random.below(4)}`, value: 'v' }
    })
    const partition = this.#random.below(topic.partitions.length)
    await topic.partition(partition).append(records)
    const place = `${name}-${partition}`
    this.#keys.set(place, [...(this.#keys.get(place) ?? []), ...records.map(({ key }) => key)])
    this.steps.push(`append ${records.length} to ${place}`)
  }

  /** Some handler ends, well or not. */
  #endCall(): void {
    if (this.#calls.length === 0) return
    const [call] = this.#calls.splice(this.#random.below(this.#calls.length), 1) as [Call]
    const fails = this.#random.chance(0.1)
    this.steps.push(`${call.member.consumer.id} ${fails ? 'fails' : 'ends'} ${at(call)}`)
    if (fails) call.end(new Error('no'))
    else this.#finish(call)
  }

  #finish(call: Call): void {
    const model = this.#groups.get(call.member.group) as GroupModel
    const finished = model.finishedIn(call.place)
    if (finished.has(call.record.offset)) this.#counts.redelivered++
    finished.add(call.record.offset)
    this.#counts.finished++
    call.end()
  }

  async #join(): Promise<void> {
    if (this.#members.length > 6) return
    const random = this.#random
    const group = random.pick(groups)
    const consumer = await this.#log.consumer({
      group,
      topics: random.pick<RegExp | string | string[]>([/./, 'orders', [...topics]]),
      rebalanceTimeoutMs: 500,
      maxBytes: random.pick([100, 100_000]),
    })
    this.steps.push(`${consumer.id} joins`)
    const model = this.#groups.get(group) as GroupModel
    const concurrency = random.pick<Concurrency>([
      { by: 'key', max: 4 },
      { by: 'key', max: 1 },
      { by: 'partition', max: 4 },
    ])
    const member: Member = { group, consumer, era: this.#counts.openings }
    for (const { topic, partition } of consumer.assignment) {
      model.owners.set(`${topic}-${partition}`, member)
    }
    this.#follow(member, model)
    const run = { concurrency, retries: random.pick([0, 3]), backoffMs: 50 }
    // What ends it is in the history already.
    consumer.run((record, { signal }) => this.#handle(member, record, signal), run).catch(() => {})
    this.#members.push(member)
  }

  #follow(member: Member, model: GroupModel): void {
    const { consumer } = member
    const era = this.#counts.openings
    consumer.on('assigned', partitions => {
      if (era !== this.#counts.openings) return
      for (const { topic, partition } of partitions) {
        const place = `${topic}-${partition}`
        this.#require(!model.owners.has(place), `${place} is assigned while somebody has it`)
        model.owners.set(place, member)
      }
    })
    const gone =
      (isLost: boolean) => (partitions: readonly { topic: string; partition: number }[]) => {
        if (era !== this.#counts.openings) return
        for (const { topic, partition } of partitions) {
          const place = `${topic}-${partition}`
          model.owners.delete(place)
          this.#counts[isLost ? 'lost' : 'revoked']++
          const atWork = this.#calls.filter(
            call => call.member === member && call.place === place && !call.isLost,
          )
          if (isLost) for (const call of atWork) call.isLost = true
          const isIdle = isLost || atWork.length === 0
          this.#require(isIdle, `${place} is revoked while a record is at work`)
        }
      }
    consumer.on('revoked', gone(false))
    consumer.on('lost', gone(true))
  }

  #handle(member: Member, record: LogRecord, signal: AbortSignal): Promise<void> {
    const model = this.#groups.get(member.group) as GroupModel
    const place = `${record.topic}-${record.partition}`
    // Nobody hears of a process that is gone.
    if (member.era !== this.#counts.openings) return new Promise(() => {})
    this.#require(!signal.aborted, `${place}@${record.offset} begins after its signal fired`)
    this.#require(model.owners.get(place) === member, `${place} is not ${member.consumer.id}'s`)
    const finished = model.finishedIn(place)
    const keys = this.#keys.get(place) ?? []
    for (const [offset, key] of keys.slice(0, record.offset).entries()) {
      const isBefore = key === keys[record.offset] && !finished.has(offset)
      this.#require(!isBefore, `${place}@${record.offset} begins before ${offset} of its key ends`)
    }
    const isTwice = this.#calls.some(
      call =>
        call.member === member &&
        call.place === place &&
        !call.isLost &&
        keys[call.record.offset] === keys[record.offset],
    )
    this.#require(!isTwice, `two of one key are at work in ${place}`)
    return new Promise((resolve, reject) => {
      const end = (error?: Error): void => (error === undefined ? resolve() : reject(error))
      this.#calls.push({ member, record, place, end, isLost: false })
    })
  }

  #leave(): void {
    const member = this.#alive()
    if (member === undefined) return
    this.steps.push(`${member.consumer.id} leaves`)
    member.consumer.close({ timeoutMs: this.#random.pick([-1, 300]) }).catch(() => {})
  }

  #seekBack(): void {
    const member = this.#alive()
    if (member === undefined) return
    this.steps.push(`${member.consumer.id} seeks back`)
    for (const model of this.#groups.values()) {
      if (model.name === member.group) model.hasSoughtBack = true
    }
    member.consumer.seek('earliest').catch(() => {})
  }

  /** What is finished of one partition is committed by hand, by whoever has it, or believes to. */
  #commit(): void {
    const member = this.#alive()
    const assignment = member?.consumer.assignment ?? []
    const place = assignment[this.#random.below(Math.max(1, assignment.length))]
    if (member === undefined || place === undefined) return
    const { topic, partition } = place
    const model = this.#groups.get(member.group) as GroupModel
    const offset = model.firstUnfinished(`${topic}-${partition}`)
    this.steps.push(`${member.consumer.id} commits ${topic}-${partition}@${offset}`)
    member.consumer.commit([{ topic, partition, offset, metadata: 'by hand' }]).catch(() => {})
  }

  #pauseOrResume(): void {
    const member = this.#alive()
    if (member === undefined) return
    try {
      if (this.#random.chance(0.4)) member.consumer.pause()
      else member.consumer.resume()
    } catch {
      // It is closing.
    }
  }

  async #grow(): Promise<void> {
    const topic = await this.#log.topic(this.#random.pick(topics))
    if (topic.partitions.length >= 5) return
    await topic.addPartitions(topic.partitions.length + 1)
    this.steps.push(`${topic.name} has ${topic.partitions.length} partitions`)
  }

  #advance(): void {
    this.#clock.advance(this.#random.pick([10, 100, 600]))
  }

  /** The process, or the whole machine, is gone in the middle of everything. */
  async #crash(): Promise<void> {
    if (this.#random.chance(0.5)) {
      // In the middle of a commit; what shows by then has to stay.
      this.#endCall()
      await this.#turns(this.#random.below(4))
      await this.#check()
    }
    this.steps.push('the process is killed')
    if (this.#random.chance(0.5)) this.#files.crash()
    else this.#files.killProcess()
    const dead = this.#log
    // From here on nothing that belongs to the process counts.
    this.#counts.openings++
    this.#members = []
    this.#calls = []
    for (const model of this.#groups.values()) model.owners.clear()
    dead.close({ timeoutMs: 1 }).catch(() => {})
    await this.#turns(20)
    this.#clock.advance(1000)
    await this.#turns(20)
    await this.#open()
    await this.#checkCommitted()
  }

  /** Nothing that was seen to be committed comes back after a crash. */
  async #checkCommitted(): Promise<void> {
    for (const model of this.#groups.values()) {
      const found = await this.#committedBy(model)
      for (const [place, offset] of model.hasSoughtBack ? [] : model.committed) {
        const now = found.get(place) ?? 0
        assert.ok(now >= offset, `${model.name} had committed ${place}@${offset}, and now ${now}`)
      }
      model.hasSoughtBack = false
    }
  }

  /** Every partition that there is has a member, unless one is being handed over. */
  async #checkAssigned(): Promise<void> {
    const known = await this.#log.groups()
    for (const { name } of this.#groups.values()) {
      if (!known.includes(name)) continue
      const { state, members } = await this.#log.group(name).describe()
      if (state !== 'stable') continue
      for (const topic of new Set(members.flatMap(member => member.topics))) {
        const { partitions } = await this.#log.topic(topic)
        const owned = members.flatMap(({ assignment }) =>
          assignment.filter(of => of.topic === topic),
        )
        assert.equal(owned.length, partitions.length, `${name} reads not all of ${topic}`)
      }
    }
  }

  async #committedBy({ name }: GroupModel): Promise<ReadonlyMap<string, number>> {
    if (!(await this.#log.groups()).includes(name)) return new Map()
    const { offsets } = await this.#log.group(name).describe()
    return new Map(offsets.map(({ topic, partition, offset }) => [`${topic}-${partition}`, offset]))
  }

  #require(isTrue: boolean, promise: string): void {
    if (!isTrue) this.#violation ??= new Error(promise)
  }

  #alive(): Member | undefined {
    return this.#members.length === 0
      ? undefined
      : this.#members[this.#random.below(this.#members.length)]
  }

  /** Nothing committed passes work that is not finished. */
  async #check(): Promise<void> {
    if (this.#violation !== null) throw this.#violation
    for (const model of this.#groups.values()) {
      for (const [place, offset] of await this.#committedBy(model)) {
        const first = model.firstUnfinished(place)
        assert.ok(offset <= first, `${model.name} committed ${offset}, ${first} is not finished`)
        model.committed.set(place, offset)
      }
    }
  }

  /** Every record is processed by every group in the end. */
  async #finishEverything(): Promise<void> {
    const isDone = (): boolean =>
      [...this.#groups.values()].every(model =>
        [...this.#keys].every(([place, { length }]) => model.firstUnfinished(place) === length),
      )
    for (const group of groups) {
      const consumer = await this.#log.consumer({ group, topics: [...topics] })
      const model = this.#groups.get(group) as GroupModel
      const member: Member = { group, consumer, era: this.#counts.openings }
      for (const { topic, partition } of consumer.assignment) {
        model.owners.set(`${topic}-${partition}`, member)
      }
      this.#follow(member, model)
      consumer.run((record, { signal }) => this.#handle(member, record, signal)).catch(() => {})
    }
    for (const { consumer } of this.#members) {
      try {
        consumer.resume()
      } catch {
        // It is closed.
      }
    }
    for (let round = 0; !isDone(); round++) {
      assert.ok(round < 5000, 'records are left that nobody is given')
      for (const call of this.#calls.splice(0)) this.#finish(call)
      if (round % 10 === 9) this.#clock.advance(600)
      await this.#turns(2)
      if (this.#violation !== null) throw this.#violation
    }
    // What is given out again, after a seek, has to end as well.
    const closing = this.#log.close()
    let isClosed = false
    void closing.finally(() => {
      isClosed = true
    })
    for (let round = 0; !isClosed; round++) {
      assert.ok(round < 5000, 'the log does not close')
      for (const call of this.#calls.splice(0)) this.#finish(call)
      if (round % 10 === 9) this.#clock.advance(600)
      await this.#turns(2)
    }
    await closing
    if (this.#violation !== null) throw this.#violation
  }

  async #settle(): Promise<void> {
    await this.#turns(12)
  }

  async #turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await new Promise(resolve => setImmediate(resolve))
  }
}

function at({ place, record }: Call): string {
  return `${place}@${record.offset}`
}

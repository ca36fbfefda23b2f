/**
 * A fixed history of a log that goes once through everything it does to its files. It is run again
 * and again with another call failing each time.
 */
import assert from 'node:assert/strict'
import { inspect } from 'node:util'

import type { Fault } from '../../lib/files/fault-plan.ts'
import { faultyFiles } from '../../lib/files/faulty-files.ts'
import { makeWorld, SimProcess, type SimWorld } from './sim-process.ts'

/** How a run ends before the log is opened again. */
export type Ending = 'kill' | 'crash'

type Stage = (process: SimProcess, world: SimWorld) => Promise<unknown>

/** Two lives of a process; the log is closed between them, and left open at the end. */
const lives: readonly (readonly Stage[])[] = [
  [
    process => process.open({ maxParallelFlushes: 2 }),
    process => process.create('orders', { partitions: 2, flushRecords: 1, segmentBytes: 1024 }),
    process => process.create('audit', { partitions: 1, flushRecords: 50, segmentBytes: 4096 }),
    process =>
      process.create('packed', {
        partitions: 1,
        flushRecords: 1,
        segmentBytes: 4096,
        compressionType: 'snappy',
      }),
    process => append(process, 'orders', { count: 1 }),
    process => append(process, 'orders', { count: 3, acks: 'written', recordCount: 2 }),
    process => append(process, 'packed', { count: 2, recordCount: 3 }),
    process => append(process, 'audit', { count: 2, acks: 'queued' }),
    async process => {
      const model = process.world.topics.topics.get('orders')
      if (model !== undefined) process.follow(model, 0)
    },
    process => append(process, 'orders', { count: 4, valueBytes: 600 }),
    async process => process.clock.advance(1100),
    process => append(process, 'audit', { count: 2 }),
    process => append(process, 'orders', { count: 1, isExpecting: true }),
    recover,
    process => withTopic(process, 'audit', model => process.flush(model, 0)),
    process => withTopic(process, 'audit', model => process.configure(model, 1)),
    process => withTopic(process, 'orders', model => process.addPartitions(model, 3)),
    process => append(process, 'orders', { count: 2, partition: 2, acks: 'written' }),
    process => withTopic(process, 'packed', model => process.delete(model)),
    process => append(process, 'orders', { count: 3, valueBytes: 500 }),
    process => withTopic(process, 'orders', model => process.read(model, 0, 0)),
    process => process.unfollow(),
    process => process.life.close(),
  ],
  [
    process => process.open({ maxParallelFlushes: 1 }),
    process => process.create('packed', { partitions: 1, flushRecords: 1, segmentBytes: 1024 }),
    process => append(process, 'packed', { count: 1 }),
    process => append(process, 'orders', { count: 3, valueBytes: 500 }),
    recover,
    async process => process.clock.advance(1100),
    process => append(process, 'audit', { count: 2, acks: 'written' }),
    process => withTopic(process, 'orders', model => process.read(model, 0, 2)),
    process => append(process, 'orders', { count: 2, acks: 'written' }),
  ],
]

/** What a run came to. */
export interface WorkloadRun {
  /** The fault struck; if not, there are no more calls that it could strike. */
  readonly isStruck: boolean
  readonly operations: number
}

/**
 * Runs the history with a fault, ends it, opens the log again on files that work, and compares.
 *
 * @throws {Error} that says what was broken, and by which fault
 */
export async function runWorkload(
  fault: Fault | null,
  ending: Ending,
  seed: number,
): Promise<WorkloadRun> {
  const files = faultyFiles({ seed })
  const world = makeWorld(files)
  const onRejection = (error: unknown): void => {
    world.violations.push(new Error('an unhandled rejection', { cause: error }))
  }
  process.on('unhandledRejection', onRejection)
  try {
    if (fault !== null) files.failAt(fault)
    const isStruck = await runLives(world, fault)
    const { operations } = files
    await finish(world, ending)
    return { isStruck, operations }
  } catch (error) {
    const of = `${JSON.stringify(fault)}, ${ending}, seed ${seed}`
    const trace = [...world.steps.slice(-60), '', ...files.trace.slice(-60)].join('\n')
    throw new Error(`${of}\n${inspect(error)}\n${trace}`, { cause: error })
  } finally {
    process.off('unhandledRejection', onRejection)
  }
}

/**
 * Runs with the fault at the first, the second, … call, until there is no such call; says how many
 * there were. The endings take turns.
 */
export async function strikeEach(
  fault: Omit<Fault, 'operation'>,
  endings: readonly Ending[] = ['crash', 'kill'],
): Promise<number> {
  for (let operation = 1; ; operation++) {
    const ending = endings[operation % endings.length] ?? 'crash'
    const { isStruck } = await runWorkload({ ...fault, operation }, ending, operation)
    if (!isStruck) return operation - 1
  }
}

async function runLives(world: SimWorld, fault: Fault | null): Promise<boolean> {
  const { files } = world
  const hasStruck = (): boolean => {
    if (fault === null) return false
    // Of the calls that only some faults strike nobody keeps count but the trace.
    if (fault.on === undefined && fault.kind !== 'short') return files.operations >= fault.operation
    return files.trace.some(line => line.endsWith(`-> ${fault.kind}`))
  }
  let isStruck = false
  for (const stages of lives) {
    const life = new SimProcess(world)
    for (const stage of stages) {
      const work = Promise.resolve(stage(life, world))
      await life.life.settle('a stage', work)
      await life.life.settleAll()
      isStruck ||= hasStruck()
      if (world.violations.length > 0) throw world.violations[0]
      if (!life.isAlive) break
    }
    life.life.bury()
  }
  return isStruck
}

async function finish(world: SimWorld, ending: Ending): Promise<void> {
  const { files } = world
  files.clearFaults()
  const last = new SimProcess(world)
  if (ending === 'crash') last.life.crash()
  else last.life.kill()
  last.life.bury()
  const again = new SimProcess(world)
  assert.ok(await again.open(), 'a log whose files work can be opened')
  await again.check()
  await append(again, 'orders', { count: 2 })
  await again.life.settleAll()
  assert.ok(await again.life.close(), 'a log whose files work can be closed')
  const third = new SimProcess(world)
  assert.ok(await third.open(), 'and opened again')
  assert.equal(third.log?.recovery.clean, true, 'after a clean close nothing is to be recovered')
  await third.check()
  if (world.violations.length > 0) throw world.violations[0]
  await third.life.close()
}

interface Appends {
  readonly count: number
  readonly partition?: number
  readonly acks?: 'durable' | 'written' | 'queued'
  readonly recordCount?: number
  readonly valueBytes?: number
  readonly isExpecting?: boolean
}

/** Calls of one turn, awaited together. */
async function append(process: SimProcess, topic: string, of: Appends): Promise<void> {
  const model = process.world.topics.topics.get(topic)
  if (model === undefined || model.isDeleting) return
  const { count, partition = 0, acks = 'durable', recordCount = 1, valueBytes = 30 } = of
  const expectedOffset = of.isExpecting ? process.logEndOffset(model, partition) : undefined
  const calls = Array.from({ length: count }, () =>
    process.append(model, partition, {
      recordCount,
      valueBytes,
      options: { acks, expectedOffset },
    }),
  )
  await Promise.all(calls)
}

async function recover(process: SimProcess): Promise<void> {
  for (const topic of process.world.topics.topics.values()) {
    for (const id of topic.partitions.keys()) await process.recover(topic, id)
  }
}

async function withTopic(
  process: SimProcess,
  name: string,
  act: (model: NonNullable<ReturnType<SimWorld['topics']['topics']['get']>>) => Promise<unknown>,
): Promise<void> {
  const model = process.world.topics.topics.get(name)
  if (model !== undefined && !model.isDeleting) await act(model)
}

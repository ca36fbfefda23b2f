/**
 * Decides which partitions of a log are compacted, and when: one at a time, the one with the largest
 * dirty share first, in the background by the sweep or because somebody asks for it.
 */
import type { CompactionReport, PartitionCompaction } from '../compaction.ts'
import { ClosedError } from '../errors.ts'
import { isCompacted, type ResolvedOpenOptions, type ResolvedTopicConfig } from '../options.ts'
import { dirtyRatio, isCompactionDue } from '../storage/compaction-plan.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import type { PartitionLog } from '../storage/partition-log.ts'
import type { Checkpointer } from './checkpointer.ts'
import { CleanerCheckpoint } from './cleaner-checkpoint.ts'
import { storageWait } from './directory-layout.ts'
import type { EventHub } from './event-hub.ts'

/** A topic as compaction sees it. */
export interface CompactableTopic {
  readonly name: string
  readonly resolvedConfig: ResolvedTopicConfig
  readonly partitions: readonly PartitionLog[]
  readonly isUsable: boolean
}

/** The options of a `Compactor`. */
export interface CompactorOptions {
  /** Of the log, where `cleaner-offset-checkpoint` lies. */
  readonly dir: string
  readonly options: ResolvedOpenOptions
  readonly environment: StorageEnvironment
  readonly events: EventHub
  readonly checkpointer: Checkpointer
}

/** What is to be compacted of one topic. */
interface Work {
  readonly topic: CompactableTopic
  readonly partition: PartitionLog
  /** Somebody waits for it. */
  readonly isAwaited: boolean
}

/** The compactions of one log. Calls may overlap. */
export class Compactor {
  /** Up to where each partition has been compacted. */
  readonly cleaned: CleanerCheckpoint
  readonly #options: CompactorOptions
  readonly #stop = new AbortController()
  #isSweeping = false
  /** What each partition was last said to be skipped for, so that it is said once. */
  readonly #skips = new Map<PartitionLog, string>()
  /** Ends with the last compaction that was asked for. Never rejects. */
  #tail: Promise<unknown> = Promise.resolve()

  constructor(options: CompactorOptions) {
    const { dir, environment } = options
    const { files, room } = environment
    this.cleaned = new CleanerCheckpoint({ files, room, dir })
    this.#options = options
  }

  /** Compacts in the background what is due by now; does nothing while an earlier sweep still does. */
  sweep(topics: Iterable<CompactableTopic>): void {
    if (this.#isSweeping || this.#stop.signal.aborted) return
    const due = this.#due(topics)
    if (due.length === 0) return
    this.#isSweeping = true
    const swept = this.#inTurn(async () => {
      for (const work of due) {
        if (this.#stop.signal.aborted) return
        await this.#compact(work).catch((error: Error) => this.#failed(work, error))
      }
    })
    const end = (): void => {
      this.#isSweeping = false
    }
    swept.then(end, end)
  }

  /** Compacts every partition of the topic, its active segments included, whatever their dirty share. */
  compact(topic: CompactableTopic): Promise<CompactionReport> {
    return this.#inTurn(async () => {
      const { clock } = this.#options.environment
      const startMs = clock.monotonicMs()
      const partitions: PartitionCompaction[] = []
      for (const partition of topic.partitions) {
        if (this.#stop.signal.aborted) throw new ClosedError()
        await partition.roll()
        partitions.push(await this.#compact({ topic, partition, isAwaited: true }))
      }
      return { topic: topic.name, partitions, durationMs: clock.monotonicMs() - startMs }
    })
  }

  /** Ends the one that is under way and those that wait; resolves when nothing is touched any more. */
  async close(): Promise<void> {
    this.#stop.abort(new ClosedError())
    await this.#tail
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#tail.then(() => {
      if (this.#stop.signal.aborted) throw new ClosedError()
      return work()
    })
    this.#tail = done.catch(() => undefined)
    return done
  }

  /** What is due, the largest dirty share first. */
  #due(topics: Iterable<CompactableTopic>): readonly Work[] {
    const nowMs = this.#options.environment.time.nowMs()
    const due: { work: Work; ratio: number }[] = []
    for (const topic of topics) {
      const config = topic.resolvedConfig
      if (!isCompacted(config)) continue
      for (const partition of topic.partitions) {
        if (partition.state === 'failed') continue
        const range = partition.compactablePart(this.#limits(topic, partition))
        if (!isCompactionDue(range, { ...config, nowMs })) continue
        due.push({ work: { topic, partition, isAwaited: false }, ratio: dirtyRatio(range) })
      }
    }
    return due.sort((a, b) => b.ratio - a.ratio).map(({ work }) => work)
  }

  #limits(
    { resolvedConfig }: CompactableTopic,
    { identity }: PartitionLog,
  ): { readonly firstDirtyOffset: number; readonly minCompactionLagMs: number } {
    const { minCompactionLagMs } = resolvedConfig
    return {
      firstDirtyOffset: this.cleaned.firstDirtyOffset(identity),
      minCompactionLagMs,
    }
  }

  async #compact(work: Work): Promise<PartitionCompaction> {
    const { topic, partition, isAwaited } = work
    const { checkpointer, events, options } = this.#options
    const { identity } = partition
    // Recovery then takes no part of what is compacted for the end of the log.
    await checkpointer.write()
    const request = {
      ...this.#limits(topic, partition),
      mapBytes: options.compactionMapBytes,
      bytesPerSecond: options.compactionBytesPerSecond,
      keepAlive: isAwaited,
      deleteRetentionMs: topic.resolvedConfig.deleteRetentionMs,
      onCleaned: (offset: number) => this.cleaned.set(identity, offset),
      onProgress: (progress: { pass: number; doneBytes: number; totalBytes: number }) =>
        events.emit({ type: 'compactionProgress', ...identity, ...progress }),
    }
    const result = await storageWait(partition.dir, 'compact', () =>
      partition.compact(request, this.#stop.signal),
    )
    if (result.skipped !== null) this.#skipped(work, result.skipped)
    else this.#skips.delete(partition)
    if (result.passes > 0) events.emit({ type: 'compacted', ...result, ...identity })
    return { partition: identity.partition, ...result }
  }

  #skipped({ partition }: Work, reason: PartitionCompaction['skipped'] & string): void {
    if (this.#skips.get(partition) === reason) return
    this.#skips.set(partition, reason)
    this.#options.events.emit({ type: 'compactionSkipped', ...partition.identity, reason })
  }

  #failed({ topic, partition }: Work, error: Error): void {
    // The partition ends, and its compaction with it.
    if (error instanceof ClosedError || !topic.isUsable) return
    const what = `compacting ${topic.name}-${partition.identity.partition}`
    this.#options.events.emit({ type: 'backgroundFailed', what, error })
  }
}

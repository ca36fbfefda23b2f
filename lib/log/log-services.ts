/** What the parts of one open log have in common. */
import type { ResolvedOpenOptions } from '../options.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import type { Checkpointer } from './checkpointer.ts'
import type { Compactor } from './compactor.ts'
import type { ConsumedOffsets } from './consumed-offsets.ts'
import type { DiskWatch } from './disk-watch.ts'
import type { EventHub } from './event-hub.ts'
import type { Sweeper } from './sweeper.ts'
import type { TopicCatalog } from './topic-catalog.ts'
import type { VisibleSlots } from './visible-slots.ts'

/** Made by `openLog`, used by the log and its topics. */
export interface LogServices {
  /** Path of the directory, as the files know it. */
  readonly dir: string
  readonly options: ResolvedOpenOptions
  readonly environment: StorageEnvironment
  readonly events: EventHub
  readonly disk: DiskWatch
  readonly catalog: TopicCatalog
  readonly slots: VisibleSlots
  readonly checkpointer: Checkpointer
  readonly compactor: Compactor
  readonly consumed: ConsumedOffsets
  readonly sweeper: Sweeper
}

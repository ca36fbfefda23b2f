/** What every way of opening a log begins with. */
import type { Files } from '../files/files.ts'
import type { ResolvedOpenOptions } from '../options.ts'
import type { StorageEnvironment } from '../storage/environment.ts'
import type { EventHub } from './event-hub.ts'
import type { ExtendLog } from './extension.ts'

/** A directory that is about to be opened. */
export interface Opening {
  /** The directory as the caller named it. */
  readonly name: string
  /** The directory as the files know it. */
  readonly path: string
  readonly files: Files
  readonly options: ResolvedOpenOptions
  readonly environment: StorageEnvironment
  readonly events: EventHub
  /** Makes what is built on the log. */
  readonly extend: ExtendLog
}

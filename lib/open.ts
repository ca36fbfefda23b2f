/** The way in: a log with everything that this package builds on one. */
import { Consumers } from './consumer/consumers.ts'
import type { ExtensibleLog, LogExtension } from './log/extension.ts'
import { openExtendedLog } from './log/open-log.ts'
import { Producers } from './producer/producers.ts'
import type { Log, OpenOptions } from './types.ts'

/**
 * Opens the log in a directory, which is made if it is not there, and recovers it when it was not
 * closed cleanly; `log.recovery` says what that found and did. `':memory:'` is a new, empty log that
 * ends with the process. One writer at a time may have a directory open; any number of processes may
 * open it with `readOnly` beside it.
 *
 * @throws {LockedError} when another writer has it, longer than `lockWaitMs`
 * @throws {NotALogError} when the directory holds something that is not a log; nothing is changed then
 * @throws {UnsupportedFormatError} when a newer version of this package wrote it
 * @throws {StorageError} when the file system fails, also when it fails for a single partition only
 */
export async function openLog(dir: string | URL | ':memory:', options?: OpenOptions): Promise<Log> {
  return await openExtendedLog(dir, options, extend)
}

function extend(log: ExtensibleLog): LogExtension {
  const producers = new Producers(log)
  const consumers = new Consumers(log)
  log.useConsumedOffsets((group, of) => consumers.consumedOffset(group, of))
  return {
    producer: options => producers.producer(options),
    consumer: options => consumers.consumer(options),
    groups: () => consumers.groups(),
    group: name => consumers.group(name),
    forgetTopic: name => consumers.offsets.forgetTopic(name),
    close: giveUp => {
      const consumed = consumers.close(giveUp)
      // What handlers send goes out before the producers end.
      if (consumed === null) return producers.close(giveUp)
      return consumed.finally(() => producers.close(giveUp))
    },
  }
}

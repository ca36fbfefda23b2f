/**
 * What recovery does where a walk over the batches of a segment ended. The *durable end* is the
 * offset below which everything is known to have been fsynced: the recovery point, the log start, or
 * a statement of the manifest, whichever is highest. What ends at or above it was torn by the crash;
 * what ends below it is damage, and damage is never cut.
 *
 * | the walk ended    | good up to the durable end | can resume behind | next segment | decision |
 * | ----------------- | -------------------------- | ----------------- | ------------ | -------- |
 * | end               | yes                        |                   | none         | finish   |
 * | end               | any                        |                   | continues    | advance  |
 * | end               | yes                        |                   | apart        | cut      |
 * | end               | no                         |                   | apart        | leave    |
 * | end               | no                         |                   | none         | restart  |
 * | torn or corrupt   | yes                        |                   | any          | cut      |
 * | torn or corrupt   | no                         | yes               | any          | skip     |
 * | torn or corrupt   | no                         | no                | any          | leave    |
 * | torn or corrupt   | no                         | no                | none         | restart  |
 *
 * Worked example: the recovery point is 100, the walk is good up to 80 and then meets a wrong CRC.
 * That is damage. When the batch at 90 leads on to the end of the file, the log goes on there
 * (skip) and [80, 90) is reported; else the segment stays as it is, [80, 100) is reported, and the
 * next append begins a segment at 100 or higher (restart).
 */
import type { ScanEnd } from './batch-scan.ts'

/** How a walk ended, reduced to what decides. */
export interface ScanFinding {
  readonly end: ScanEnd['kind']
  /** The good batches reach the durable end. */
  readonly isDurableEndReached: boolean
  /** Behind the bad bytes a batch was found from which the segment can be read on. */
  readonly canResume: boolean
  /** Whether there is a segment behind this one, and whether it begins where the good batches end. */
  readonly next: 'none' | 'continues' | 'apart'
}

/**
 * `finish`: the log ends here. `advance`: go on with the next segment. `cut`: the log ends here, and
 * the bytes and segments behind are removed. `skip`: report damage and go on behind it in this
 * segment. `leave`: report damage up to the next segment and go on there; this one is not touched.
 * `restart`: report damage up to a new end of the log, where the next append begins a segment.
 */
export type RecoveryDecision = 'finish' | 'advance' | 'cut' | 'skip' | 'leave' | 'restart'

/** The table above. */
export function decide(finding: ScanFinding): RecoveryDecision {
  if (finding.end === 'end') {
    if (finding.next === 'continues') return 'advance'
    if (finding.isDurableEndReached) return finding.next === 'none' ? 'finish' : 'cut'
    return finding.next === 'none' ? 'restart' : 'leave'
  }
  if (finding.isDurableEndReached) return 'cut'
  if (finding.canResume) return 'skip'
  return finding.next === 'none' ? 'restart' : 'leave'
}

/** When a record is tried again. */

/** How often, and after how long. */
export interface RetryPolicy {
  readonly retries: number
  readonly backoffMs: number
  readonly maxBackoffMs: number
}

/** The time to wait after an attempt (1 is the first) that failed, in ms; null: it was the last. */
export function backoffAfter(attempt: number, policy: RetryPolicy): number | null {
  if (attempt > policy.retries) return null
  // Past 2^30 it is at the limit in any case.
  const factor = 2 ** Math.min(attempt - 1, 30)
  return Math.min(policy.backoffMs * factor, policy.maxBackoffMs)
}

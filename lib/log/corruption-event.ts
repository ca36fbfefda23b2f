/** What listeners of the log hear of damage, whoever met it. */
import type { LogEvent } from '../events.ts'
import type { Damage, PartitionIdentity } from '../storage/environment.ts'

/** The event for damage in a partition; what only the engine goes by is left out. */
export function corruptionEvent(of: PartitionIdentity, damage: Damage): LogEvent {
  const { topic, partition } = of
  const { from, to, path, position, reason } = damage
  return { type: 'corruption', topic, partition, from, to, path, position, reason }
}

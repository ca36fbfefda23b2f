/** Giving up the offsets of groups that nobody is a member of any more; only where somebody asked for it. */
import type { OffsetStore } from './offset-store.ts'

/** When offsets are too old. */
export interface ExpiryRule {
  /** A commit is too old when it, and the group's last member, lie before this. */
  readonly beforeMs: number
  /** When the group's last member left; null when it has members. */
  readonly emptySinceMs: (group: string) => number | null
}

/** Takes back what is too old. Resolves when that survives power loss. */
export async function expireOffsets(
  offsets: OffsetStore,
  { beforeMs, emptySinceMs }: ExpiryRule,
): Promise<void> {
  await offsets.load()
  for (const group of offsets.groups()) {
    const isOver = (): boolean => (emptySinceMs(group) ?? Number.POSITIVE_INFINITY) < beforeMs
    if (!isOver()) continue
    // Asked again behind every wait: somebody may have joined.
    await offsets.forget(group, of => isOver() && of.value.commitTimestamp < beforeMs)
  }
}

/** Telling whether damage was met before. */
import type { Damage } from './environment.ts'

/**
 * Whether `damage` is known: it starts at the same place as one of `known`, or lies inside one. Who
 * meets damage coming from another side, or with less of the log behind it, gives it other ends.
 */
export function isKnownDamage(known: readonly Damage[], damage: Damage): boolean {
  return known.some(
    it =>
      (it.path === damage.path && it.position === damage.position && it.from === damage.from) ||
      (it.from <= damage.from && damage.to <= it.to),
  )
}

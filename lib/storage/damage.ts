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
      covers(it, damage),
  )
}

/** Whether `damage` lies inside one that a repair has put on record. */
export function isSettledDamage(known: readonly Damage[], damage: Damage): boolean {
  return known.some(it => it.isSettled === true && covers(it, damage))
}

function covers(known: Damage, damage: Damage): boolean {
  return known.from <= damage.from && damage.to <= known.to
}

/** Telling whether damage was met before, and keeping it on record in the manifest. */
import assert from 'node:assert/strict'
import { basename } from 'node:path'

import type { Damage } from './environment.ts'
import { segmentPath } from './segment.ts'
import type { DamageLine } from './segments-manifest.ts'
import { parseSegmentFile } from './topic-name.ts'

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

/** Base offset of the segment whose log lies at `path`. */
export function baseOffsetOf(path: string): number {
  const parsed = parseSegmentFile(basename(path))
  assert.ok(parsed !== null, 'damage lies in a segment')
  return parsed.baseOffset
}

/** The manifest's lines for what is damaged. */
export function damageLines(damage: readonly Damage[]): readonly DamageLine[] {
  return damage.map(({ from, to, path, position, reason, isSettled = false }) => {
    const baseOffset = baseOffsetOf(path)
    return { from, to, baseOffset, position, reason, isSettled }
  })
}

/** What the lines say of the part of the log in `[logStartOffset, logEndOffset)`. */
export function rememberedDamage(
  dir: string,
  lines: readonly DamageLine[],
  within: { readonly logStartOffset: number; readonly logEndOffset: number },
): readonly Damage[] {
  return lines.flatMap(({ baseOffset, ...line }) => {
    const from = Math.max(line.from, within.logStartOffset)
    const to = Math.min(line.to, within.logEndOffset)
    return from < to ? [{ ...line, from, to, path: segmentPath(dir, baseOffset, 'log') }] : []
  })
}

/** What of the damage lies at or above `offset`: below the log start it concerns nobody. */
export function damageFrom(damage: Damage, offset: number): readonly Damage[] {
  if (damage.from >= offset) return [damage]
  return damage.to > offset ? [{ ...damage, from: offset }] : []
}

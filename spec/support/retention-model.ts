/**
 * What a partition may lose. The model knows every append with the engine time at which it was called and answered;
 * it knows nothing of segments, and none of the rules that the log applies. It holds:
 *
 * R1 an acknowledged record is missing only if a rule allowed that, by the most generous reading of
 *    the rule for that one record: its age, what lies behind it, the bound of `deleteRecords`; under
 *    compaction a later record of its key, or its being a tombstone of more than `deleteRetentionMs`;
 * R2 what was missing once never comes back, and nothing foreign, refused or altered is read;
 * R3 an offset that was acknowledged `durable` or read never names another record; the log start never
 *    goes down, and the log end not below what was promised;
 * R4 the last record of every key is what the log says it is, unless that is a tombstone of age: then
 *    nothing older of the key is left either.
 */
import assert from 'node:assert/strict'

import type { AppendOutcome } from '../../lib/errors.ts'
import type { AppendResult } from '../../lib/types.ts'
import type { FoundRecord, LossRules, NewRecord, PossibleRules } from './retention-records.ts'

type State = 'pending' | 'written' | 'durable' | AppendOutcome

interface ModelRecord extends NewRecord {
  /** Null until it is known. */
  offset: number | null
  state: State
  /** It was missing, as it may be, and stays so. */
  isGone: boolean
  /** A compaction has said so. */
  mustBeGone: boolean
  /** Engine time before which it was not appended. */
  sinceMs: number
  /** The earliest engine time since. */
  earliestMs: number
  /** The longest time that went by on one clock since. */
  ageMs: number
  /** Engine time that the log takes for that of its append, at the latest. */
  untilMs: number
  /** The most that it can take in a file. */
  readonly mostBytes: number
}

/** An append under way. */
export interface ModelCall {
  readonly records: readonly ModelRecord[]
}

/** A batch header of its own, and what a record needs around its key, value and identity. */
const overheadBytes = 61 + 60

/** One partition. */
export class RetainedPartitionModel {
  /** Highest log start that was seen. */
  logStartOffset: number = 0
  readonly #byId = new Map<string, ModelRecord>()
  readonly #byOffset = new Map<number, ModelRecord>()
  /** By offset: what a durable acknowledgement or a reader has named. Never forgotten. */
  readonly #names = new Map<number, string>()
  /** Calls since the last opening. */
  #calls: ModelCall[] = []
  #promisedEnd = 0
  #writtenEnd = 0
  /** No log end was ever seen above, nor can there have been one. */
  #possibleEnd = 0
  #deletedBelow = 0
  #latestMs = 0

  /** Records that were promised and must still be there. */
  get keptCount(): number {
    let count = 0
    for (const record of this.#byOffset.values()) {
      if (isAcknowledged(record) && !this.#isBelowStart(record)) count++
    }
    return count
  }

  /** Records that were promised and have gone by the rules. */
  get lostCount(): number {
    let count = 0
    for (const record of this.#byOffset.values()) {
      if (isAcknowledged(record) && this.#isBelowStart(record)) count++
    }
    return count
  }

  /** An append is called. */
  begin(records: readonly NewRecord[], nowMs: number): ModelCall {
    const added = records.map<ModelRecord>(record => ({
      ...record,
      offset: null,
      state: 'pending',
      isGone: false,
      mustBeGone: false,
      sinceMs: nowMs,
      earliestMs: nowMs,
      ageMs: 0,
      untilMs: nowMs,
      mostBytes: overheadBytes + record.id.length + record.key.length + (record.value?.length ?? 0),
    }))
    for (const record of added) this.#byId.set(record.id, record)
    this.#possibleEnd += added.length
    const call = { records: added }
    this.#calls.push(call)
    return call
  }

  /** It was acknowledged at `nowMs`. */
  acknowledge(
    { records }: ModelCall,
    acks: 'durable' | 'written',
    answer: { readonly result: AppendResult; readonly nowMs: number },
  ): void {
    const { baseOffset, nextOffset } = answer.result
    assert.equal(nextOffset - baseOffset, records.length, 'a result covers its records')
    for (const [index, record] of records.entries()) {
      this.#place(record, baseOffset + index)
      if (record.state !== 'durable') record.state = acks
      if (acks === 'durable') this.#name(baseOffset + index, record.id)
      this.#stamp(record, answer.nowMs)
    }
    if (acks === 'durable') this.#promisedEnd = Math.max(this.#promisedEnd, nextOffset)
    this.#writtenEnd = Math.max(this.#writtenEnd, nextOffset)
  }

  /** It was rejected. */
  refuse({ records }: ModelCall, outcome: AppendOutcome): void {
    for (const record of records) {
      if (record.state === 'pending') record.state = outcome
    }
  }

  /** `deleteRecords` is called. */
  deleting(beforeOffset: number): void {
    this.#deletedBelow = Math.max(this.#deletedBelow, beforeOffset)
  }

  /**
   * A record was read at `nowMs`; `isStale`: by a reader that may have fetched it before something
   * took it away.
   */
  see(found: FoundRecord, at: { readonly nowMs: number; readonly isStale: boolean }): void {
    const record = this.#byId.get(found.id)
    const what = `${found.id} at ${found.offset}`
    assert.ok(record !== undefined, `R2: a foreign record was read: ${what}`)
    assert.ok(record.state !== 'not-written', `R2: a record that was refused was read: ${what}`)
    assert.ok(!record.mustBeGone || at.isStale, `compaction left ${what}`)
    assert.ok(!record.isGone || at.isStale, `R2: a record that was gone was read: ${what}`)
    assert.equal(found.key, record.key, `R2: the key of ${what}`)
    assert.equal(found.value, record.value, `R2: the value of ${what}`)
    if (record.timestamp !== null) {
      assert.equal(found.timestamp, record.timestamp, `R2: the timestamp of ${what}`)
    }
    this.#place(record, found.offset)
    if (record.state !== 'durable' && record.state !== 'written') this.#stamp(record, at.nowMs)
    record.state = 'durable'
    this.#name(found.offset, found.id)
    this.#promisedEnd = Math.max(this.#promisedEnd, found.offset + 1)
  }

  /** The log start is `offset`, at engine time `nowMs`: everything below had to go by a rule. */
  startsAt(offset: number, rules: PossibleRules, nowMs: number): void {
    this.#age(nowMs)
    assert.ok(
      offset >= this.logStartOffset,
      `R3: the log start went down from ${this.logStartOffset} to ${offset}`,
    )
    if (offset === this.logStartOffset) return
    for (let at = this.logStartOffset; at < offset; at++) {
      const record = this.#byOffset.get(at)
      if (record === undefined || at < this.#deletedBelow) continue
      const mayGo =
        rules.configs.some(config => this.#mayGo(record, config, nowMs)) ||
        this.#mayBeCompacted(record, rules)
      assert.ok(mayGo, `R1: ${describe(record)} is below the log start at ${nowMs}`)
    }
    this.logStartOffset = offset
  }

  /** Nothing was found at the offsets `[from, to)`, although a reader came by. */
  missed(
    from: number,
    to: number,
    at: { readonly rules: PossibleRules; readonly nowMs: number },
  ): void {
    this.#age(at.nowMs)
    for (let offset = Math.max(from, this.logStartOffset); offset < to; offset++) {
      const record = this.#byOffset.get(offset)
      if (record === undefined || record.isGone || !isAcknowledged(record)) continue
      const mayMiss = this.#mayBeCompacted(record, at.rules)
      assert.ok(mayMiss, `R1: ${describe(record)} is missing at ${at.nowMs}`)
      record.isGone = true
    }
  }

  /** Compares all of the partition, read while nothing else was under way. */
  holds(
    found: readonly FoundRecord[],
    at: { readonly rules: PossibleRules; readonly nowMs: number; readonly endOffset: number },
  ): void {
    for (const record of found) this.see(record, { nowMs: at.nowMs, isStale: false })
    let expected = this.logStartOffset
    for (const { offset } of found) {
      assert.ok(offset >= expected, `offsets rise from the log start on: ${offset}, ${expected}`)
      this.missed(expected, offset, at)
      expected = offset + 1
    }
    assert.ok(expected <= at.endOffset, 'nothing is read above the log end')
    this.missed(expected, at.endOffset, at)
    this.#assertNothingBehindGone(found)
  }

  /** The log end offset is this. */
  endsAt(offset: number): void {
    assert.ok(offset >= this.#promisedEnd, `R3: the log ends at ${offset}: ${this.#promisedEnd}`)
    assert.ok(offset <= this.#possibleEnd, `R3: the log ends at ${offset}, above all appends`)
  }

  /**
   * Compares a partition that was just opened: `found` is all of it. From then on that is what there
   * is; `isUnclean`: the log may have forgotten when its last segment was appended to.
   */
  reopened(
    found: readonly FoundRecord[],
    at: {
      readonly rules: PossibleRules
      readonly nowMs: number
      readonly endOffset: number
      readonly isPowerCut: boolean
      readonly isUnclean: boolean
    },
  ): void {
    const { endOffset, nowMs, isPowerCut } = at
    this.endsAt(endOffset)
    if (!isPowerCut) {
      assert.ok(endOffset >= this.#writtenEnd, `R3: the log ends at ${endOffset}: lost the written`)
    }
    for (const record of found) this.see(record, { nowMs, isStale: false })
    this.#completeCalls()
    for (const record of this.#byId.values()) {
      // What lies below the end is there, or was and has gone by the rules.
      const isLost = isPowerCut && record.state === 'written' && (record.offset ?? 0) >= endOffset
      if (isLost || !isAcknowledged(record)) this.#vanish(record)
      else if (at.isUnclean) this.#stampAnew(record, nowMs)
    }
    this.holds(found, at)
    this.#writtenEnd = endOffset
    this.#promisedEnd = Math.max(this.#promisedEnd, endOffset)
    this.#possibleEnd = endOffset
  }

  /** The latest time that the log can hold for an append of `[from, to)`; null when none is known. */
  newestAppendMs(from: number, to: number): number | null {
    return this.#greatest(from, to, record => record.untilMs)
  }

  /**
   * The largest timestamp that `[from, to)` can have, null when one is not known. Where compaction may
   * have left no record at all, the time of the append takes its place.
   */
  newestTimestamp(from: number, to: number, { wasCompacted }: PossibleRules): number | null {
    return this.#greatest(from, to, ({ timestamp, untilMs }) =>
      wasCompacted ? Math.max(timestamp ?? 0, untilMs) : (timestamp ?? untilMs),
    )
  }

  /** A compaction has cleaned everything below `endOffset`: each key is there once at most. */
  compacted(endOffset: number): void {
    const last = new Set<string>()
    for (let offset = endOffset - 1; offset >= this.logStartOffset; offset--) {
      const record = this.#byOffset.get(offset)
      if (record === undefined) continue
      if (last.has(record.key) && isAcknowledged(record)) record.mustBeGone = true
      last.add(record.key)
    }
  }

  #greatest(from: number, to: number, of: (record: ModelRecord) => number): number | null {
    let greatest: number | null = null
    for (let offset = from; offset < to; offset++) {
      const record = this.#byOffset.get(offset)
      if (record === undefined) return null
      greatest = Math.max(greatest ?? 0, of(record))
    }
    return greatest
  }

  #isBelowStart({ offset, isGone }: ModelRecord): boolean {
    return isGone || (offset ?? 0) < this.logStartOffset
  }

  /** Whether retention may have taken the record, by the most generous reading. */
  #mayGo(record: ModelRecord, config: LossRules, nowMs: number): boolean {
    const { cleanupPolicy, retentionMs, retentionBytes, retentionRecords, retentionBy } = config
    if (!cleanupPolicy.includes('delete') || config.retainUntilConsumed.length > 0) return false
    const ageFromMs =
      retentionBy === 'append' ? record.sinceMs : (record.timestamp ?? record.sinceMs)
    if (retentionMs !== -1 && nowMs - ageFromMs > retentionMs) return true
    const offset = record.offset ?? 0
    if (retentionRecords !== -1 && this.#possibleEnd - offset - 1 >= retentionRecords) return true
    return retentionBytes !== -1 && this.#mostBytesAbove(offset) >= retentionBytes
  }

  #mostBytesAbove(offset: number): number {
    let bytes = 0
    for (const record of this.#byId.values()) {
      if (record.state !== 'not-written' && (record.offset ?? Infinity) > offset) {
        bytes += record.mostBytes
      }
    }
    return bytes
  }

  /** How long a tombstone has been there by a clock that may be set back, when no process runs. */
  #age(nowMs: number): void {
    for (const record of this.#byId.values()) {
      if (record.value !== null || record.isGone) continue
      record.earliestMs = Math.min(record.earliestMs, nowMs)
      record.ageMs = Math.max(record.ageMs, nowMs - record.earliestMs)
    }
  }

  #mayBeCompacted(record: ModelRecord, rules: PossibleRules): boolean {
    if (!rules.wasCompacted) return false
    if (record.value === null && record.ageMs >= rules.leastDeleteRetentionMs) return true
    for (const other of this.#byId.values()) {
      if (other.key !== record.key || other.state === 'not-written') continue
      if ((other.offset ?? Infinity) > (record.offset ?? 0)) return true
    }
    return false
  }

  /**
   * What hides another record goes after it: else a tombstone that is gone, or a record that is no
   * longer the last one of its key, would let an older one come back.
   */
  #assertNothingBehindGone(found: readonly FoundRecord[]): void {
    const lastGone = new Map<string, number>()
    for (const { key, offset, isGone } of this.#byOffset.values()) {
      if (isGone) lastGone.set(key, Math.max(lastGone.get(key) ?? -1, offset ?? -1))
    }
    for (const { id, key, offset } of found) {
      const gone = lastGone.get(key) ?? -1
      assert.ok(offset > gone, `R4: ${id} at ${offset} is back: ${key} at ${gone} has gone`)
    }
  }

  /** A call is whole in the log or not at all: what was found of it says where the rest is. */
  #completeCalls(): void {
    for (const { records } of this.#calls) {
      const index = records.findIndex(record => record.state === 'durable')
      const offset = records[index]?.offset
      if (offset == null) continue
      for (const [other, record] of records.entries()) {
        this.#place(record, offset - index + other)
        record.state = 'durable'
      }
    }
    this.#calls = []
  }

  #vanish(record: ModelRecord): void {
    record.state = 'not-written'
    if (record.offset === null) return
    if (this.#byOffset.get(record.offset) === record) this.#byOffset.delete(record.offset)
  }

  #place(record: ModelRecord, offset: number): void {
    const before = record.offset ?? offset
    assert.equal(offset, before, `R3: ${record.id} has moved`)
    const other = this.#byOffset.get(offset) ?? record
    assert.equal(other.id, record.id, `R3: two records at ${offset}`)
    const name = this.#names.get(offset) ?? record.id
    assert.equal(name, record.id, `R3: the offset ${offset} is given again`)
    record.offset = offset
    this.#byOffset.set(offset, record)
  }

  #name(offset: number, id: string): void {
    this.#names.set(offset, id)
  }

  /** For what was written before a crash an opening is the time of the append, whatever its clock says. */
  #stampAnew(record: ModelRecord, nowMs: number): void {
    record.sinceMs = Math.min(record.sinceMs, nowMs)
    this.#stamp(record, nowMs)
  }

  /** The log never takes an append for older than the one before it. */
  #stamp(record: ModelRecord, nowMs: number): void {
    this.#latestMs = Math.max(this.#latestMs, nowMs)
    record.untilMs = Math.max(record.untilMs, this.#latestMs)
  }
}

function isAcknowledged({ state }: ModelRecord): boolean {
  return state === 'durable' || state === 'written'
}

function describe(record: ModelRecord): string {
  const { id, key, offset, state, sinceMs, timestamp } = record
  const kind = record.value === null ? 'tombstone' : 'record'
  return `${kind} ${id} of ${key} at ${offset} (${state}, since ${sinceMs}, timestamp ${timestamp})`
}

/**
 * What a log must hold, kept beside it by those who use it. The model knows what was asked for, what
 * was answered and what was seen; after every reopening the log is compared with it:
 *
 * P1 what was acknowledged `durable` is there; what was acknowledged `written` is there unless the
 *    power was cut;
 * P2 the records are those of the appends, in the order of the calls, each append whole and in one
 *    batch, offsets without a gap, nothing twice, nothing foreign, nothing that was refused;
 * P5 an offset that was acknowledged `durable` or seen by a reader names the same record for ever, and
 *    (leader epoch, offset) names one record only;
 * P7 what a reader has seen is still there.
 */
import assert from 'node:assert/strict'

import type { AppendOutcome } from '../../lib/errors.ts'
import type { Acks, AppendResult, LogRecord } from '../../lib/types.ts'

/** What is known of an append: under way, acknowledged, rejected, or not found after a reopening. */
export type AppendState = 'pending' | Acks | AppendOutcome | 'gone'

/** One call of `append`. */
export interface ModelAppend {
  readonly values: readonly string[]
  state: AppendState
  /** Where it lies, once that was said. */
  baseOffset: number | undefined
  /** Grows whenever the log end may have fallen back. */
  readonly session: number
}

/** A batch as it was read. */
export interface FoundBatch {
  readonly baseOffset: number
  readonly leaderEpoch: number
  readonly values: readonly string[]
}

/** One partition. */
export class PartitionModel {
  /** In the order of the calls. */
  #appends: ModelAppend[] = []
  readonly #places = new Map<string, { readonly append: ModelAppend; readonly index: number }>()
  /** By offset: the record that a durable acknowledgement or a reader has named. */
  readonly #names = new Map<number, string>()
  /** By `<leader epoch>@<offset>`: what is known to have reached the operating system. */
  readonly #identities = new Map<string, string>()
  #session = 0

  /** The number of records that were acknowledged as durable, or seen. */
  get promisedCount(): number {
    return this.#names.size
  }

  /** An append is called. Its values are unlike all others. */
  begin(values: readonly string[]): ModelAppend {
    const append: ModelAppend = {
      values,
      state: 'pending',
      baseOffset: undefined,
      session: this.#session,
    }
    this.#appends.push(append)
    for (const [index, value] of values.entries()) this.#places.set(value, { append, index })
    return append
  }

  /** It was acknowledged. */
  acknowledge(append: ModelAppend, acks: Acks, result: AppendResult): void {
    const { baseOffset, nextOffset, leaderEpoch } = result
    assert.equal(nextOffset - baseOffset, append.values.length, 'P2: a result covers its records')
    append.state = acks
    append.baseOffset = baseOffset
    for (const [index, value] of append.values.entries()) {
      if (acks === 'durable') this.#name(baseOffset + index, value)
      if (acks !== 'queued') this.#identify(leaderEpoch, baseOffset + index, value)
    }
  }

  /** It was rejected. */
  refuse(append: ModelAppend, outcome: AppendOutcome): void {
    append.state = outcome
  }

  /** A reader got this record. */
  see(offset: number, value: string): void {
    const place = this.#places.get(value)
    assert.ok(place !== undefined, `P2: a reader got a foreign record at ${offset}: ${value}`)
    const { state } = place.append
    assert.ok(state !== 'not-written' && state !== 'gone', `P2: a reader got ${value}, ${state}`)
    this.#name(offset, value)
  }

  /** The log end fell back: what was merely `queued` may be missing before what comes now. */
  fallBack(): void {
    this.#session++
  }

  /** Compares what is there after a reopening; from then on that is what must stay. */
  check(found: readonly FoundBatch[], options: { readonly isPowerCut: boolean }): void {
    const appends = this.#match(found)
    const kept = new Set(appends)
    for (const append of this.#appends) {
      if (kept.has(append)) continue
      const { state } = append
      const isPromised = state === 'durable' || (state === 'written' && !options.isPowerCut)
      assert.ok(!isPromised, `P1: lost ${append.values[0]}, ${state} at ${append.baseOffset}`)
      append.state = 'gone'
    }
    const byOffset = found.flatMap(batch => batch.values)
    for (const [offset, value] of this.#names) {
      assert.equal(byOffset[offset], value, `P5, P7: the record at ${offset}`)
    }
    for (const { baseOffset, leaderEpoch, values } of found) {
      for (const [index, value] of values.entries()) {
        this.#identify(leaderEpoch, baseOffset + index, value)
        // Recovery exposes only what is durable by then.
        this.#names.set(baseOffset + index, value)
      }
    }
    for (const append of appends) append.state = 'durable'
    this.#appends = appends
    this.fallBack()
  }

  /** The appends that the batches hold, in order. */
  #match(found: readonly FoundBatch[]): ModelAppend[] {
    const kept: ModelAppend[] = []
    const rest = this.#appends[Symbol.iterator]()
    let offset = 0
    for (const batch of found) {
      assert.equal(batch.baseOffset, offset, 'P2: batches follow one another without a gap')
      let at = 0
      while (at < batch.values.length) {
        const first = batch.values[at] ?? ''
        const place = this.#places.get(first)
        assert.ok(place?.index === 0, `P2: at ${offset}, not the beginning of an append: ${first}`)
        const { append } = place
        this.#skipTo(append, rest)
        const { values, state, baseOffset } = append
        assert.ok(state !== 'not-written' && state !== 'gone', `P2: found ${first}, ${state}`)
        assert.deepEqual(batch.values.slice(at, at + values.length), values, 'P2: a torn append')
        assert.equal(baseOffset ?? offset, offset, `P5: ${first} has moved`)
        append.baseOffset = offset
        kept.push(append)
        at += values.length
        offset += values.length
      }
    }
    return kept
  }

  #skipTo(append: ModelAppend, rest: Iterator<ModelAppend>): void {
    for (;;) {
      const { value: next, done } = rest.next()
      assert.ok(done !== true, `P2: ${append.values[0]} is there twice or out of order`)
      if (next === append) return
      const { state, session, values } = next
      const maySkip =
        state === 'not-written' ||
        state === 'unknown' ||
        (state === 'queued' && session < append.session)
      assert.ok(maySkip, `P2: ${values[0]} (${state}) is missing before ${append.values[0]}`)
    }
  }

  #name(offset: number, value: string): void {
    assert.equal(this.#names.get(offset) ?? value, value, `P5: two records at ${offset}`)
    this.#names.set(offset, value)
  }

  #identify(leaderEpoch: number, offset: number, value: string): void {
    const key = `${leaderEpoch}@${offset}`
    assert.equal(this.#identities.get(key) ?? value, value, `P5: two records at ${key}`)
    this.#identities.set(key, value)
  }
}

/** The text of a record whose key is that text up to its first `|`. */
export function textOf(record: LogRecord): string {
  const text = record.valueBytes?.toString('latin1') ?? ''
  const key = record.keyBytes?.toString('latin1')
  assert.equal(key, text.slice(0, text.indexOf('|')), 'P2: key and value belong together')
  return text
}

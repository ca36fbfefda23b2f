/** The serdes of a handle, applied to the records that go in. */

import { shown } from '../checks.ts'
import type { RecordInput, Serde } from '../types.ts'

/** A record whose key and value are bytes or strings, or are about to be refused by the record layer. */
export type PlainRecord = RecordInput<unknown, unknown>

/** Serdes of one handle. Holds no state of a call. */
export class RecordSerializer {
  /** Null: keys are bytes or strings already. */
  readonly key: Serde<unknown> | null
  /** Null: values are bytes or strings already. */
  readonly value: Serde<unknown> | null
  /** Nothing is changed: `record` and `records` give back what they were given. */
  readonly isIdentity: boolean

  constructor(key: Serde<unknown> | null, value: Serde<unknown> | null) {
    this.key = key
    this.value = value
    this.isIdentity = key === null && value === null
  }

  /**
   * The record with key and value serialized. A null value stays a tombstone and a null or absent
   * key stays none: serdes never see them, and neither `undefined` as a value.
   *
   * @throws {TypeError} when a serde gives something else than bytes or a string
   */
  record(record: PlainRecord): PlainRecord {
    if (this.isIdentity || typeof record !== 'object' || record === null) return record
    const { key, value } = record
    return {
      key: key === null || key === undefined ? key : serialized(this.key, key, 'key'),
      value: value === null || value === undefined ? value : serialized(this.value, value, 'value'),
      headers: record.headers,
      timestamp: record.timestamp,
      partition: record.partition,
    }
  }

  /** All records serialized, before the first of them is appended. */
  records(records: readonly PlainRecord[]): readonly PlainRecord[] {
    return this.isIdentity ? records : records.map(record => this.record(record))
  }
}

function serialized(serde: Serde<unknown> | null, value: unknown, field: string): unknown {
  if (serde === null) return value
  const bytes: unknown = serde.serialize(value)
  // Null or undefined from a serde would otherwise pass for a tombstone or a missing field.
  if (typeof bytes === 'string' || bytes instanceof Uint8Array) return bytes
  throw new TypeError(`expected the ${field} serde to give bytes or a string, got ${shown(bytes)}`)
}

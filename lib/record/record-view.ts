/** A record as readers hold it: places in a buffer, decoded when touched. */
import { DeserializationError } from '../errors.ts'
import type { LogRecord, Serde } from '../types.ts'
import { type Inspect, inspectSymbol, printable, printedBytesMax } from './record-json.ts'
import type { RecordParser } from './record-parser.ts'
import { VarintCursor } from './varint.ts'

/** Where records come from and how their keys and values are read. */
export interface RecordContext {
  readonly topic: string
  readonly partition: number
  /** null: the key is the Buffer itself. */
  readonly key: Serde<unknown> | null
  /** null: the value is the Buffer itself. */
  readonly value: Serde<unknown> | null
  /** Names the file in errors; without it they name topic and partition. */
  readonly path?: string | undefined
}

/** What the records of one batch have in common. */
export interface RecordSource {
  readonly context: RecordContext
  /** Holds the records; never changed. */
  readonly bytes: Buffer
  readonly baseOffset: number
  readonly baseTimestamp: number
  /** The timestamp of all records, where the append gave it; null where each has its own. */
  readonly appendTimestamp: number | null
}

/** What a record has decoded so far; absent until a serde or the headers are asked for. */
interface Decoded {
  key?: unknown
  value?: unknown
  headers?: readonly (readonly [string, Buffer | null])[]
}

/** Places that a parser has found, kept by the record. */
type RecordPlaces = Pick<
  RecordParser,
  'bodyPosition' | 'offsetDelta' | 'valuePosition' | 'valueSizeBytes'
>

/**
 * One record. What a serde makes of key and value is kept, so that `record.value.a` and
 * `record.value.b` parse once; a plain `value` is a new view at each touch. Helpers are functions and
 * not private methods, which would mark each object with a brand: a sixth of a lazy scan
 * (bench/micro/record.bench.ts, 2026-11-22).
 */
export class RecordView<K = Buffer, V = Buffer> implements LogRecord<K, V> {
  readonly #source: RecordSource
  readonly #bodyPosition: number
  readonly #offsetDelta: number
  readonly #valuePosition: number
  readonly #valueSizeBytes: number
  #decoded: Decoded | null = null

  constructor(source: RecordSource, places: RecordPlaces) {
    this.#source = source
    this.#bodyPosition = places.bodyPosition
    this.#offsetDelta = places.offsetDelta
    this.#valuePosition = places.valuePosition
    this.#valueSizeBytes = places.valueSizeBytes
  }

  get topic(): string {
    return this.#source.context.topic
  }

  get partition(): number {
    return this.#source.context.partition
  }

  get offset(): number {
    return this.#source.baseOffset + this.#offsetDelta
  }

  get timestamp(): number {
    const { appendTimestamp, baseTimestamp, bytes } = this.#source
    if (appendTimestamp !== null) return appendTimestamp
    return baseTimestamp + new VarintCursor(bytes, this.#bodyPosition + 1).readVarlong()
  }

  get key(): K | null {
    const serde = this.#source.context.key
    if (serde === null) return this.keyBytes as K | null
    this.#decoded ??= {}
    if (this.#decoded.key === undefined) {
      this.#decoded.key = deserialize(serde, this.keyBytes, this)
    }
    return this.#decoded.key as K | null
  }

  get value(): V | null {
    const serde = this.#source.context.value
    if (serde === null) return this.valueBytes as V | null
    this.#decoded ??= {}
    if (this.#decoded.value === undefined) {
      this.#decoded.value = deserialize(serde, this.valueBytes, this)
    }
    return this.#decoded.value as V | null
  }

  get keyBytes(): Buffer | null {
    const cursor = new VarintCursor(this.#source.bytes, this.#bodyPosition + 1)
    cursor.readVarlong()
    cursor.readVarint()
    return readBytes(cursor)
  }

  get valueBytes(): Buffer | null {
    const sizeBytes = this.#valueSizeBytes
    const position = this.#valuePosition
    return sizeBytes < 0 ? null : this.#source.bytes.subarray(position, position + sizeBytes)
  }

  get valueSizeBytes(): number {
    return this.#valueSizeBytes
  }

  get headers(): readonly (readonly [string, Buffer | null])[] {
    this.#decoded ??= {}
    this.#decoded.headers ??= readHeaders(
      new VarintCursor(this.#source.bytes, this.#valuePosition + Math.max(this.#valueSizeBytes, 0)),
    )
    return this.#decoded.headers
  }

  header(name: string): Buffer | null | undefined {
    return this.headers.findLast(header => header[0] === name)?.[1]
  }

  /** A record with a copy of its own bytes, which keeps nothing else in memory. */
  detach(): LogRecord<K, V> {
    const start = this.#bodyPosition
    const headers = this.#valuePosition + Math.max(this.#valueSizeBytes, 0)
    const end = headersEnd(new VarintCursor(this.#source.bytes, headers))
    const bytes = Buffer.allocUnsafeSlow(end - start)
    this.#source.bytes.copy(bytes, 0, start, end)
    return new RecordView<K, V>(
      { ...this.#source, bytes },
      {
        bodyPosition: 0,
        offsetDelta: this.#offsetDelta,
        valuePosition: this.#valuePosition - start,
        valueSizeBytes: this.#valueSizeBytes,
      },
    )
  }

  /** Bytes as text where they are UTF-8, else as `{ base64 }`. */
  toJSON(): unknown {
    return toPlain(this, Number.POSITIVE_INFINITY)
  }

  /** As `toJSON`, key, value and headers cut at 256 bytes. @internal */
  [inspectSymbol](_depth: number, options: object, inspect: Inspect): string {
    return `LogRecord ${inspect(toPlain(this, printedBytesMax), options)}`
  }
}

function toPlain(record: LogRecord<unknown, unknown>, maxBytes: number): object {
  return {
    topic: record.topic,
    partition: record.partition,
    offset: record.offset,
    timestamp: record.timestamp,
    key: printable(record.keyBytes, maxBytes),
    value: printable(record.valueBytes, maxBytes),
    headers: record.headers.map(([name, value]) => [name, printable(value, maxBytes)]),
  }
}

function deserialize(
  serde: Serde<unknown>,
  bytes: Buffer | null,
  at: { readonly topic: string; readonly partition: number; readonly offset: number },
): unknown {
  if (bytes === null) return null
  try {
    return serde.deserialize(bytes)
  } catch (error) {
    throw new DeserializationError(at, bytes, error)
  }
}

function readHeaders(cursor: VarintCursor): readonly (readonly [string, Buffer | null])[] {
  const headers: (readonly [string, Buffer | null])[] = []
  for (let remaining = cursor.readVarint(); remaining > 0; remaining--) {
    const nameSizeBytes = cursor.readVarint()
    const namePosition = cursor.position
    cursor.position += nameSizeBytes
    const name = cursor.bytes.toString('utf8', namePosition, cursor.position)
    headers.push([name, readBytes(cursor)])
  }
  return headers
}

/** Behind the last header, which is where a record ends: looked for by the few that need it. */
function headersEnd(cursor: VarintCursor): number {
  for (let remaining = cursor.readVarint(); remaining > 0; remaining--) {
    readBytes(cursor)
    readBytes(cursor)
  }
  return cursor.position
}

function readBytes(cursor: VarintCursor): Buffer | null {
  const sizeBytes = cursor.readVarint()
  if (sizeBytes < 0) return null
  const position = cursor.position
  cursor.position += sizeBytes
  return cursor.bytes.subarray(position, cursor.position)
}

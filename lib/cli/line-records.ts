/** Makes records of lines: which key they get, to which partition that leads, what goes where. */
import { partitionForKey } from '../record/murmur2.ts'
import type { RecordInput } from '../types.ts'
import { UsageError } from './arguments.ts'
import type { Input } from './inputs.ts'
import { LineSplitter, LineTooLongError } from './line-splitter.ts'
import type { Tally } from './tally.ts'

/** A first word longer than this is cut. */
const keyBytesMax = 32

/** Room in a batch for its own header and for that of the record, beside key and value. */
const overheadBytes = 128

/** Where the records of a run go, and who counts them. */
export interface LineRecordsOptions {
  readonly partitionCount: number
  readonly maxBatchBytes: number
  readonly tally: Tally
}

/** How the keys were chosen, in words. */
export function keyRule(inputs: readonly Input[]): string {
  return inputs.length === 1 ? 'the first word of the line' : "the file's name"
}

/**
 * The lines of all inputs as records, in order. The key is the file's name, so that a file's lines stay
 * in order within one partition; of a single input it is the first word of the line, which spreads them.
 * Every record is tallied when it is taken. Holds one block and one line.
 *
 * @throws {UsageError} when a line does not fit into a batch, from the iterator
 */
export function lineRecords(
  inputs: readonly Input[],
  options: LineRecordsOptions,
): Iterable<RecordInput> | AsyncIterable<RecordInput> {
  const files = inputs.filter(input => input.kind === 'file')
  const isSingle = inputs.length === 1
  if (files.length < inputs.length) return recordsOfAny(inputs, { ...options, isSingle })
  return recordsOfFiles(files, { ...options, isSingle })
}

interface Options extends LineRecordsOptions {
  readonly isSingle: boolean
}

type FileInput = Extract<Input, { kind: 'file' }>

/** Apart from the other, because a record that comes with a promise of its own costs half as much again. */
function* recordsOfFiles(
  inputs: readonly FileInput[],
  options: Options,
): Generator<RecordInput, void, undefined> {
  for (const input of inputs) {
    const maker = new RecordMaker(input, options)
    for (const block of input.blocks()) yield* maker.records(block)
    yield* maker.lastRecord()
  }
}

async function* recordsOfAny(
  inputs: readonly Input[],
  options: Options,
): AsyncGenerator<RecordInput, void, undefined> {
  for (const input of inputs) {
    const maker = new RecordMaker(input, options)
    for await (const block of input.blocks()) yield* maker.records(block)
    yield* maker.lastRecord()
  }
}

class RecordMaker {
  readonly #name: string
  readonly #options: Options
  readonly #lines: LineSplitter
  /** Null: every line has a key of its own. */
  readonly #key: Buffer | null

  constructor(input: Input, options: Options) {
    this.#name = input.name
    this.#options = options
    this.#key = options.isSingle ? null : Buffer.from(input.name)
    const keyBytes = this.#key?.length ?? keyBytesMax
    this.#lines = new LineSplitter(options.maxBatchBytes - keyBytes - overheadBytes)
  }

  *records(block: Buffer): Generator<RecordInput, void, undefined> {
    try {
      for (const line of this.#lines.split(block)) yield this.#record(line)
    } catch (error) {
      if (!(error instanceof LineTooLongError)) throw error
      throw new UsageError(`${this.#name}: ${error.message}`)
    }
  }

  *lastRecord(): Generator<RecordInput, void, undefined> {
    const line = this.#lines.end()
    if (line !== null) yield this.#record(line)
  }

  #record(value: Buffer): RecordInput {
    const key = this.#key ?? firstWord(value)
    // Where the key would lead anyway; said here, because the tally has to know.
    const partition = partitionForKey(key, this.#options.partitionCount)
    this.#options.tally.add(partition, key, value)
    return { key, value, partition }
  }
}

/** What lies before the first blank or tab, as a view. */
function firstWord(line: Buffer): Buffer {
  const max = Math.min(line.length, keyBytesMax)
  let end = 0
  while (end < max && line[end] !== 0x20 && line[end] !== 0x09) end++
  return line.subarray(0, end)
}

/** Which topics a consumer reads. */
import { shown } from '../checks.ts'
import { UnknownTopicOrPartitionError } from '../errors.ts'
import { RecordSerializer } from '../log/serialize.ts'
import { TopicHandle } from '../log/topic.ts'
import type { TopicState } from '../log/topic-state.ts'
import type { TopicIndex } from './topic-index.ts'

/** A topic that there is, and how its records are read. */
export interface SubscribedTopic {
  readonly state: TopicState
  readonly serializer: RecordSerializer
}

/** One thing that was selected. */
type Selected =
  | { readonly kind: 'handle'; readonly id: string; readonly serializer: RecordSerializer }
  | { readonly kind: 'name'; readonly name: string }
  | { readonly kind: 'pattern'; readonly pattern: RegExp }

const plain = new RecordSerializer(null, null)

/**
 * The topics that match a selection, as they were at the last `refresh`. A topic that is selected in
 * several ways is read with the serdes of its handle.
 */
export class Subscription {
  readonly #selected: readonly Selected[]
  readonly #index: TopicIndex
  #topics: ReadonlyMap<string, SubscribedTopic> = new Map()

  /**
   * @throws {TypeError} when something selected is no topic, name or regular expression, or nothing is
   * @throws {UnknownTopicOrPartitionError} when a name or a handle is not of a topic that there is
   */
  constructor(topics: unknown, index: TopicIndex) {
    const items: readonly unknown[] = Array.isArray(topics) ? topics : [topics]
    if (items.length === 0) throw new TypeError('expected `topics` to name at least one topic')
    this.#index = index
    this.#selected = items.map(item => selected(item, index))
    this.refresh()
  }

  /** Names of the topics, sorted. */
  get names(): readonly string[] {
    return [...this.#topics.keys()].sort()
  }

  /** The topic of that name, if it is one of them. */
  find(name: string): SubscribedTopic | undefined {
    return this.#topics.get(name)
  }

  /** Whether a topic of that name would be read if it came. */
  matches(name: string): boolean {
    const topic = this.#index.topic(name)
    return this.#selected.some(item =>
      item.kind === 'handle' ? item.id === topic?.id : isNamed(item, name),
    )
  }

  /** Takes in what topics there are by now. */
  refresh(): void {
    const found = new Map<string, SubscribedTopic>()
    for (const state of this.#index.topics()) {
      const serializer = this.#serializerOf(state)
      if (serializer !== null) found.set(state.name, { state, serializer })
    }
    this.#topics = found
  }

  #serializerOf(state: TopicState): RecordSerializer | null {
    let isSelected = false
    for (const item of this.#selected) {
      if (item.kind === 'handle') {
        if (item.id === state.id) return item.serializer
      } else if (isNamed(item, state.name)) {
        isSelected = true
      }
    }
    return isSelected ? plain : null
  }
}

function isNamed(item: Exclude<Selected, { readonly kind: 'handle' }>, name: string): boolean {
  if (item.kind === 'name') return item.name === name
  // What the log keeps for itself is read by its name only.
  return !name.startsWith('__') && item.pattern.test(name)
}

function selected(item: unknown, index: TopicIndex): Selected {
  if (typeof item === 'string') {
    if (index.topic(item) === undefined) throw new UnknownTopicOrPartitionError(item)
    return { kind: 'name', name: item }
  }
  if (item instanceof RegExp) {
    // With these flags an expression remembers where it matched last.
    return { kind: 'pattern', pattern: new RegExp(item.source, item.flags.replace(/[gy]/g, '')) }
  }
  const parts = TopicHandle.partsOf(item)
  if (parts === null) {
    throw new TypeError(
      `expected \`topics\` to be topics, names or regular expressions, got ${shown(item)}`,
    )
  }
  const { state, serializer } = parts
  if (index.topic(state.name) !== state) throw new UnknownTopicOrPartitionError(state.name)
  return { kind: 'handle', id: state.id, serializer }
}

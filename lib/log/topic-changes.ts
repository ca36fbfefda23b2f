/**
 * Creating, changing and deleting the topics of an open log. Whatever the order of the calls, a change
 * is committed by the catalog before it shows in memory, and a name is used again only when nothing
 * of its last owner is left under it.
 */
import {
  ClosedError,
  StorageError,
  TopicExistsError,
  UnknownTopicOrPartitionError,
} from '../errors.ts'
import {
  changedTopicConfig,
  checkPartitionCount,
  checkTopicConfigChanges,
  topicConfigKeys,
} from '../options.ts'
import { newTopicId } from '../storage/partition-metadata.ts'
import { checkTopicName } from '../storage/topic-name.ts'
import type { TopicConfig } from '../types.ts'
import type { LogServices } from './log-services.ts'
import { OpenTopic, type TopicOwner } from './open-topic.ts'
import { PartitionCreation } from './partition-creation.ts'
import type { Catalog, CatalogTopic, DeletingTopic } from './topic-catalog.ts'
import { removeSetAside, setTopicAside, withDeleting, withoutDeleting } from './topic-deletion.ts'
import type { ConfigChange } from './topic-state.ts'

/** A topic that is to be created. */
export interface NewTopic {
  readonly name: string
  readonly partitions: number
  readonly config: TopicConfig
}

/** The topics of a log and every way to change them. Calls may overlap. */
export class TopicChanges implements TopicOwner {
  readonly #topics = new Map<string, OpenTopic>()
  /** The names in use, by the form in which colliding ones are the same. */
  readonly #names = new Map<string, string>()
  readonly #services: LogServices
  readonly #partitions: PartitionCreation
  /** By lower-case name: what is being created or deleted under it, one after the other. */
  readonly #byName = new Map<string, Promise<unknown>>()
  /** Deleted topics whose names are not free yet, because the file system failed. */
  readonly #unfreed = new Map<string, DeletingTopic>()
  readonly #underWay = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()
  #removals: Promise<void> = Promise.resolve()
  #isOpen = true
  readonly #whenWithdrawn = new Set<() => void>()
  /** Removes what is kept of a deleted topic elsewhere. */
  #forget: (name: string) => Promise<void> = async () => {}

  constructor(services: LogServices) {
    this.#services = services
    this.#partitions = new PartitionCreation(services)
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  /** By name. */
  get topics(): ReadonlyMap<string, OpenTopic> {
    return this.#topics
  }

  /** Takes in a topic that is complete: one that was found, or that has been created. */
  add(topic: OpenTopic): void {
    this.#topics.set(topic.name, topic)
    this.#names.set(nameKey(topic.name), topic.name)
  }

  /**
   * Refuses changes from now on; resolves when those under way have settled and the files of deleted
   * topics are gone: a process that never lives long would otherwise never be rid of them.
   */
  async close(): Promise<void> {
    this.#isOpen = false
    while (this.#underWay.size > 0) await Promise.allSettled([...this.#underWay])
    await this.#removals
    await this.#services.catalog.settled()
  }

  /**
   * Calls back when a topic was taken out of use though it is not known whether it is deleted; returns the
   * function that ends it.
   */
  onWithdrawn(callback: () => void): () => void {
    this.#whenWithdrawn.add(callback)
    return () => {
      this.#whenWithdrawn.delete(callback)
    }
  }

  /** Leaves the files of deleted topics that are still there to the next open. */
  stopRemoving(): void {
    this.#stop.abort()
  }

  /** Resolves when nothing is being created or deleted under the name, or one that collides with it. */
  async whenNameIsQuiet(name: string): Promise<void> {
    const key = nameKey(name)
    for (let last = this.#byName.get(key); last !== undefined; last = this.#byName.get(key)) {
      await last.catch(() => undefined)
    }
  }

  /**
   * Creates a topic.
   *
   * @throws {InvalidTopicError} when the name cannot be a topic's
   * @throws {TopicExistsError} when there is one of that name, or of one that collides with it
   * @throws {DiskFullError} when there is no room; nothing of it is left then
   * @throws {StorageError} when the file system fails; the topic does not exist then
   */
  create(topic: NewTopic): Promise<OpenTopic> {
    return this.#track(this.#inTurn(topic.name, () => this.#create(topic)))
  }

  /** The topic of that name, created if there is none by the time it is this call's turn. */
  findOrCreate(topic: NewTopic): Promise<{ readonly topic: OpenTopic; readonly isNew: boolean }> {
    const work = async () => {
      const known = this.#topics.get(topic.name)
      if (known !== undefined) return { topic: known, isNew: false }
      return { topic: await this.#create(topic), isNew: true }
    }
    return this.#track(this.#inTurn(topic.name, work))
  }

  /**
   * Deletes a topic and everything in it. Resolves when that survives power loss and the name is free;
   * the files go in the background.
   *
   * @throws {UnknownTopicOrPartitionError} when there is no such topic
   * @throws {StorageError} when the file system fails before that
   */
  delete(name: string): Promise<void> {
    return this.#track(this.#inTurn(name, () => this.#delete(name)))
  }

  configure(topic: OpenTopic, changes: ConfigChange): Promise<void> {
    return this.#track(this.#configure(topic, changes))
  }

  addPartitions(topic: OpenTopic, total: number): Promise<void> {
    return this.#track(this.#inTurn(topic.name, () => this.#addPartitions(topic, total)))
  }

  /**
   * From now on `forget` removes, durably, what is kept of a deleted topic elsewhere, before its name is
   * free. Deletions that the last session left unfinished are finished in the same way; where that fails the
   * name stays taken, and whoever wants to create a topic of that name tries again.
   */
  async followDeletions(
    forget: (name: string) => Promise<void>,
    unfinished: Iterable<DeletingTopic>,
  ): Promise<void> {
    this.#forget = forget
    for (const topic of unfinished) {
      try {
        // Somebody has the name by now: so it was free, and what was kept elsewhere was gone.
        if (!this.#topics.has(topic.name)) await forget(topic.name)
        this.removeLater(topic)
      } catch (error) {
        this.#unfreed.set(topic.name, topic)
        const what = `finishing the deletion of topic ${topic.name}`
        this.#services.events.emit({ type: 'backgroundFailed', what, error: error as Error })
      }
    }
  }

  /** Removes in the background what is left of topics whose deletion is committed. */
  removeLater(topic: DeletingTopic): void {
    this.#removals = this.#removals.then(() => this.#remove(topic))
  }

  async #create(topic: NewTopic): Promise<OpenTopic> {
    checkTopicName(topic.name)
    const taken = this.#names.get(nameKey(topic.name))
    if (taken !== undefined) throw new TopicExistsError(topic.name, taken)
    const unfreed = this.#unfreed.get(topic.name)
    if (unfreed !== undefined) await this.#freeName(unfreed)
    const entry: CatalogTopic = { ...topic, id: newTopicId() }
    const open = new OpenTopic(entry, this.#services, this)
    const range = { from: 0, to: topic.partitions }
    await this.#partitions.create(open, range, catalog => withTopic(catalog, entry))
    this.add(open)
    const { name, partitions } = topic
    this.#services.events.emit({ type: 'topicCreated', topic: name, id: entry.id, partitions })
    return open
  }

  async #delete(name: string): Promise<void> {
    const { catalog, events } = this.#services
    const topic = this.#topics.get(name)
    if (topic === undefined) throw new UnknownTopicOrPartitionError(name)
    try {
      await this.#commitAnyway(current => withDeleting(current, name))
    } catch (error) {
      // A crash may show the topic as deleted: nothing more may be acknowledged for it.
      if (catalog.isUncertain) {
        await topic.abandon(new StorageError(this.#services.dir, 'delete topic', error))
        // Whoever reads it would wait for ever.
        for (const callback of [...this.#whenWithdrawn]) callback()
      }
      throw error
    }
    const { id } = topic
    this.#topics.delete(name)
    this.#names.delete(nameKey(name))
    await topic.abandon(new UnknownTopicOrPartitionError(name))
    const deleting = catalog.current.deleting.get(id) as DeletingTopic
    this.#unfreed.set(name, deleting)
    events.emit({ type: 'topicDeleted', topic: name, id })
    await this.#freeName(deleting)
  }

  async #freeName(topic: DeletingTopic): Promise<void> {
    const { environment, dir, checkpointer, compactor } = this.#services
    await setTopicAside(environment.files, dir, { ...topic, isNameTaken: false })
    // A line of the old topic would be taken for one of the next that has the name.
    await checkpointer.write()
    await compactor.cleaned.forget(topic.name)
    await this.#forget(topic.name)
    this.#unfreed.delete(topic.name)
    this.removeLater(topic)
  }

  async #remove(topic: DeletingTopic): Promise<void> {
    const { environment, dir, events } = this.#services
    if (this.#stop.signal.aborted) return
    try {
      const at = { topicId: topic.id, signal: this.#stop.signal }
      if (!(await removeSetAside(environment.files, dir, at))) return
      await this.#commitAnyway(current => withoutDeleting(current, topic.id))
    } catch (error) {
      // The catalog's line stays, so the next open goes on with it.
      const what = `removing the files of the deleted topic ${topic.name}`
      events.emit({ type: 'backgroundFailed', what, error: error as Error })
    }
  }

  async #configure(topic: OpenTopic, changes: ConfigChange): Promise<void> {
    if (!topic.isUsable) throw topic.refusal()
    checkTopicConfigChanges(changes)
    const keys = topicConfigKeys.filter(key => changes[key] !== undefined)
    if (keys.length === 0) return
    await this.#commitAnyway(current =>
      changedTopic(current, topic, known => ({
        ...known,
        isAdopted: false,
        config: changedTopicConfig(known.config, changes),
      })),
    )
    const committed = this.#services.catalog.current.topics.get(topic.name)
    if (committed?.id !== topic.id) throw new UnknownTopicOrPartitionError(topic.name)
    topic.reconfigure(committed)
    this.#services.events.emit({ type: 'configured', topic: topic.name, keys })
  }

  async #addPartitions(topic: OpenTopic, total: number): Promise<void> {
    if (!topic.isUsable) throw topic.refusal()
    checkPartitionCount('total', total)
    const from = topic.partitions.length
    if (total < from) {
      throw new RangeError(`expected \`total\` to be at least ${from}, got \`${total}\` (number)`)
    }
    if (total === from) return
    await this.#partitions.create(topic, { from, to: total }, current =>
      changedTopic(current, topic, known => ({ ...known, partitions: total })),
    )
    const event = { type: 'partitionsAdded', topic: topic.name, partitions: total } as const
    this.#services.events.emit(event)
  }

  /** Commits what helps when the disk is full, or must not wait until it is not. */
  #commitAnyway(change: (catalog: Catalog) => Catalog): Promise<void> {
    const { catalog, environment } = this.#services
    return environment.room.insist(() => catalog.commit(change))
  }

  /** One thing at a time under names that collide. */
  #inTurn<T>(name: string, work: () => Promise<T>): Promise<T> {
    const key = nameKey(name)
    const before = this.#byName.get(key) ?? Promise.resolve()
    const done = before
      .catch(() => undefined)
      .then(() => {
        if (!this.#isOpen) throw new ClosedError()
        return work()
      })
    this.#byName.set(key, done)
    const forget = (): void => {
      if (this.#byName.get(key) === done) this.#byName.delete(key)
    }
    done.then(forget, forget)
    return done
  }

  #track<T>(work: Promise<T>): Promise<T> {
    this.#underWay.add(work)
    const forget = (): void => {
      this.#underWay.delete(work)
    }
    work.then(forget, forget)
    return work
  }
}

// As `collidesWith` compares; here it must be a key, for a log may have thousands of topics.
function nameKey(name: string): string {
  return String(name).toLowerCase().replaceAll('.', '_')
}

function withTopic(catalog: Catalog, topic: CatalogTopic): Catalog {
  const { name, id, partitions, config, isAdopted } = topic
  const adopted = isAdopted === true ? { isAdopted } : {}
  const entry: CatalogTopic = { name, id, partitions, config, ...adopted }
  const topics = new Map(catalog.topics).set(name, entry)
  return { topics, deleting: catalog.deleting }
}

/** The topic changed, if it is still the one of that name. */
function changedTopic(
  catalog: Catalog,
  of: OpenTopic,
  change: (known: CatalogTopic) => CatalogTopic,
): Catalog {
  const known = catalog.topics.get(of.name)
  return known?.id === of.id ? withTopic(catalog, change(known)) : catalog
}

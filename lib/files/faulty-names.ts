import {
  applyChange,
  Directory,
  type Entries,
  type EntryChange,
  type FileNode,
  type Place,
  type TreeNode,
} from './file-tree.ts'

/** The changes of names that a sync of a directory makes durable when it succeeds. */
export type CoveredNames<File extends FileNode> = ReadonlySet<EntryChange<File>>

/**
 * Which names are durable. A change of names becomes so when a directory that it concerns is synced;
 * until then a power cut may undo it, by itself. What can only have happened after it is undone with
 * it: the rename of a file whose creation is undone, say.
 */
export class DurableNames<File extends FileNode> {
  readonly #durable = new WeakMap<Directory<File>, Entries<File>>()
  #unsynced: EntryChange<File>[] = []

  /** Takes all that is in a tree now as durable. */
  constructor(root: Directory<File>) {
    this.#adopt(root)
  }

  /** Notes a change that was made. */
  record(change: EntryChange<File>): void {
    this.#unsynced.push(change)
  }

  /** What a sync of the directory that starts now covers. */
  startSync(directory: Directory<File>): CoveredNames<File> {
    const covered = new Set<EntryChange<File>>()
    // A rename concerns two directories. What was done before it to either name comes with it.
    const names = new Set<string>()
    for (const change of this.#unsynced.toReversed()) {
      const places = placesOf(change)
      const isCovered = places.some(
        place => place.directory === directory || names.has(keyOf(place)),
      )
      if (!isCovered) continue
      covered.add(change)
      for (const place of places) names.add(keyOf(place))
    }
    return covered
  }

  completeSync(covered: CoveredNames<File>): void {
    for (const change of this.#unsynced) {
      if (covered.has(change)) applyChange(change, it => this.#entriesOf(it))
    }
    // Nobody will ever sync a directory that is gone for good.
    const gone = new Set<TreeNode<File>>()
    for (const change of covered) if (change.to === undefined) gone.add(change.node)
    this.#unsynced = this.#unsynced.filter(
      change => !covered.has(change) && !placesOf(change).every(place => gone.has(place.directory)),
    )
  }

  /** Replaces all names below `root` by what a power cut leaves; `survives` is asked for each change. */
  crash(root: Directory<File>, survives: () => boolean): void {
    for (const change of this.#unsynced) {
      if (survives() && this.#isPossible(change)) applyChange(change, it => this.#entriesOf(it))
    }
    this.#unsynced = []
    this.#restore(root)
  }

  /** Whether the change can follow on the durable names as they are. */
  #isPossible({ node, from, to }: EntryChange<File>): boolean {
    if (from !== undefined && this.#at(from) !== node) return false
    const occupant = to === undefined ? undefined : this.#at(to)
    if (occupant === undefined) return true
    return from !== undefined && !(occupant instanceof Directory) && !(node instanceof Directory)
  }

  #at(place: Place<File>): TreeNode<File> | undefined {
    return this.#entriesOf(place.directory).get(place.name)
  }

  #entriesOf(directory: Directory<File>): Entries<File> {
    let entries = this.#durable.get(directory)
    if (entries === undefined) {
      entries = new Map()
      this.#durable.set(directory, entries)
    }
    return entries
  }

  #restore(directory: Directory<File>): void {
    directory.entries = new Map(this.#entriesOf(directory))
    for (const node of directory.entries.values()) {
      if (node instanceof Directory) this.#restore(node)
    }
  }

  #adopt(directory: Directory<File>): void {
    this.#durable.set(directory, new Map(directory.entries))
    for (const node of directory.entries.values()) {
      if (node instanceof Directory) this.#adopt(node)
    }
  }
}

function placesOf<File extends FileNode>({ from, to }: EntryChange<File>): Place<File>[] {
  return [from, to].filter(place => place !== undefined)
}

function keyOf<File extends FileNode>(place: Place<File>): string {
  return `${place.directory.id}/${place.name}`
}

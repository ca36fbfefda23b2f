/**
 * How far groups have finished what they consume, as retention asks for it. The layer of the consumers
 * sets the source; without one there is no group, and whoever is named in `retainUntilConsumed` holds
 * everything.
 */
import type { PartitionIdentity } from '../storage/environment.ts'
import type { GroupPosition } from '../storage/retention-rules.ts'
import { partitionDirName } from '../storage/topic-name.ts'

/** Everything below is finished by the group; null: it does not exist, or has finished nothing there. */
export type ConsumedSource = (
  group: string,
  partition: PartitionIdentity,
) => Promise<number | null> | number | null

/** Where the positions come from. */
export class ConsumedOffsets {
  #source: ConsumedSource = () => null
  /** The last answers, by group and partition. */
  readonly #known = new Map<string, number | null>()

  /** From now on `source` is asked. What it rejects with keeps everything, and is reported by the sweep. */
  use(source: ConsumedSource): void {
    this.#source = source
  }

  /** How far each of the groups has finished the partition. */
  async positions(
    groups: readonly string[],
    partition: PartitionIdentity,
  ): Promise<readonly GroupPosition[]> {
    const positions: GroupPosition[] = []
    for (const group of groups) {
      const offset = await this.#source(group, partition)
      this.#known.set(keyOf(group, partition), offset)
      positions.push({ group, offset })
    }
    return positions
  }

  /** As `positions`, by what was last known: it may be less than is true by now. */
  known(groups: readonly string[], partition: PartitionIdentity): readonly GroupPosition[] {
    return groups.map(group => {
      const offset = this.#known.get(keyOf(group, partition)) ?? null
      return { group, offset }
    })
  }
}

function keyOf(group: string, { topic, partition }: PartitionIdentity): string {
  return `${partitionDirName(topic, partition)} ${group}`
}

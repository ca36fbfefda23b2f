/** The ways in which a consumer is used, as the member behind it sees them. */
import type { AssignedPartition } from './assigned-partition.ts'

/** One way of using a consumer, while it is used so. */
export interface Usage {
  /**
   * The partition is to be handed back, and gives out nothing more. Resolves when what is under way in it
   * is over, and what is finished is committed. Never rejects.
   */
  end(partition: AssignedPartition): Promise<void>
  /** It took too long, or the topic is gone. What is under way does not count any more. */
  abandon(partition: AssignedPartition): void
}

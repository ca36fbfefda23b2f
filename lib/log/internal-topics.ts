/** Topics that the log keeps for itself: their names begin with two underscores, as Kafka's do. */
import { checkBoolean, checkOptions } from '../checks.ts'
import { InvalidTopicError } from '../errors.ts'
import { isInternalTopic } from '../storage/topic-name.ts'

/** @throws {InvalidTopicError} when users may not create, change or delete a topic of that name */
export function checkIsNotInternal(name: string): void {
  if (isInternalTopic(name)) throw new InvalidTopicError(name, 'the log keeps it for itself')
}

/** The names in order, internal ones if they are asked for. */
export function listedTopics(
  names: Iterable<string>,
  options: { readonly internal?: boolean | undefined },
): readonly string[] {
  checkOptions('log.topics', options, { checks: { internal: checkBoolean } })
  const all = [...names].sort()
  return options.internal === true ? all : all.filter(name => !isInternalTopic(name))
}

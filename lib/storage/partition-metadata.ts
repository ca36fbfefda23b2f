/**
 * `partition.metadata`, the file that ties a partition's directory to one topic: exactly
 * `version: 0`, a line feed, `topic_id: ` and the id, with no line feed at the end.
 *
 * A topic id is a version 4 UUID written as 22 characters of base64url without padding. Example:
 * the UUID 00112233-4455-4677-8899-aabbccddeeff is `ABEiM0RVRneImaq7zN3u_w`.
 */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'

const metadataForm = /^version: 0\ntopic_id: ([A-Za-z0-9_-]{22})$/
const zeroId = 'AAAAAAAAAAAAAAAAAAAAAA'

/** The content of the file. */
export function formatPartitionMetadata(topicId: string): string {
  assert.ok(isTopicId(topicId), 'a topic id is 16 bytes in base64url')
  return `version: 0\ntopic_id: ${topicId}`
}

/** The topic id in the content of the file; null when it has another form or a value that is no id. */
export function parsePartitionMetadata(text: string): string | null {
  const topicId = metadataForm.exec(text)?.[1]
  return topicId !== undefined && isTopicId(topicId) ? topicId : null
}

/**
 * A new topic id. It never begins with `-`, as in Kafka, so that it can be an argument on a command
 * line. `random` gives that many random bytes; tests put in their own.
 */
export function newTopicId(random: (size: number) => Buffer = randomBytes): string {
  for (;;) {
    const uuid = random(16)
    uuid.writeUInt8((uuid.readUInt8(6) & 0x0f) | 0x40, 6)
    uuid.writeUInt8((uuid.readUInt8(8) & 0x3f) | 0x80, 8)
    const topicId = uuid.toString('base64url')
    if (!topicId.startsWith('-')) return topicId
  }
}

/** Characters of a topic id that may be damaged, out of 22. */
const maxDamagedCharacters = 4

/**
 * Whether `found` is no other topic's id but `topicId` with a few wrong characters. The file has no
 * checksum; its ids are random, and two of them agree in 18 of 22 characters once in 10^28 pairs.
 */
export function isDamagedTopicId(found: string, topicId: string): boolean {
  if (found.length !== topicId.length) return false
  const wrong = [...found].filter((character, index) => character !== topicId[index]).length
  return wrong > 0 && wrong <= maxDamagedCharacters
}

// 22 characters hold four bits more than 16 bytes; only the form with those bits zero is an id.
function isTopicId(text: string): boolean {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.length === 16 && bytes.toString('base64url') === text && text !== zeroId
}

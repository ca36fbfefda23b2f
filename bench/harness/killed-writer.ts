/**
 * A writer that dies: appends to every partition of the log whose directory it is given, and kills
 * itself once all of it is written.
 */
import { openLog } from '../../lib/index.ts'
import { makeValues } from './payload.ts'
import { topicName } from './varve.ts'

const [, , dir = ''] = process.argv
const records = makeValues(100, 100).map(value => ({ value }))
const log = await openLog(dir)
const topic = await log.topic(topicName, { create: false })
await Promise.all(topic.partitions.map(partition => partition.append(records, { acks: 'written' })))
process.kill(process.pid, 'SIGKILL')

/** The log contract on a log in memory. */
import { openLog } from '../../lib/log/open-log.ts'
import { logContract } from './log-contract.ts'

logContract('in memory', () => openLog(':memory:'))

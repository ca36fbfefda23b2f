/** The log contract on a log in memory. */
import { openLog } from '../../lib/open.ts'
import { logContract } from './log-contract.ts'

logContract('in memory', () => openLog(':memory:'))

/** The log contract on a log in a directory. */
import { join } from 'node:path'
import { after } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { tempDir } from '../support/temp-dir.ts'
import { logContract } from './log-contract.ts'

const parent = tempDir({ after })
let count = 0

logContract('on disk', () => openLog(join(parent, `log-${count++}`)))

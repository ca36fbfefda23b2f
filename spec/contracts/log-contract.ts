/**
 * What every log must do, whichever way it is reached and wherever it lies. A way in runs the whole
 * suite by calling `logContract` with a function that opens a log without topics.
 */
import { describe } from 'node:test'

import type { Log } from '../../lib/types.ts'
import { appendContract } from './append-contract.ts'
import { readContract } from './read-contract.ts'
import { topicContract } from './topic-contract.ts'

/** Opens a fresh, empty log; the suite closes it. */
export type OpenEmptyLog = () => Promise<Log>

/** Runs the contract as one suite. */
export function logContract(wayIn: string, open: OpenEmptyLog): void {
  describe(`a log ${wayIn}`, () => {
    appendContract(open)
    readContract(open)
    topicContract(open)
  })
}

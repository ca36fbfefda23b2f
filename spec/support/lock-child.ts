/** A process, or worker thread, that locks directories on demand; driven by `lock-processes.ts`. */

import { closeSync, openSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { parentPort } from 'node:worker_threads'

import { LockedError } from '../../lib/errors.ts'
import { lockDirectory } from '../../lib/files/directory-lock.ts'
import type { DirectoryLock } from '../../lib/files/files.ts'
import type { LockReply, LockRequest } from './lock-processes.ts'

let held: DirectoryLock | null = null

async function lock(dir: string, kinds: LockRequest['kinds']): Promise<LockReply> {
  try {
    held = await lockDirectory(dir, { kinds })
    return { outcome: 'held', kind: held.kind }
  } catch (error) {
    if (error instanceof LockedError) return { outcome: 'locked' }
    return { outcome: 'failed', message: String(error) }
  }
}

async function churn(request: LockRequest): Promise<LockReply> {
  const marker = join(request.dir, 'marker')
  let taken = 0
  for (let round = 0; round < request.rounds; round += 1) {
    const reply = await lock(request.dir, request.kinds)
    if (reply.outcome === 'failed') return reply
    if (reply.outcome === 'held') {
      taken += 1
      if (taken === 1) send({ outcome: 'progress' })
      try {
        closeSync(openSync(marker, 'wx'))
      } catch (error) {
        return { outcome: 'failed', message: `two holders at once: ${String(error)}` }
      }
      await new Promise(resolve => setImmediate(resolve))
      unlinkSync(marker)
      await held?.release()
    }
    await new Promise(resolve => setImmediate(resolve))
  }
  return { outcome: 'churned', taken }
}

async function answer(request: LockRequest): Promise<LockReply> {
  switch (request.action) {
    case 'lock':
      return lock(request.dir, request.kinds)
    case 'release':
      await held?.release()
      return { outcome: 'released' }
    case 'churn':
      return churn(request)
    case 'leave':
      // Ends without a release, and only when nothing keeps the process alive.
      process.disconnect()
      return { outcome: 'left' }
  }
}

function send(reply: LockReply): void {
  if (parentPort !== null) parentPort.postMessage(reply)
  else if (process.connected) process.send?.(reply)
}

function receive(request: LockRequest): void {
  void answer(request).then(send)
}

if (parentPort === null) {
  process.on('message', receive)
  process.on('SIGINT', () => send({ outcome: 'interrupted' }))
} else {
  parentPort.on('message', receive)
}

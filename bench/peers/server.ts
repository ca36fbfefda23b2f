/** Servers of other stores, started for one run and stopped after it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

import { SkippedError } from '../harness/workload.ts'

const connectAttempts = 100
const attemptMs = 50

/** A running server and the client that reached it. */
export interface Server<T> {
  readonly client: T
  stop(): Promise<void>
}

/** A port of the loopback interface that nobody uses at the moment. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

/**
 * Starts a program and connects to it as soon as it answers.
 *
 * @throws {SkippedError} when the program is not installed.
 */
export async function startServer<T>(
  command: readonly [string, ...string[]],
  connect: () => Promise<T>,
): Promise<Server<T>> {
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: 'ignore' })
  // Whatever goes wrong here, the server does not outlive the bench.
  const kill = (): void => {
    child.kill('SIGKILL')
  }
  process.once('exit', kill)
  child.once('exit', () => process.off('exit', kill))
  // Rejects when the child emits 'error' instead.
  await once(child, 'spawn').catch(() => {
    throw new SkippedError(`${program} is not installed`)
  })
  for (let attempt = 1; ; attempt++) {
    try {
      return { client: await connect(), stop: () => stop(child) }
    } catch (error) {
      if (attempt === connectAttempts || child.exitCode !== null) {
        await stop(child)
        throw error
      }
      await delay(attemptMs)
    }
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill()
  await exit
}

/**
 * The server of the README at work, in a process of its own: what it answers, that it reads no faster
 * than its clients do, what is left when they go, and how it ends. The log that it opens says what
 * its readers take.
 */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'
import { createInterface } from 'node:readline'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { type Program, startFile } from '../support/processes/programs.ts'
import { exampleArguments, writeExample } from '../support/readme-examples.ts'
import { tempDir } from '../support/temp-dir.ts'

interface Server {
  readonly program: Program
  readonly dir: string
  readonly url: string
}

async function startServer(test: TestContext, env: NodeJS.ProcessEnv = {}): Promise<Server> {
  const dir = tempDir(test)
  const library = new URL('../support/processes/watched-log.ts', import.meta.url).href
  writeExample(dir, 'A log behind HTTP', library)
  const nodeOptions = exampleArguments.slice(0, -1)
  const options = { cwd: dir, env: { ...process.env, PORT: '0', ...env }, nodeOptions }
  const program = startFile(test, ['example.mjs'], options)
  const url = `http://127.0.0.1:${await program.hear('port')}/topics`
  return { program, dir: `${dir}/data`, url }
}

/** The status, what `Retry-After` says, and the body. */
async function post(url: string, body: string): Promise<readonly [number, string | null, string]> {
  const answer = await fetch(url, { method: 'POST', body })
  return [answer.status, answer.headers.get('retry-after'), await answer.text()]
}

/** A stream of which nothing has been read. */
async function follow(url: string): Promise<IncomingMessage> {
  const [answer] = (await once(get(url), 'response')) as [IncomingMessage]
  assert.equal(answer.statusCode, 200)
  return answer
}

interface Line {
  readonly offset: number
  readonly value: string
}

/** The lines of a stream; ends when the server ends it, and with an error where it breaks. */
async function* linesOf(answer: IncomingMessage): AsyncGenerator<Line> {
  for await (const line of createInterface({ input: answer })) yield JSON.parse(line) as Line
  assert.ok(answer.complete, 'the stream was cut')
}

async function take(lines: AsyncGenerator<Line>, count: number): Promise<readonly Line[]> {
  const taken: Line[] = []
  while (taken.length < count) {
    const step = await lines.next()
    assert.ok(step.done !== true, `the stream ended after ${taken.length} lines`)
    taken.push(step.value)
  }
  return taken
}

describe('the server of the README', () => {
  it('lines are posted -> they are one batch, and are streamed from any offset on', async test => {
    const { url } = await startServer(test)
    const first = await post(`${url}/notes`, 'one\ntwo\r\n\nthree')
    assert.deepEqual(first, [201, null, '{"baseOffset":0,"nextOffset":3}\n'])
    const lines = linesOf(await follow(`${url}/notes?from=1`))
    assert.deepEqual(await take(lines, 2), [
      { offset: 1, value: 'two' },
      { offset: 2, value: 'three' },
    ])
    await post(`${url}/notes`, 'four')
    assert.deepEqual(await take(lines, 1), [{ offset: 3, value: 'four' }])
  })

  it('requests that cannot be met -> are refused for what they are', async test => {
    const { url } = await startServer(test)
    await post(`${url}/notes`, 'one')
    const statuses: Record<string, number> = {}
    for (const path of ['none', 'notes?from=2', 'notes?from=x', 'no%20topic']) {
      statuses[path] = (await fetch(`${url}/${path}`)).status
    }
    assert.deepEqual(statuses, {
      none: 404,
      'notes?from=2': 416,
      'notes?from=x': 400,
      'no%20topic': 404,
    })
    assert.equal((await post(`${url}/no%20topic`, 'one'))[0], 400)
    assert.equal((await post(`${url}/notes`, '\n'))[0], 400)
    assert.equal((await post(`${url}/notes`, 'x\n'.repeat(400_000)))[0], 413)
    assert.equal((await post(`${url}/notes`, 'x'.repeat(1_000_001)))[0], 413)
  })

  it('the disk is full -> 503 with a time to try again', async test => {
    const { url } = await startServer(test, {
      LOG_OPTIONS: JSON.stringify({ diskReserveBytes: Number.MAX_SAFE_INTEGER }),
    })
    const [status, retryAfter] = await post(`${url}/notes`, 'one')
    assert.deepEqual([status, retryAfter], [503, '1'])
  })

  it('the queue is full -> 429 with a time to try again, and nothing of it in the log', async test => {
    const { url, program } = await startServer(test, {
      HOLD_FLUSH: '1',
      LOG_OPTIONS: JSON.stringify({ maxUnflushedBytes: 1, maxBlockMs: 0 }),
    })
    const first = post(`${url}/notes`, 'one')
    await program.hear('held')
    const [status, retryAfter] = await post(`${url}/notes`, 'two')
    assert.deepEqual([status, retryAfter], [429, '1'])
    assert.equal((await first)[0], 201)
    assert.deepEqual(await post(`${url}/notes`, 'two'), [
      201,
      null,
      '{"baseOffset":1,"nextOffset":2}\n',
    ])
  })

  it('a client that does not read -> is not read for, holds up nobody, and misses nothing', async test => {
    const { url, program } = await startServer(test)
    const count = 40
    for (let i = 0; i < count; i++) await post(`${url}/large`, `${i} ${'x'.repeat(900_000)}`)

    const slow = await follow(`${url}/large`)
    assert.equal(await program.hear('reads'), '0')
    const fast = linesOf(await follow(`${url}/large`))
    assert.equal((await take(fast, count)).length, count)

    // The fast one, which began later, has all of it: the slow one had every opportunity.
    let taken = { slow: 0, fast: 0 }
    while (taken.fast < count) {
      const reader = await program.hear('took')
      taken =
        reader === '0' ? { ...taken, slow: taken.slow + 1 } : { ...taken, fast: taken.fast + 1 }
    }
    assert.ok(taken.slow < count, `took ${taken.slow} batches for a client that reads none`)

    const lines = await take(linesOf(slow), count)
    assert.deepEqual(
      lines.map(({ offset, value }) => `${offset} ${value.split(' ')[0]}`),
      Array.from({ length: count }, (_, i) => `${i} ${i}`),
    )
  })

  it('a client goes while there is nothing to read -> its reader ends', async test => {
    const { url, program } = await startServer(test)
    await post(`${url}/notes`, 'one')
    const answer = await follow(`${url}/notes?from=1`)
    assert.equal(await program.hear('reads'), '0')
    answer.destroy()
    assert.equal(await program.hear('ended'), '0')
  })

  it('a client goes in the middle of a stream -> its reader ends', async test => {
    const { url, program } = await startServer(test)
    for (let i = 0; i < 40; i++) await post(`${url}/large`, 'x'.repeat(900_000))
    const answer = await follow(`${url}/large`)
    assert.equal(await program.hear('took'), '0')
    answer.destroy()
    assert.equal(await program.hear('ended'), '0')
  })

  it('SIGTERM -> streams end whole, the process too, and the log is closed cleanly', async test => {
    const { url, program, dir } = await startServer(test)
    await post(`${url}/notes`, 'one\ntwo')
    const lines = linesOf(await follow(`${url}/notes`))
    await take(lines, 2)
    program.signal('SIGTERM')
    assert.deepEqual(await lines.next(), { value: undefined, done: true })
    await program.endedWell()
    const log = await openLog(dir)
    assert.equal(log.recovery.clean, true)
    assert.equal((await log.topic('notes')).partition(0).logEndOffset, 2)
    await log.close()
  })
})

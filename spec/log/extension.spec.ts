/**
 * What is built on a log, as the log sees it: made at opening, ended before anything else is. The
 * extensions here are made by hand, so that they end when the test says so.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { memoryFiles } from '../../lib/files/memory-files.ts'
import type { ExtensibleLog, LogExtension } from '../../lib/log/extension.ts'
import { openExtendedLog } from '../../lib/log/open-log.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'

const refuse = (): never => {
  throw new Error('no')
}

/** An extension that has nothing running. */
const idle: LogExtension = {
  producer: refuse,
  consumer: refuse,
  groups: refuse,
  group: refuse,
  forgetTopic: async () => {},
  close: () => null,
}

/** An extension that has something running, until `end` or `fail` is called. */
function busyExtension() {
  let end = (): void => {}
  let fail = (_error: Error): void => {}
  const ended = new Promise<void>((resolve, reject) => {
    end = resolve
    fail = reject
  })
  const state: { log: ExtensibleLog | null; giveUp: AbortSignal | null } = {
    log: null,
    giveUp: null,
  }
  const extend = (log: ExtensibleLog): LogExtension => {
    state.log = log
    return {
      ...idle,
      close(giveUp) {
        state.giveUp = giveUp
        return ended
      },
    }
  }
  return { extend, state, end, fail }
}

describe('the extension of a log', () => {
  for (const readOnly of [false, true]) {
    it(`readOnly ${readOnly} -> sees the topics as they are when it asks`, async () => {
      const files = memoryFiles()
      const writer = await openExtendedLog('/data', { files }, () => idle)
      const { extend, state, end } = busyExtension()
      if (!readOnly) await writer.close()
      const log = await openExtendedLog('/data', { files, readOnly }, extend)
      assert.equal(state.log?.isReadOnly, readOnly)
      assert.equal(state.log.topic('orders'), undefined)
      await (readOnly ? writer : log).topic('orders')
      assert.equal(state.log.topic('orders')?.name, 'orders')
      assert.deepEqual(
        state.log.topics().map(({ name }) => name),
        ['orders'],
      )
      end()
      await log.close()
      await writer.close()
    })
  }

  it('something runs when the log is closed -> handles work until it has ended', async () => {
    const { extend, end } = busyExtension()
    const log = await openExtendedLog(':memory:', {}, extend)
    const orders = await log.topic('orders')
    const closed = log.close()
    assert.equal(log.state, 'closed')
    await assert.rejects(log.topic('orders'), { code: 'LOG_CLOSED' })
    await orders.append({ value: 'one' })
    end()
    await closed
    await assert.rejects(orders.append({ value: 'two' }), { code: 'LOG_CLOSED' })
  })

  it('nothing runs -> handles are refused in the turn of close()', async () => {
    const log = await openExtendedLog(':memory:', {}, () => idle)
    const orders = await log.topic('orders')
    const closed = log.close()
    await assert.rejects(orders.append({ value: 'one' }), { code: 'LOG_CLOSED' })
    await closed
  })

  it('it fails to end -> close() tells, and has released the directory all the same', async () => {
    const files = memoryFiles()
    const { extend, fail } = busyExtension()
    const log = await openExtendedLog('/data', { files }, extend)
    const closed = log.close()
    fail(new Error('not delivered'))
    await assert.rejects(closed, /not delivered/)
    const again = await openExtendedLog('/data', { files }, () => idle)
    assert.equal(again.recovery.clean, true)
    await again.close()
  })

  it('timeoutMs passes -> it is told to give up, and close() rejects', async () => {
    const clock = manualClock()
    const { extend, state, end } = busyExtension()
    const log = await openExtendedLog(':memory:', { clock }, extend)
    const closed = log.close({ timeoutMs: 1000 })
    clock.advance(999)
    assert.equal(state.giveUp?.aborted, false)
    clock.advance(1)
    assert.equal(state.giveUp.aborted, true)
    await assert.rejects(closed, { code: 'STORAGE_FAILED', message: /within 1000 ms/ })
    end()
  })

  it('it cannot be made -> opening fails and leaves the directory to the next', async () => {
    const files = memoryFiles()
    await assert.rejects(openExtendedLog('/data', { files }, refuse), /^Error: no$/)
    await assert.rejects(openExtendedLog('/data', { files, readOnly: true }, refuse), /no/)
    const again = await openExtendedLog('/data', { files }, () => idle)
    await again.close()
  })
})

/** Who hears which events, in which order, and that no listener disturbs another. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { LogEvent } from '../../lib/events.ts'
import { EventHub } from '../../lib/log/event-hub.ts'

const created: LogEvent = { type: 'topicCreated', topic: 'orders', id: 'x', partitions: 1 }
const deleted: LogEvent = { type: 'topicDeleted', topic: 'orders', id: 'x' }

describe('EventHub', () => {
  it('onEvent -> hears every type, before the listeners of the type', () => {
    const heard: string[] = []
    const hub = new EventHub(event => heard.push(`all ${event.type}`))
    hub.on('topicCreated', () => heard.push('first'))
    hub.on('topicCreated', () => heard.push('second'))
    hub.emit(created)
    hub.emit(deleted)
    assert.deepEqual(heard, ['all topicCreated', 'first', 'second', 'all topicDeleted'])
  })

  it('a listener of one type -> gets its events, as they are', () => {
    const heard: LogEvent[] = []
    const hub = new EventHub(null)
    hub.on('topicDeleted', event => heard.push(event))
    hub.emit(created)
    hub.emit(deleted)
    assert.equal(heard.length, 1)
    assert.equal(heard[0], deleted)
  })

  it('ended, twice -> hears nothing any more', () => {
    const heard: LogEvent[] = []
    const hub = new EventHub(null)
    const end = hub.on('topicCreated', event => heard.push(event))
    end()
    end()
    hub.emit(created)
    assert.deepEqual(heard, [])
  })

  it('one function added twice -> hears twice, and each is ended by itself', () => {
    let calls = 0
    const listener = (): void => void calls++
    const hub = new EventHub(null)
    const end = hub.on('topicCreated', listener)
    hub.on('topicCreated', listener)
    hub.emit(created)
    assert.equal(calls, 2)
    end()
    hub.emit(created)
    assert.equal(calls, 3)
  })

  it('a listener adds or ends others while it is called -> that holds for the next event', () => {
    const heard: string[] = []
    const hub = new EventHub(null)
    hub.on('topicCreated', () => {
      heard.push('first')
      endSecond()
      if (heard.length === 1) hub.on('topicCreated', () => heard.push('third'))
    })
    const endSecond = hub.on('topicCreated', () => heard.push('second'))
    hub.emit(created)
    assert.deepEqual(heard, ['first', 'second'])
    hub.emit(created)
    assert.deepEqual(heard, ['first', 'second', 'first', 'third'])
  })

  it('listeners throw -> a warning each with the cause, nothing to whoever emits', t => {
    const warned = t.mock.method(process, 'emitWarning', () => {})
    const failure = new Error('mine')
    const heard: string[] = []
    const fail = (): never => {
      throw failure
    }
    const hub = new EventHub(fail)
    hub.on('topicCreated', fail)
    hub.on('topicCreated', () => heard.push('other'))
    hub.emit(created)
    const warnings: unknown[] = warned.mock.calls.map(call => call.arguments[0])
    assert.equal(warnings.length, 2)
    for (const warning of warnings) {
      assert.ok(warning instanceof Error)
      assert.deepEqual([warning.name, warning.cause], ['ListenerWarning', failure])
      assert.match(warning.message, /topicCreated/)
    }
    assert.deepEqual(heard, ['other'])
  })

  it('a type that no event has -> TypeError that names the nearest, or all', () => {
    const hub = new EventHub(null)
    const listen = (type: unknown) => () => hub.on(type as LogEvent['type'], () => {})
    const name = 'TypeError'
    assert.throws(listen('tailcut'), { name, message: /`tailcut`.*did you mean `tailCut`\?$/ })
    assert.throws(listen('error'), { name, message: /`error`.*there are recovered, .*flushFailed/ })
    assert.throws(listen('constructor'), { name, message: /`constructor` is no type of event/ })
    assert.throws(listen(undefined), { name, message: /`undefined` \(undefined\) is no type/ })
  })

  it('no function -> TypeError', () => {
    const listener = 'log' as unknown as () => void
    assert.throws(() => new EventHub(null).on('recovered', listener), TypeError)
  })
})

/** Back-pressure of a producer: the line in front of its bytes, on a clock moved by hand. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Room, type RoomSeeker } from '../../lib/producer/room.ts'
import { manualClock } from '../../lib/testing/manual-clock.ts'

function testRoom(maxBytes = 100, maxWaitMs = 1000) {
  const clock = manualClock()
  const room = new Room(clock, maxBytes, maxWaitMs)
  const told: string[] = []
  const seeker = (name: string, sizeBytes: number): RoomSeeker => ({
    sizeBytes,
    admit: () => void told.push(name),
    refuse: error => void told.push(`${name}: ${error.message.split(':')[0]}`),
  })
  return { clock, room, told, seeker }
}

describe('Room', () => {
  it('room for all -> admitted at once', () => {
    const { room, told, seeker } = testRoom()
    room.enter(seeker('a', 50))
    room.enter(seeker('b', 50))
    assert.deepEqual(told, ['a', 'b'])
    assert.equal(room.isFull, true)
  })

  it('no room -> in the order of arrival when room is given back, a small one never before', () => {
    const { room, told, seeker } = testRoom()
    room.enter(seeker('a', 90))
    room.enter(seeker('b', 60))
    room.enter(seeker('c', 5))
    assert.deepEqual(told, ['a'])
    room.release(90)
    assert.deepEqual(told, ['a', 'b', 'c'])
  })

  it('larger than all the room -> admitted when nothing is held', () => {
    const { room, told, seeker } = testRoom()
    room.enter(seeker('a', 10))
    room.enter(seeker('large', 500))
    assert.deepEqual(told, ['a'])
    room.release(10)
    assert.deepEqual(told, ['a', 'large'])
  })

  it('as many bytes again wait -> refused at once, and the line is as it was', () => {
    const { room, told, seeker } = testRoom()
    room.enter(seeker('a', 100))
    room.enter(seeker('b', 60))
    room.enter(seeker('c', 40))
    assert.throws(() => room.enter(seeker('d', 1)), { code: 'QUEUE_FULL', queuedBytes: 200 })
    room.release(100)
    assert.deepEqual(told, ['a', 'b', 'c'])
  })

  it('a wait of maxWaitMs -> refused; those behind it keep their own time', () => {
    const { clock, room, told, seeker } = testRoom()
    room.enter(seeker('a', 100))
    room.enter(seeker('b', 10))
    clock.advance(600)
    room.enter(seeker('c', 10))
    clock.advance(399)
    assert.deepEqual(told, ['a'])
    clock.advance(1)
    assert.match(told[1] ?? '', /^b: no room/)
    clock.advance(599)
    assert.equal(told.length, 2)
    clock.advance(1)
    assert.match(told[2] ?? '', /^c: no room/)
  })

  it('the first of the line is refused -> one behind it that fits is admitted', () => {
    const { clock, room, told, seeker } = testRoom()
    room.enter(seeker('a', 80))
    room.enter(seeker('b', 50))
    clock.advance(500)
    room.enter(seeker('c', 20))
    clock.advance(500)
    assert.match(told[1] ?? '', /^b: no room/)
    assert.equal(told[2], 'c')
  })

  it('maxWaitMs -1 -> waits for ever', () => {
    const { clock, room, told, seeker } = testRoom(100, -1)
    room.enter(seeker('a', 100))
    room.enter(seeker('b', 10))
    clock.advance(1e9)
    assert.deepEqual(told, ['a'])
  })

  it('withdrawn -> is never told, and gives way', () => {
    const { clock, room, told, seeker } = testRoom()
    room.enter(seeker('a', 80))
    const b = seeker('b', 50)
    room.enter(b)
    room.enter(seeker('c', 20))
    assert.equal(room.withdraw(b), true)
    assert.equal(room.withdraw(b), false)
    assert.deepEqual(told, ['a', 'c'])
    clock.advance(5000)
    assert.deepEqual(told, ['a', 'c'])
  })

  it('refuseAll -> everything that waits is refused, what is held stays', () => {
    const { room, told, seeker } = testRoom()
    room.enter(seeker('a', 100))
    room.enter(seeker('b', 10))
    room.refuseAll(new Error('over'))
    assert.deepEqual(told, ['a', 'b: over'])
    assert.equal(room.isFull, true)
  })

  it('whenReady -> resolves when a byte is free and nobody waits', async () => {
    const { room, seeker } = testRoom()
    await room.whenReady()
    room.enter(seeker('a', 100))
    let isReady = false
    const ready = room.whenReady().then(() => {
      isReady = true
    })
    await Promise.resolve()
    assert.equal(isReady, false)
    room.release(1)
    await ready
  })
})

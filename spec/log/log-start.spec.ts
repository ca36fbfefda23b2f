/**
 * What says where a log begins: the manifest, Kafka's checkpoint, which has no checksum, and the slot.
 * Whichever is lost, unreadable or wrong, nothing is deleted by it and no damage is seen that is not there.
 */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import type { Files } from '../../lib/files/files.ts'
import { bases, dir, fill, offsets, open, type Scene } from '../support/retention-scene.ts'

const manifest = `${dir}/orders-0/segments.manifest`
const checkpoint = `${dir}/log-start-offset-checkpoint`
const slots = `${dir}/visible.slots`
const cleanMarker = `${dir}/.kafka_cleanshutdown`

/** A closed log of which the records 4 to 9 are left. */
async function closed(): Promise<Scene> {
  const scene = await open({ retentionRecords: 6 })
  await fill(scene.topic, 10)
  await scene.log.sweep()
  assert.deepEqual(await offsets(scene.topic), [4, 5, 6, 7, 8, 9])
  await scene.log.close()
  return scene
}

async function put(files: Files, path: string, text: string): Promise<void> {
  if (files.stat(path) !== null) await files.remove(path)
  const file = files.open(path, 'create')
  file.writeSync(Buffer.from(text), 0)
  file.close()
}

const troubles: readonly (readonly [string, (files: Files) => Promise<void>])[] = [
  ['nothing', async () => {}],
  ['the checkpoint is lost', files => files.remove(checkpoint)],
  ['the checkpoint is garbage', files => put(files, checkpoint, 'garbage')],
  ['the checkpoint is empty', files => put(files, checkpoint, '')],
  ['the checkpoint has a wrong digit', files => put(files, checkpoint, '0\n1\norders 0 9\n')],
  ['the checkpoint is old', files => put(files, checkpoint, '0\n1\norders 0 2\n')],
  ['the manifest is lost', files => files.remove(manifest)],
  ['the manifest is garbage', files => put(files, manifest, 'garbage')],
  ['the slots are lost', files => files.remove(slots)],
  [
    'the manifest and the checkpoint are lost',
    async files => {
      await files.remove(manifest)
      await files.remove(checkpoint)
    },
  ],
  [
    'all three are lost',
    async files => {
      for (const path of [manifest, checkpoint, slots]) await files.remove(path)
    },
  ],
]

for (const wasClean of [true, false]) {
  describe(`the log start of a log that was ${wasClean ? 'closed' : 'killed'}`, () => {
    for (const [what, trouble] of troubles) {
      it(`${what} -> every record is there, and nothing is taken for damage`, async () => {
        const scene = await closed()
        await trouble(scene.files)
        if (!wasClean) await scene.files.remove(cleanMarker)
        const again = await open({}, {}, scene)
        assert.equal(again.topic.partition(0).logStartOffset, 4)
        assert.equal(again.topic.partition(0).state, 'ok')
        assert.deepEqual(await offsets(again.topic), [4, 5, 6, 7, 8, 9])
        assert.deepEqual(
          again.events.filter(({ type }) => type === 'corruption'),
          [],
        )
        await again.log.sweep()
        assert.deepEqual(bases(again), [4, 5, 6, 7, 8, 9])
      })
    }
  })
}

describe('a topic whose catalog is lost', () => {
  it('topicDefaults would delete it -> it is kept until it is configured, over reopens as well', async () => {
    const scene = await open()
    await fill(scene.topic, 4)
    await scene.log.close()
    await scene.files.remove(`${dir}/topics.catalog`)
    const topicDefaults = { retentionRecords: 1 }
    const options = { topicDefaults, maxTotalBytes: 1000 }
    let again = await open({ segmentBytes: undefined }, options, scene)
    assert.deepEqual(again.log.recovery.adoptedTopics, ['orders'])
    await again.log.sweep()
    await again.log.close()
    again = await open({ segmentBytes: undefined }, options, scene)
    await again.log.sweep()
    assert.deepEqual(await offsets(again.topic), [0, 1, 2, 3])
    const [kept] = (await again.topic.explainRetention()).partitions[0]?.segments ?? []
    assert.equal(kept?.keptBecause, 'no retention set')
    await again.topic.configure({ retentionMs: -1 })
    await again.log.sweep()
    assert.deepEqual((await offsets(again.topic)).at(0), 3)
  })

  it('everything of it had been deleted -> it is not taken for a creation that failed, its offsets go on', async () => {
    const scene = await open({ retentionRecords: 0 })
    await fill(scene.topic, 4)
    await scene.log.sweep()
    await scene.log.close()
    await scene.files.remove(`${dir}/topics.catalog`)
    const again = await open({ segmentBytes: undefined }, {}, scene)
    await fill(again.topic, 1)
    assert.deepEqual(await offsets(again.topic), [4])
  })
})

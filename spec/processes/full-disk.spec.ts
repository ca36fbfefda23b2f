/**
 * Disks that are really full: file systems of every small size, without inodes, behind a loop device,
 * and a limit on the size of files. Whatever is refused says so, whatever was acknowledged is there,
 * and appends go on when there is room.
 *
 * The file systems are mounted in a mount namespace of their own, which takes Linux and root. Where
 * that cannot be had the tests are skipped by name; under CI as root it must be had.
 */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { programPath, startCommand } from '../support/processes/programs.ts'
import { tempDir } from '../support/temp-dir.ts'

const isolated = ['-m', '--propagation', 'private']

function whyNotMounted(): string | false {
  if (process.platform !== 'linux') return 'mounting file systems of a test takes Linux'
  if (process.getuid?.() !== 0) return 'mounting file systems of a test takes root'
  const dir = '/mnt'
  const tried = spawnSync('unshare', [...isolated, 'mount', '-t', 'tmpfs', 'tmpfs', dir])
  if (tried.status === 0) return false
  assert(process.env['CI'] === undefined, `no mount namespace: ${tried.stderr}`)
  return 'this machine gives no mount namespaces'
}

function whyNoLoop(): string | false {
  const why = whyNotMounted()
  if (why !== false) return why
  if (spawnSync('mkfs.ext4', ['-V']).status !== 0) return 'there is no mkfs.ext4'
  if (spawnSync('losetup', ['-f']).status !== 0) return 'there are no loop devices'
  return /\bext4\b/.test(readFileSync('/proc/filesystems', 'utf8')) ? false : 'no ext4 here'
}

const skip = whyNotMounted()

/** How far the log came on a file system of each of the sizes. */
async function fill(
  test: TestContext,
  kind: 'tmpfs' | 'inodes' | 'ext4',
  sizes: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  const mountPoint = join(tempDir(test), 'mount')
  mkdirSync(mountPoint)
  const command = [
    process.execPath,
    programPath('full-disk'),
    mountPoint,
    kind,
    ...sizes.map(String),
  ]
  const program = startCommand(test, ['unshare', ...isolated, ...command])
  const lines = await program.rest()
  await program.endedWell()
  assert.equal(lines.pop(), 'done')
  const outcomes = lines.map(
    line => [Number.parseInt(line, 10), line.replace(/^\d+ /, '')] as const,
  )
  assert.equal(outcomes.length, sizes.length)
  return new Map(outcomes)
}

function steps(from: number, to: number, by: number): readonly number[] {
  return Array.from({ length: Math.floor((to - from) / by) + 1 }, (_, n) => from + n * by)
}

describe('a disk that is full', () => {
  it('tmpfs of every size from 16 to 128 KiB in steps of 512 bytes → nothing acknowledged is lost, no half batch', {
    skip,
  }, async t => {
    const sizes = steps(16 * 1024, 128 * 1024, 512)
    assert.equal(sizes.length, 225)
    const shares = [0, 1, 2].map(share => sizes.filter((_, n) => n % 3 === share))
    const outcomes = await Promise.all(shares.map(share => fill(t, 'tmpfs', share)))
    const bySize = outcomes.flatMap(it => [...it])
    for (const [size, outcome] of bySize) {
      if (size >= 72 * 1024) assert.match(outcome, /^opened-\w+ went-on$/, `${size}`)
      else assert.match(outcome, /^(no-log|no-topic|opened-\w+( went-on)?( crowded)?)$/, `${size}`)
    }
  })

  it('a file system with some room for ballast → the log opens when not a byte is free', {
    skip,
  }, async t => {
    const outcomes = await fill(t, 'tmpfs', [200_000, 500_000, 1_000_000, 4_000_000])
    assert.deepEqual([...new Set(outcomes.values())], ['opened-full went-on'])
  })

  it('no inodes are left → refused and typed, and appends go on when there are some', {
    skip,
  }, async t => {
    const outcomes = await fill(t, 'inodes', steps(4, 48, 1))
    for (const [count, outcome] of outcomes) {
      const expected =
        count < 30 ? /^(no-log|no-topic|opened-\w+ went-on)$/ : /^opened-\w+ went-on$/
      assert.match(outcome, expected, `${count} inodes`)
    }
  })

  it('ext4 behind a loop device → the log opens when not a byte is free, and appends go on', {
    skip: whyNoLoop(),
  }, async t => {
    const outcomes = await fill(t, 'ext4', [1_000_000])
    assert.deepEqual([...outcomes.values()], ['opened-full went-on'])
  })

  it('files may not grow over a limit → DiskFullError, and everything acknowledged is there', {
    skip: process.platform === 'linux' ? false : 'prlimit is there on Linux only',
  }, async t => {
    const dir = join(tempDir(t), 'log')
    const command = [process.execPath, programPath('full-file'), dir]
    const program = startCommand(t, ['prlimit', '--fsize=20000', ...command])
    const [refused, count] = [await program.hear('refused'), Number(await program.hear('count'))]
    await program.endedWell()
    assert.equal(refused, 'DISK_FULL')
    const log = await openLog(dir)
    const topic = await log.topic('orders')
    const offsets: number[] = []
    for await (const { offset } of topic.records()) offsets.push(offset)
    assert.deepEqual(offsets, steps(0, count - 1, 1))
    await topic.append({ value: 'without the limit' })
    await log.close()
  })
})

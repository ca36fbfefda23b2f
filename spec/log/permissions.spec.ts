/** What a process is told that may not write, or read, where its log lies; and that nothing is lost. */
import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { openLog } from '../../lib/open.ts'
import { type CleansUp, tempDir } from '../support/temp-dir.ts'

const skip = process.platform === 'win32' ? 'modes say nothing there' : false

/** Permissions do not hold for root, who becomes nobody for the time being. */
async function withoutPrivileges(body: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return body()
  process.seteuid?.(65534)
  try {
    await body()
  } finally {
    process.seteuid?.(0)
  }
}

/** A closed log with one record, in a directory that everybody can get to. */
async function logWithOneRecord(test: CleansUp): Promise<string> {
  const parent = tempDir(test)
  chmodSync(parent, 0o755)
  const dir = join(parent, 'log')
  const log = await openLog(dir)
  await (await log.topic('orders')).append({ value: 'first' })
  await log.close()
  return dir
}

async function valuesOf(dir: string, options: { readonly readOnly: boolean }): Promise<string[]> {
  const log = await openLog(dir, options)
  const values: string[] = []
  for await (const { value } of (await log.topic('orders')).records()) values.push(String(value))
  await log.close()
  return values
}

function fileContents(dir: string): string[] {
  const entries = readdirSync(dir, { recursive: true, withFileTypes: true })
  const files = entries.filter(entry => entry.isFile())
  return files.map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'hex')).sort()
}

describe('a process without permission', { skip }, () => {
  it('to make the directory -> StorageError that says where, and nothing is made', async t => {
    const parent = join(tempDir(t), 'parent')
    mkdirSync(parent)
    chmodSync(join(parent, '..'), 0o755)
    chmodSync(parent, 0o555)
    const path = join(parent, 'log')
    const expected = { code: 'STORAGE_FAILED', operation: 'mkdir', path, message: /EACCES/ }
    await withoutPrivileges(() => assert.rejects(openLog(path), expected))
    assert.deepEqual(readdirSync(parent), [])
  })

  it('to write into the directory -> StorageError, and nothing in it has changed', async t => {
    const dir = await logWithOneRecord(t)
    const before = fileContents(dir)
    chmodSync(dir, 0o555)
    // A directory of somebody else: not even its lock file can be opened to write.
    chmodSync(join(dir, '.lock'), 0o444)
    await withoutPrivileges(async () => {
      await assert.rejects(openLog(dir), { code: 'STORAGE_FAILED', message: /EACCES/ })
    })
    assert.deepEqual(fileContents(dir), before)
  })

  it('to write, with readOnly -> reads', async t => {
    const dir = await logWithOneRecord(t)
    chmodSync(dir, 0o555)
    await withoutPrivileges(async () => {
      assert.deepEqual(await valuesOf(dir, { readOnly: true }), ['first'])
    })
  })

  it('to read the directory -> StorageError, for writers and readers', async t => {
    const dir = await logWithOneRecord(t)
    chmodSync(dir, 0o000)
    await withoutPrivileges(async () => {
      for (const readOnly of [false, true]) {
        const expected = { code: 'STORAGE_FAILED', message: /EACCES/ }
        await assert.rejects(openLog(dir, { readOnly }), expected)
      }
    })
    chmodSync(dir, 0o755)
    assert.deepEqual(await valuesOf(dir, { readOnly: false }), ['first'])
  })

  it('to write a segment -> the append rejects, and goes through once it may', async t => {
    const dir = await logWithOneRecord(t)
    const segment = join(dir, 'orders-0', '00000000000000000000.log')
    const log = await openLog(dir)
    const topic = await log.topic('orders')
    chmodSync(segment, 0o444)
    await withoutPrivileges(async () => {
      const expected = { code: 'STORAGE_FAILED', path: segment, operation: 'open' }
      await assert.rejects(topic.append({ value: 'refused' }), expected)
      await assert.rejects(log.flush(), expected)
    })
    chmodSync(segment, 0o644)
    await topic.partition(0).recover()
    await topic.append({ value: 'second' })
    await log.close()
    assert.deepEqual(await valuesOf(dir, { readOnly: false }), ['first', 'second'])
  })
})

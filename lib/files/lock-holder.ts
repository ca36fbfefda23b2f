/**
 * Who holds a lock, and whether they are still there. A holder is a thread of a process, so that a
 * worker thread that was terminated counts as gone while its process lives on. A thread is told
 * from a later one with the same number by its start time, and both mean something only within one
 * boot of one kernel and one pid namespace.
 *
 * Without `/proc` (macOS, Windows) only the process number and the host name are known: a process
 * that exists is taken to be the holder, so a reused number keeps the lock until that process ends.
 */

import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { hostname } from 'node:os'

import { errnoCode } from './errno.ts'

/** What identifies a thread of a process; a text is empty when the fact is not known. */
export interface Holder {
  readonly pid: number
  /** The kernel's number of the thread, `pid` for the main thread; 0 when unknown. */
  readonly thread: number
  /** When the thread started, in clock ticks since the boot, decimal. */
  readonly startTicks: string
  readonly bootId: string
  /** The pid namespace, which gives `pid` its meaning, and the time namespace, which shifts `startTicks`. */
  readonly namespaces: string
  readonly machineId: string
  readonly host: string
}

/** Whether a holder lives; `unknown` when that cannot be told from here. */
export type Fate =
  | { readonly state: 'alive' | 'dead' }
  | { readonly state: 'unknown'; readonly reason: string }

/** The pid namespace that the kernel starts with; its number is fixed in the kernel's sources (PROC_PID_INIT_INO). */
const initialPidNamespace = 'pid:[4026531836]'

/** How `/proc` says that there is no such thing, or not for you. */
const hiddenCodes: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ESRCH',
  'EACCES',
  'EPERM',
  'EINVAL',
])

/** The calling thread. */
export function currentHolder(): Holder {
  const known = { pid: process.pid, host: hostname(), machineId: readMachineId() }
  const unseen = { ...known, thread: 0, startTicks: '', bootId: '', namespaces: '' }
  // A /proc of another pid namespace (the host's, mounted in a container) numbers processes
  // differently, and what it says of a pid would be about somebody else.
  if (readLink('/proc/self') !== String(process.pid)) return unseen
  const thread = Number(readLink('/proc/thread-self').split('/').at(-1))
  const startTicks = readTask(process.pid, thread)?.startTicks
  const pidNamespace = readLink('/proc/self/ns/pid')
  const bootId = readText('/proc/sys/kernel/random/boot_id')
  if (startTicks === undefined || pidNamespace === '' || bootId === '') return unseen
  const namespaces = `${pidNamespace} ${readLink('/proc/self/ns/time')}`.trim()
  return { ...known, thread, startTicks, bootId, namespaces }
}

/** Whether `holder` lives, as far as `self`, the calling thread, can prove it either way. */
export function fateOf(holder: Holder, self: Holder): Fate {
  if (holder.bootId === '' || self.bootId === '') return fateWithoutProc(holder, self)
  if (holder.bootId !== self.bootId) {
    return isSameMachine(holder, self)
      ? { state: 'dead' }
      : unknown('it ran on another machine, or before a restart of this one')
  }
  if (holder.namespaces !== self.namespaces) return unknown('it ran in another pid namespace')
  return fateInProc(holder)
}

/**
 * Whether two holders with different boot ids ran on one machine, so that the older is gone with the
 * older boot. Inside a container the machine id is often the image's and the host name is given, so
 * both can be the same on two machines at once: there it is never proved.
 */
function isSameMachine(holder: Holder, self: Holder): boolean {
  const isOutermost = (one: Holder): boolean => one.namespaces.startsWith(initialPidNamespace)
  if (!isOutermost(holder) || !isOutermost(self)) return false
  return self.machineId !== '' && holder.machineId === self.machineId && holder.host === self.host
}

function fateWithoutProc(holder: Holder, self: Holder): Fate {
  if (holder.bootId !== self.bootId || process.platform === 'linux') {
    return unknown('one of the two processes cannot read /proc')
  }
  if (holder.host !== self.host) return unknown('it ran on another machine')
  return { state: exists(holder.pid) ? 'alive' : 'dead' }
}

function fateInProc(holder: Holder): Fate {
  if (!exists(holder.pid)) return { state: 'dead' }
  const task = readTask(holder.pid, holder.thread)
  if (task !== null) {
    if (task.startTicks !== holder.startTicks) return { state: 'dead' }
    return { state: task.isEnded && isLastThread(holder) ? 'dead' : 'alive' }
  }
  if (readTask(holder.pid, holder.pid) !== null) return { state: 'dead' }
  // With hidepid a foreign process shows itself to kill(2) alone; or it ended between the two looks.
  if (!exists(holder.pid)) return { state: 'dead' }
  return unknown('its entry in /proc cannot be read')
}

/**
 * A killed process can have a main thread that has ended while another one still sits in a write;
 * only when all others are gone can it touch no file any more.
 */
function isLastThread(holder: Holder): boolean {
  const threads = unlessHidden(() => readdirSync(`/proc/${holder.pid}/task`))
  return threads === null || threads.every(name => name === String(holder.thread))
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoCode(error) !== 'ESRCH'
  }
}

/** State and start of a thread, from `/proc/PID/task/TID/stat`; null when there is none, or it is hidden. */
function readTask(
  pid: number,
  thread: number,
): { readonly startTicks: string; readonly isEnded: boolean } | null {
  const text = readText(`/proc/${pid}/task/${thread}/stat`)
  // The second field is the program's name in brackets and may hold spaces and brackets itself; from
  // the last bracket on, the state is the 1st field and the start time the 20th (3rd and 22nd of proc(5)).
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const startTicks = fields[19]
  if (startTicks === undefined) return null
  return { startTicks, isEnded: fields[0] === 'Z' || fields[0] === 'X' }
}

function readMachineId(): string {
  const text = readText('/etc/machine-id')
  return /^[0-9a-f]{32}$/.test(text) ? text : ''
}

function readText(path: string): string {
  return unlessHidden(() => readFileSync(path, 'latin1').trim()) ?? ''
}

function readLink(path: string): string {
  return unlessHidden(() => readlinkSync(path)) ?? ''
}

/**
 * What `read` gives, or null when there is no such entry or it may not be seen. Any other failure is
 * thrown: taking EMFILE, say, for an entry that is gone would declare a living holder dead.
 */
function unlessHidden<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if (hiddenCodes.has(errnoCode(error) ?? '')) return null
    throw error
  }
}

function unknown(reason: string): Fate {
  return { state: 'unknown', reason }
}

/** What the figures were taken on. */
import { readFileSync, realpathSync, statSync } from 'node:fs'
import { arch, availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'

/** The machine, its disk and its software. */
export interface Machine {
  readonly date: string
  readonly processor: string
  readonly cores: number
  readonly memoryBytes: number
  readonly system: string
  readonly disk: string
  readonly fileSystem: string
  readonly node: string
  readonly v8: string
  readonly threadPoolSize: number
  /** Load average of the last minute before the run: above 0.5 others were at work, too. */
  readonly loadBefore: number
  readonly command: string
}

/** Describes the machine, and the disk that holds `dir`. */
export function describeMachine(dir: string, args: readonly string[]): Machine {
  const { disk, fileSystem } = describeDisk(dir)
  return {
    date: new Date().toISOString().slice(0, 16).replace('T', ' '),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    system: `${platform()} ${release()} ${arch()}`,
    disk,
    fileSystem,
    node: process.version,
    v8: process.versions.v8,
    threadPoolSize: Number(process.env['UV_THREADPOOL_SIZE'] ?? 4),
    loadBefore: loadavg()[0] ?? 0,
    command: ['npm run bench --', ...args].join(' '),
  }
}

function describeDisk(dir: string): { disk: string; fileSystem: string } {
  try {
    const { dev } = statSync(dir)
    const real = realpathSync(dir)
    // Fields of a mount: id, parent, major:minor, root, mount point, options, …, -, type, device.
    const mounts = readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .map(line => line.split(' '))
      .filter(([, , , , point = '-']) => `${real}/`.startsWith(point === '/' ? '/' : `${point}/`))
    const mount = mounts.toSorted((a, b) => (b[4]?.length ?? 0) - (a[4]?.length ?? 0))[0] ?? []
    const separator = mount.indexOf('-')
    const [type = 'unknown', device = 'unknown'] = mount.slice(separator + 1)
    const major = Math.floor(dev / 256) & 0xfff
    const minor = dev & 0xff
    return {
      disk: `${device}${describeDevice(`/sys/dev/block/${major}:${minor}`)}`,
      fileSystem: `${type} (${mount[5] ?? ''})`,
    }
  } catch {
    return { disk: 'unknown', fileSystem: 'unknown' }
  }
}

/** Maker's name, and whether it turns, as far as the kernel tells them; a partition's disk lies one level up. */
function describeDevice(path: string): string {
  const facts: string[] = []
  for (const base of [path, `${path}/..`]) {
    const model = readLine(`${base}/device/model`)
    const rotational = readLine(`${base}/queue/rotational`)
    if (model !== null) facts.push(model)
    if (rotational !== null) facts.push(rotational === '1' ? 'rotational: 1' : 'rotational: 0')
    if (facts.length > 0) return ` (${facts.join(', ')})`
  }
  return ''
}

function readLine(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return null
  }
}

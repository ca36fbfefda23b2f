/** Processor profiles summed up: which functions the time goes to. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'

/** So many functions of each profile are listed. */
const listed = 25

interface ProfileNode {
  readonly id: number
  readonly callFrame: {
    readonly functionName: string
    readonly url: string
    readonly lineNumber: number
  }
}

interface Profile {
  readonly nodes: readonly ProfileNode[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** A table for every profile in `dir`, if there is any: share of the busy time, function, file. */
export function hottest(dir: string): string {
  if (!existsSync(dir)) return 'nothing of varve ran, and nothing was profiled'
  return readdirSync(dir)
    .filter(name => name.endsWith('.cpuprofile'))
    .sort()
    .map(name => `${basename(name, '.cpuprofile')}\n${tableOf(join(dir, name))}`)
    .join('\n\n')
}

function tableOf(path: string): string {
  const profile: Profile = JSON.parse(readFileSync(path, 'utf8'))
  const names = new Map(profile.nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]))
  const times = new Map<string, number>()
  let total = 0
  for (const [index, id] of profile.samples.entries()) {
    const name = names.get(id) ?? ''
    const micros = profile.timeDeltas[index] ?? 0
    if (name.startsWith('(idle)')) continue
    total += micros
    times.set(name, (times.get(name) ?? 0) + micros)
  }
  const top = [...times].sort(([, a], [, b]) => b - a).slice(0, listed)
  return [
    `busy ${(total / 1e6).toFixed(2)} s`,
    ...top.map(([name, micros]) => `${((micros / total) * 100).toFixed(1).padStart(5)} %  ${name}`),
  ].join('\n')
}

function nameOf(frame: ProfileNode['callFrame']): string {
  const place = frame.url.replace(/^.*\/(lib|bench)\//, '$1/')
  const name = frame.functionName === '' ? '(anonymous)' : frame.functionName
  return place === '' ? name : `${name} ${place}:${frame.lineNumber + 1}`
}

import { SeededRandom } from '../../lib/files/seeded-random.ts'

export { SeededRandom } from '../../lib/files/seeded-random.ts'

/**
 * The seeds that a random test runs with: 1 to `count`, or the one in the environment variable SEED
 * alone, which is how a failure is replayed.
 */
export function seeds(count: number): readonly number[] {
  const given = process.env['SEED']
  if (given === undefined) return Array.from({ length: count }, (_, index) => index + 1)
  const seed = Number(given)
  if (!Number.isSafeInteger(seed)) throw new RangeError(`SEED is no integer: ${given}`)
  return [seed]
}

/** Runs `body` for each of the seeds, and says on failure which one it was. */
export async function forEachSeed(
  count: number,
  body: (random: SeededRandom, seed: number) => void | Promise<void>,
): Promise<void> {
  for (const seed of seeds(count)) {
    try {
      await body(new SeededRandom(seed), seed)
    } catch (error) {
      throw new Error(`replay with SEED=${seed}`, { cause: error })
    }
  }
}

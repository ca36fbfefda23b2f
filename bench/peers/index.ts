/** All peers, in the order in which they run. */
import { betterSqlite3 } from './better-sqlite3.ts'
import { classicLevel } from './classic-level.ts'
import { hypercore } from './hypercore.ts'
import { lmdb } from './lmdb.ts'
import { nats } from './nats.ts'
import type { Peer } from './peer.ts'
import { redis } from './redis.ts'

/** Every store that varve is compared with. */
export const peers: readonly Peer[] = [lmdb, betterSqlite3, classicLevel, hypercore, redis, nats]

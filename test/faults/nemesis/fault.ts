/** A fault as the nemesis sees it: it begins, lasts a while, and ends or is over at once. */
import type { Random } from "../../../src/base/random.ts";
import { randomInt } from "../../../src/base/random.ts";
import type { ClientPool } from "../client_pool.ts";
import type { ChaosCluster, Role } from "../cluster.ts";

/** What faults may reach. */
export interface Field {
  cluster: ChaosCluster;
  pool: ClientPool;
  /** Copies of chunks that were spoiled and are to be repaired: where, and of what. */
  spoiled: Map<string, { chunk: string; role: Role }>;
  /** Directories that are a small disk of their own. */
  smallDisks: Set<string>;
}

export interface Fault {
  /** What is done to whom, for the log. */
  what: Record<string, unknown>;
  /** Undoes it; absent when it is over at once. */
  end?: () => void | Promise<void>;
}

/** Begins a fault with the random numbers given; undefined when there is nothing to break now. */
export type Begin = (
  field: Field,
  random: Random,
) => Fault | undefined | Promise<Fault | undefined>;

/** One of several; undefined of none. */
export function choose<T>(random: Random, from: readonly T[]): T | undefined {
  return from[randomInt(random, from.length)];
}

/** A keeper that runs, by chance. */
export function chooseKeeper({ cluster }: Field, random: Random): Role | undefined {
  return choose(random, cluster.keepers.filter(({ process }) => process !== undefined));
}

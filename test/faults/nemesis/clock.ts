/** Wall clocks that jump, and jump back. */
import type { Random } from "../../../src/base/random.ts";
import { randomInt } from "../../../src/base/random.ts";
import type { Fault, Field } from "./fault.ts";
import { choose } from "./fault.ts";

/** Beyond this a keeper takes no ticket: its jumps may be larger, it is one of several. */
const KEEPER_SECONDS_MAX = 3_600;
/** What a master has removed with a clock ahead is kept for as long as it was ahead. */
const MASTER_SECONDS_MAX = 20;

export function jumpClock({ cluster }: Field, random: Random): Fault | undefined {
  const { clocks } = cluster.options;
  const role = choose(random, cluster.roles);
  if (role === undefined || clocks === undefined) return undefined;
  const most = role === cluster.master ? MASTER_SECONDS_MAX : KEEPER_SECONDS_MAX;
  const seconds = randomInt(random, 2 * most + 1) - most;
  clocks.set(role.name, seconds);
  return { what: { role: role.name, seconds }, end: () => clocks.set(role.name, 0) };
}

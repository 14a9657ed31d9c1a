/** The heartbeats of keepers that only exist for the benchmark. */
import { GIB } from "../../src/base/bytes.ts";
import type { KeeperFacts } from "../../src/catalog/operation.ts";
import type { Heartbeat } from "../../src/wire/heartbeat.ts";

export const FREE_BYTES = 4096 * GIB;

/** A keeper's next beat: one stream on each port of which there is a grant. */
export function beatOf(
  { id, epoch, ports, slots }: KeeperFacts,
  { number, beat, grants }: { number: number; beat: number; grants: readonly number[] },
): Heartbeat {
  const beats = ports.map((port, index) => {
    const own = grants.slice(index, index + 1);
    const [bytesIn, bytesOut] = [beat * 1e9 + index, beat * 3e9];
    return { port, slots, inUse: own.length, bytesIn, bytesOut, grants: own };
  });
  const freeBytes = FREE_BYTES - number * 1e9;
  const times = { passedMs: 1.7e12, beganMs: 1.7e12 + 1, dueMs: 1.7e12 + 2 };
  const scrub = { running: true, doneBytes: 1e12, totalBytes: 4e12, bad: 0, ...times };
  return {
    ...{ keeper: id, epoch, beat, ports: beats, totalBytes: 2 * FREE_BYTES },
    ...{ freeBytes, chunks: 30_000, readOnly: false, leaving: false, aside: 0, scrub },
  };
}

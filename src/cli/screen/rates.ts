/**
 * Throughput of keepers from the counters of their ports: differences between the looks of the last
 * few seconds. Keepers tell their counters once a second, so that two looks alone may see nothing,
 * or twice as much.
 */
import type { ClusterStatus, KeeperStatus } from "../../client/client.ts";

/** Time over which rates are taken, and looks that are kept for it at most. */
const WINDOW_MS = 4_000;
const LOOKS_MAX = 64;

/** Bytes per second. */
export interface Rate {
  inBytes: number;
  outBytes: number;
}

/** Rates by the keeper's id; a keeper that was seen once only is missing. */
export type Rates = ReadonlyMap<string, Rate>;

interface Look {
  atMs: number;
  /** Bytes in and out by `ID:PORT`. */
  ports: Map<string, Rate>;
}

export class RateBook {
  #looks: Look[] = [];

  /** Adds a look; returns the rates up to it. */
  add(status: ClusterStatus, atMs: number): Rates {
    const look = { atMs, ports: countersOf(status) };
    const [previous] = this.#looks.slice(-1);
    // Older looks than the window are needed only while there is no other.
    const recent = this.#looks.filter((old) => atMs - old.atMs <= WINDOW_MS);
    const base = recent[0] ?? previous;
    this.#looks = [...(recent.length === 0 && previous ? [previous] : recent), look]
      .slice(-LOOKS_MAX);
    if (base === undefined || atMs <= base.atMs) return new Map();
    return ratesBetween(status, base, look);
  }
}

/** The rates of all keepers together. */
export function totalRate(rates: Rates): Rate {
  let inBytes = 0;
  let outBytes = 0;
  for (const rate of rates.values()) {
    inBytes += rate.inBytes;
    outBytes += rate.outBytes;
  }
  return { inBytes, outBytes };
}

function ratesBetween(status: ClusterStatus, base: Look, look: Look): Rates {
  const seconds = (look.atMs - base.atMs) / 1000;
  const rates = new Map<string, Rate>();
  for (const keeper of status.keepers) {
    let known = false;
    const rate = { inBytes: 0, outBytes: 0 };
    for (const key of keysOf(keeper)) {
      const [before, after] = [base.ports.get(key), look.ports.get(key)];
      if (before === undefined || after === undefined) continue;
      known = true;
      rate.inBytes += growth(before.inBytes, after.inBytes) / seconds;
      rate.outBytes += growth(before.outBytes, after.outBytes) / seconds;
    }
    if (known) rates.set(keeper.id, rate);
  }
  return rates;
}

/** A keeper that has started again counts from 0: what it has by now came since then. */
function growth(before: number, after: number): number {
  return after >= before ? after - before : after;
}

function countersOf(status: ClusterStatus): Map<string, Rate> {
  const counters = new Map<string, Rate>();
  for (const { id, ports } of status.keepers) {
    for (const { port, bytesIn, bytesOut } of ports) {
      counters.set(`${id}:${port}`, { inBytes: bytesIn, outBytes: bytesOut });
    }
  }
  return counters;
}

function keysOf({ id, ports }: KeeperStatus): string[] {
  return ports.map(({ port }) => `${id}:${port}`);
}

/**
 * What all parts of a simulated cluster share: one seed, from which all dice come; one time, one
 * network, one trace; and the settings, made short in this one place.
 */
import { Log } from "../../src/base/log.ts";
import type { Random } from "../../src/base/random.ts";
import { seededRandom } from "../../src/base/random.ts";
import { loadConfig } from "../../src/config/load.ts";
import type { OptionKey, Settings } from "../../src/config/options.ts";
import { roleSecret, ticketKey } from "../../src/wire/secrets.ts";
import { BusServer } from "./bus.ts";
import { Links } from "./links.ts";
import type { WallClock } from "./process.ts";
import { SimProcess } from "./process.ts";
import { Trace } from "./trace.ts";
import { Ports } from "./transport.ts";
import { VirtualTime } from "./virtual_time.ts";

/** Delays that a short history gets through. All others are the defaults. */
const SHORT: Partial<Record<OptionKey, string>> = {
  chunk_size: "1MiB",
  suspect_after: "3s",
  dead_after: "5s",
  repair_delay: "3s",
  maintenance_window: "4s",
  trash_ttl: "4s",
  grace: "6s",
  upload_lease: "5s",
  upload_ttl: "8s",
  reserve: "1MiB",
  unknown_grace: "6s",
  inventory_period: "30s",
  scrub_period: "20s",
  snapshot_period: "7s",
};

/** What a log line begins with: the time, which is not the trace's. */
const TIME_CHARS = 24;

export const CLUSTER_KEY = "5e".repeat(32);
export const KEEPER_SECRET = roleSecret(CLUSTER_KEY, "keeper");
export const TICKET_KEY = ticketKey(KEEPER_SECRET);
export const CLUSTER = "main";

/** A broken promise of tydfs, found by a checker. */
export class Violation extends Error {
  override name = "Violation";
}

export class Cluster {
  readonly seed: number;
  readonly time = new VirtualTime();
  readonly trace: Trace = new Trace(() => this.time.nowMs);
  readonly links: Links;
  readonly nats: BusServer;
  readonly ports: Ports;
  readonly settings: Settings;
  /** Somebody's wall clock has jumped. */
  clocksJumped = false;
  /** No fault has struck yet. */
  calm = true;
  /** The master's disk was lost, and its catalog comes from the keepers' archives. */
  wiped = false;
  /** What went wrong, in the order in which it was found. */
  readonly violations: string[] = [];
  readonly #walls = new Map<string, WallClock>();

  constructor(seed: number, settings: Partial<Record<OptionKey, string>>) {
    this.seed = seed;
    this.settings = loadConfig({ flags: { ...SHORT, ...settings }, env: {} }).settings;
    this.links = new Links(this.random("network"));
    this.nats = new BusServer(this.time, this.links, this.trace);
    this.ports = new Ports(this.links, this.trace);
    this.time.onError = (error) => this.violate(`an error that nothing caught: ${String(error)}`);
  }

  /** Dice of their own for one part: what one part throws changes nothing for the others. */
  random(name: string): Random {
    return seededRandom(Number(Bun.hash.xxHash3(`${this.seed} ${name}`) % 2n ** 32n));
  }

  /** Starts a process on a machine. */
  process(name: string, node: string): SimProcess {
    return new SimProcess(name, node, this.time, this.wallOf(node));
  }

  /** A machine's wall clock. */
  wallOf(node: string): WallClock {
    const wall = this.#walls.get(node) ?? { offsetMs: 0 };
    this.#walls.set(node, wall);
    return wall;
  }

  /** A log that becomes part of the trace. */
  log(process: SimProcess, part: string): Log {
    const write = (line: string) => {
      if (process.alive) this.trace.note(process.name, "log", line.slice(TIME_CHARS));
    };
    return new Log(part, { level: "info", format: "text", nowMs: () => 0, write });
  }

  /** Notes a broken promise. */
  violate(what: string): void {
    if (this.violations.length < 20) this.violations.push(what);
    this.trace.note("CHECK", "VIOLATED", what);
  }
}

/**
 * Which holder to read from: the least loaded, seldom failing one, spread over keepers and their
 * ports.
 */
import type { Random } from "../base/random.ts";
import type { Holder } from "../wire/file.ts";

/** One failure weighs as much as this many streams under way. */
const FAILURE_WEIGHT = 4;
const FAILURES_MAX = 8;

/** A holder and the port of it that was chosen. */
export interface HolderPort {
  keeper: string;
  name: string;
  host: string;
  port: number;
}

/** Remembers, for one download, what runs where and who has failed. */
export class HolderBook {
  readonly #random: Random;
  readonly #hasFailed: (keeper: string) => boolean;
  readonly #streamsByKeeper = new Map<string, number>();
  readonly #streamsByPort = new Map<string, number>();
  readonly #failuresByKeeper = new Map<string, number>();

  /** `hasFailed` tells who has failed other downloads lately. */
  constructor(random: Random, hasFailed: (keeper: string) => boolean) {
    this.#random = random;
    this.#hasFailed = hasFailed;
  }

  /** The best holder that is not in `tried`; undefined when none is left. */
  choose(holders: readonly Holder[], tried: ReadonlySet<string>): HolderPort | undefined {
    const open = holders.filter((holder) => !tried.has(holder.keeper) && holder.ports.length > 0);
    const holder = this.#least(open, ({ keeper }) => {
      const known = this.#failuresByKeeper.get(keeper) ?? 0;
      const failures = Math.max(known, this.#hasFailed(keeper) ? 1 : 0);
      return (this.#streamsByKeeper.get(keeper) ?? 0) + FAILURE_WEIGHT * failures;
    });
    if (holder === undefined) return undefined;
    const { keeper, name, host } = holder;
    const port = this.#least(
      holder.ports,
      (candidate) => this.#streamsByPort.get(`${host}:${candidate}`) ?? 0,
    );
    return port === undefined ? undefined : { keeper, name, host, port };
  }

  /** Notes that a stream begins. */
  begin({ keeper, host, port }: HolderPort): void {
    add(this.#streamsByKeeper, keeper, 1);
    add(this.#streamsByPort, `${host}:${port}`, 1);
  }

  /** Notes that a stream has ended: `good`, `bad`, or `refused` for want of a free slot. */
  end({ keeper, host, port }: HolderPort, outcome: "good" | "bad" | "refused"): void {
    add(this.#streamsByKeeper, keeper, -1);
    add(this.#streamsByPort, `${host}:${port}`, -1);
    const failures = this.#failuresByKeeper.get(keeper) ?? 0;
    if (outcome === "good") this.#failuresByKeeper.set(keeper, Math.floor(failures / 2));
    if (outcome === "bad") this.#failuresByKeeper.set(keeper, Math.min(failures + 1, FAILURES_MAX));
  }

  #least<T>(items: readonly T[], weigh: (item: T) => number): T | undefined {
    let best: { item: T; weight: number } | undefined;
    for (const item of items) {
      // A fraction below one parts equals by chance, so that many clients do not all pick the same.
      const weight = weigh(item) + this.#random.next() * 0.9;
      if (best === undefined || weight < best.weight) best = { item, weight };
    }
    return best?.item;
  }
}

function add(counts: Map<string, number>, key: string, change: number): void {
  counts.set(key, (counts.get(key) ?? 0) + change);
}

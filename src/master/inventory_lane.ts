/**
 * The order in which pages of inventories are taken: one at a time, so that clients' operations
 * come in between when a thousand keepers list their disks after a restart. A keeper that has begun
 * goes on before another begins: each is through soon after its first page. Bounded: one page a
 * keeper.
 */
import type { Clock } from "../base/clock.ts";
import { TydfsError } from "../wire/errors.ts";

interface Page {
  keeper: string;
  /** Empty for the first page of an inventory. */
  after: string;
}

interface Waiting {
  sinceMs: number;
  /** Takes the page, and settles its caller. */
  take: () => Promise<void>;
  refuse: (error: TydfsError) => void;
}

/** Pages that wait: one for each keeper that there may be. */
const WAITING_MAX = 1_024;
/** A page that waited longer is too old: its keeper has sent another, or has gone. */
const WAIT_MS = 60_000;

export class InventoryLane {
  readonly #clock: Clock;
  /** By keeper, in the order in which each came. */
  readonly #first = new Map<string, Waiting>();
  readonly #begun = new Map<string, Waiting>();
  #isRunning = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /**
   * Runs `task` when it is the page's turn. A page that still waits when its keeper sends the next
   * gives it its place. Throws `busy` for that one, when too many wait, and for one that has waited
   * too long.
   */
  run<T>(page: Page, task: () => Promise<T>): Promise<T> {
    const { keeper } = page;
    const [lane, other] = page.after === ""
      ? [this.#first, this.#begun]
      : [this.#begun, this.#first];
    const older = lane.get(keeper) ?? other.get(keeper);
    older?.refuse(refusal(keeper, "it has sent another page since"));
    other.delete(keeper);
    if (!lane.has(keeper) && lane.size + other.size >= WAITING_MAX) {
      return Promise.reject(refusal(keeper, "too many keepers send theirs"));
    }
    return new Promise<T>((resolve, reject) => {
      const take = () => task().then(resolve, reject);
      // A key that is there keeps its place.
      lane.set(keeper, { sinceMs: this.#clock.monotonicMs(), take, refuse: reject });
      if (!this.#isRunning) void this.#takeAll();
    });
  }

  /** Never rejects: each page's caller hears of its failure. */
  async #takeAll(): Promise<void> {
    this.#isRunning = true;
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const [keeper, { sinceMs, take, refuse }] = next;
      if (this.#clock.monotonicMs() - sinceMs > WAIT_MS) {
        refuse(refusal(keeper, "it has waited too long"));
      } else await take();
    }
    this.#isRunning = false;
  }

  #next(): [string, Waiting] | undefined {
    for (const lane of [this.#begun, this.#first]) {
      const [next] = lane;
      if (next === undefined) continue;
      lane.delete(next[0]);
      return next;
    }
    return undefined;
  }
}

function refusal(keeper: string, state: string): TydfsError {
  return new TydfsError("busy", `Cannot take a page of keeper "${keeper}": ${state}; try again`);
}

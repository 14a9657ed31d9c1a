/**
 * Group commit, as databases do it with their logs: what comes while others are under way waits for
 * them, and then goes together. A few never wait; the more there are, the larger the groups, and
 * the less each one costs.
 */

export interface GathererOptions<Item, Outcome> {
  /**
   * Items that are done alone at once, before others have to wait. A group is the only one: two
   * would each be half as large.
   */
  aloneMax: number;
  /** Items of one group. */
  itemsMax: number;
  /** Whether `item` may go with a group that begins with `first`. */
  mayJoin: (first: Item, item: Item) => boolean;
  /**
   * Does one item. It may call `release` once it knows that it will take long, so that others need
   * not wait for it.
   */
  alone: (item: Item, release: () => void) => Promise<Outcome>;
  /**
   * Does several: for each its outcome, the error with which it failed, or undefined where it is to
   * be done alone.
   */
  together: (items: readonly Item[]) => Promise<readonly (Outcome | Error | undefined)[]>;
}

interface Waiter<Item, Outcome> {
  item: Item;
  signal: AbortSignal;
  resolve: (outcome: Outcome) => void;
  reject: (reason: unknown) => void;
  /** Does not listen to the signal any more. */
  leave: () => void;
}

/** Gathers items; those that wait are as many as callers wait for at most. */
export class Gatherer<Item, Outcome> {
  readonly #options: GathererOptions<Item, Outcome>;
  #waiting: Waiter<Item, Outcome>[] = [];
  #running = 0;
  /** A group is under way. */
  #isGrouped = false;

  constructor(options: GathererOptions<Item, Outcome>) {
    this.#options = options;
  }

  /**
   * Does an item, with others or alone. Throws what doing it throws. When the signal aborts, one
   * that waits, or is done with others, has its reason at once: work on a group goes on then, and
   * is to ask for itself who is still there. One that is done alone sees to its signal itself.
   */
  run(item: Item, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const onAbort = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        reject(signal.reason);
      };
      const leave = () => signal.removeEventListener("abort", onAbort);
      const waiter: Waiter<Item, Outcome> = { item, signal, resolve, reject, leave };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(waiter);
      this.#begin();
    });
  }

  #begin(): void {
    while (!this.#isGrouped && this.#running < this.#options.aloneMax && this.#waiting.length > 0) {
      const group = this.#takeGroup();
      const isGroup = group.length > 1;
      this.#running++;
      this.#isGrouped = isGroup;
      let isHeld = true;
      const release = () => {
        if (!isHeld) return;
        isHeld = false;
        this.#running--;
        if (isGroup) this.#isGrouped = false;
        this.#begin();
      };
      // Those of a group mostly come back with the next item, and are to be one again.
      const finish = isGroup ? () => void setImmediate(release) : release;
      void this.#runGroup(group, release).finally(finish);
    }
  }

  /** Takes the first in line, and those behind it that may join. */
  #takeGroup(): Waiter<Item, Outcome>[] {
    const { itemsMax, mayJoin } = this.#options;
    const group: Waiter<Item, Outcome>[] = [];
    const rest: Waiter<Item, Outcome>[] = [];
    for (const waiter of this.#waiting) {
      const [first = waiter] = group;
      const joins = group.length < itemsMax &&
        (group.length === 0 || mayJoin(first.item, waiter.item));
      (joins ? group : rest).push(waiter);
    }
    this.#waiting = rest;
    return group;
  }

  /** Settles each of a group; never rejects. */
  async #runGroup(group: Waiter<Item, Outcome>[], release: () => void): Promise<void> {
    const [first] = group;
    if (first === undefined) return;
    if (group.length === 1) return await this.#runAlone(first, release);
    try {
      const outcomes = await this.#options.together(group.map(({ item }) => item));
      for (const [at, waiter] of group.entries()) {
        const outcome = outcomes[at];
        waiter.leave();
        if (outcome instanceof Error) waiter.reject(outcome);
        else if (outcome !== undefined) waiter.resolve(outcome);
        // Whoever waits for the next group need not wait for these.
        else if (!waiter.signal.aborted) void this.#runAlone(waiter, () => {});
      }
    } catch (error) {
      for (const { leave, reject } of group) {
        leave();
        reject(error);
      }
    }
  }

  async #runAlone(waiter: Waiter<Item, Outcome>, release: () => void): Promise<void> {
    waiter.leave();
    try {
      waiter.resolve(await this.#options.alone(waiter.item, release));
    } catch (error) {
      waiter.reject(error);
    }
  }
}

/**
 * The newest epoch of the master that any thread of this keeper has heard of: what an older master
 * commands is refused.
 */
import { TydfsError } from "../wire/errors.ts";

export class MasterEpoch {
  readonly buffer: SharedArrayBuffer;
  readonly #words: BigInt64Array;

  /** `buffer` joins the number of another thread. */
  constructor(buffer?: SharedArrayBuffer) {
    this.buffer = buffer ?? new SharedArrayBuffer(8);
    this.#words = new BigInt64Array(this.buffer);
  }

  /** Takes note of an epoch. Throws `stale-epoch` when a newer one is known. */
  check(epoch: number): void {
    const heard = BigInt(epoch);
    for (;;) {
      const newest = Atomics.load(this.#words, 0);
      if (heard === newest) return;
      if (heard < newest) {
        const message = `Master epoch ${epoch} is over: this keeper has heard of ${newest}`;
        throw new TydfsError("stale-epoch", message);
      }
      if (Atomics.compareExchange(this.#words, 0, newest, heard) === newest) return;
    }
  }
}

/**
 * The newest epoch of the master that any thread of this keeper has heard of, now or before it was
 * started: what an older master commands is refused. Kept in the data directory, so that a master
 * on an older catalog finds no keeper that obeys it, however it was started.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Disk } from "../chunks/disk.ts";
import { TydfsError } from "../wire/errors.ts";
import { readNumber, replaceText } from "./identity.ts";

export const MASTER_EPOCH_FILE = "master-epoch";

export interface MasterEpochOptions {
  disk: Disk;
  clock: Clock;
  log: Log;
}

/** The newest epoch, the newest that is on the disk, and the lock of whoever writes it there. */
const NEWEST = 0;
const KEPT = 1;
const LOCK = 2;
const POLL_MS = 2;

export class MasterEpoch {
  readonly buffer: SharedArrayBuffer;
  readonly #options: MasterEpochOptions;
  readonly #words: BigInt64Array;

  /** `buffer` joins the number of another thread. */
  constructor(options: MasterEpochOptions, buffer?: SharedArrayBuffer) {
    this.#options = options;
    this.buffer = buffer ?? new SharedArrayBuffer(3 * 8);
    this.#words = new BigInt64Array(this.buffer);
  }

  /** Begins with what the data directory knows. Throws `local` when that is malformed. */
  static async open(options: MasterEpochOptions, directory: string): Promise<MasterEpoch> {
    const epoch = new MasterEpoch(options);
    const known = BigInt(await readNumber(options.disk, directory, MASTER_EPOCH_FILE));
    Atomics.store(epoch.#words, NEWEST, known);
    Atomics.store(epoch.#words, KEPT, known);
    return epoch;
  }

  /** The newest epoch that was heard of; 0 for none. */
  get newest(): number {
    return Number(Atomics.load(this.#words, NEWEST));
  }

  /**
   * Takes note of an epoch, durably before it resolves. Rejects with `stale-epoch` when a newer one
   * is known.
   */
  async check(epoch: number): Promise<void> {
    const heard = BigInt(epoch);
    for (;;) {
      const newest = Atomics.load(this.#words, NEWEST);
      if (heard < newest) {
        const message = `Master epoch ${epoch} is over: this keeper has heard of ${newest}`;
        throw new TydfsError("stale-epoch", message);
      }
      if (heard === newest) break;
      if (Atomics.compareExchange(this.#words, NEWEST, newest, heard) === newest) break;
    }
    if (Atomics.load(this.#words, KEPT) < heard) await this.#keep();
  }

  async #keep(): Promise<void> {
    const { disk, clock, log } = this.#options;
    while (Atomics.compareExchange(this.#words, LOCK, 0n, 1n) !== 0n) await clock.sleep(POLL_MS);
    try {
      const newest = Atomics.load(this.#words, NEWEST);
      if (newest === Atomics.load(this.#words, KEPT)) return;
      await replaceText(disk, MASTER_EPOCH_FILE, `${newest}\n`);
      Atomics.store(this.#words, KEPT, newest);
    } catch (error) {
      // It is known in memory, and each later command tries again. A keeper whose disk is full must
      // obey all the same: it gets room by deleting.
      log.error("Cannot keep the master's epoch in the data directory", { error });
    } finally {
      Atomics.store(this.#words, LOCK, 0n);
    }
  }
}

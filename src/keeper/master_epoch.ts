/**
 * The newest epoch of the master that any thread of this keeper has heard of, now or before it was
 * started, and the id of its catalog: what an older master commands, or one on another catalog, is
 * refused. Kept in the data directory, so that such a master finds no keeper that obeys it, however
 * it was started.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Disk } from "../chunks/disk.ts";
import { TydfsError } from "../wire/errors.ts";
import { cannotUse, replaceText } from "./identity.ts";

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
/** Whether a catalog is known, its id in two words; whether the present master has another. */
const KNOWN = 3;
const CATALOG = 4;
const FOREIGN = 6;
const WORDS = 7;
const POLL_MS = 2;
/** The number, and behind it the catalog's id as soon as one is known. */
const LINE = /^(\d{1,15})(?: ([0-9a-f]{32}))?\n?$/;

export class MasterEpoch {
  readonly buffer: SharedArrayBuffer;
  readonly #options: MasterEpochOptions;
  readonly #words: BigInt64Array;

  /** `buffer` joins the number of another thread. */
  constructor(options: MasterEpochOptions, buffer?: SharedArrayBuffer) {
    this.#options = options;
    this.buffer = buffer ?? new SharedArrayBuffer(WORDS * 8);
    this.#words = new BigInt64Array(this.buffer);
  }

  /** Begins with what the data directory knows. Throws `local` when that is malformed. */
  static async open(options: MasterEpochOptions, directory: string): Promise<MasterEpoch> {
    const epoch = new MasterEpoch(options);
    const bytes = await options.disk.read(MASTER_EPOCH_FILE);
    if (bytes === undefined) return epoch;
    const match = LINE.exec(new TextDecoder().decode(bytes));
    if (match === null) throw cannotUse(directory, `its ${MASTER_EPOCH_FILE} is malformed`);
    Atomics.store(epoch.#words, NEWEST, BigInt(match[1] ?? 0));
    if (match[2] !== undefined) epoch.#remember(match[2]);
    Atomics.store(epoch.#words, KEPT, epoch.#state());
    return epoch;
  }

  /** The newest epoch that was heard of; 0 for none. */
  get newest(): number {
    return Number(Atomics.load(this.#words, NEWEST));
  }

  /** The id of the catalog whose masters are obeyed; undefined before the first one. */
  get catalog(): string | undefined {
    if (Atomics.load(this.#words, KNOWN) === 0n) return undefined;
    return [CATALOG, CATALOG + 1].map((word) =>
      BigInt.asUintN(64, Atomics.load(this.#words, word)).toString(16).padStart(16, "0")
    ).join("");
  }

  /**
   * Takes note of an epoch, durably before it resolves. Rejects with `stale-epoch` when a newer one
   * is known, and when it is of another catalog than the one that was heard of first. Once a
   * catalog is known, a newer epoch counts only together with its catalog, which the main thread
   * alone hears: until then it is `unavailable`.
   */
  async check(epoch: number, catalog?: string): Promise<void> {
    this.refuseOlder(epoch);
    if (catalog !== undefined) this.#checkCatalog(catalog);
    else if (Atomics.load(this.#words, FOREIGN) === 1n) throw foreign();
    const heard = BigInt(epoch);
    for (;;) {
      const newest = Atomics.load(this.#words, NEWEST);
      if (heard <= newest) {
        this.refuseOlder(epoch);
        break;
      }
      if (catalog === undefined && this.catalog !== undefined) {
        const message = `Cannot obey a master of epoch ${epoch} yet: its catalog is not known`;
        throw new TydfsError("unavailable", message);
      }
      if (Atomics.compareExchange(this.#words, NEWEST, newest, heard) === newest) break;
    }
    if (Atomics.load(this.#words, KEPT) !== this.#state()) await this.#keep();
  }

  /** Throws `stale-epoch` when a newer epoch is known. */
  refuseOlder(epoch: number): void {
    if (epoch >= this.newest) return;
    const message = `Master epoch ${epoch} is over: this keeper has heard of ${this.newest}`;
    throw new TydfsError("stale-epoch", message);
  }

  #checkCatalog(catalog: string): void {
    if (this.catalog === undefined) this.#remember(catalog);
    const isForeign = this.catalog !== catalog;
    Atomics.store(this.#words, FOREIGN, isForeign ? 1n : 0n);
    if (isForeign) throw foreign();
  }

  #remember(catalog: string): void {
    for (const word of [0, 1]) {
      const half = BigInt(`0x${catalog.slice(16 * word, 16 * word + 16)}`);
      Atomics.store(this.#words, CATALOG + word, BigInt.asIntN(64, half));
    }
    Atomics.store(this.#words, KNOWN, 1n);
  }

  /** What the file should say, as one number: it differs with the epoch and with the catalog. */
  #state(): bigint {
    return 2n * Atomics.load(this.#words, NEWEST) + Atomics.load(this.#words, KNOWN);
  }

  async #keep(): Promise<void> {
    const { disk, clock, log } = this.#options;
    while (Atomics.compareExchange(this.#words, LOCK, 0n, 1n) !== 0n) await clock.sleep(POLL_MS);
    try {
      const state = this.#state();
      if (state === Atomics.load(this.#words, KEPT)) return;
      const tail = this.catalog === undefined ? "" : ` ${this.catalog}`;
      await replaceText(disk, MASTER_EPOCH_FILE, `${state / 2n}${tail}\n`);
      Atomics.store(this.#words, KEPT, state);
    } catch (error) {
      // It is known in memory, and each later command tries again. A keeper whose disk is full must
      // obey all the same: it gets room by deleting.
      log.error("Cannot keep the master's epoch in the data directory", { error });
    } finally {
      Atomics.store(this.#words, LOCK, 0n);
    }
  }
}

function foreign(): TydfsError {
  return new TydfsError("stale-epoch", "This master has another catalog than this keeper obeys");
}

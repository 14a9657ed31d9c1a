/**
 * Whether the disk takes chunks: room above the reserve, and no repeated write or sync errors. A
 * disk that has failed stays read-only until the keeper is started again; a full one recovers with
 * its space.
 */
import type { Clock } from "../base/clock.ts";
import { formatSize, GIB } from "../base/bytes.ts";
import { AssertionError } from "../base/assert.ts";
import { TydfsError, wrapError } from "../wire/errors.ts";
import type { Disk, DiskFault, DiskSpace } from "./disk.ts";
import { faultOf, isPassing } from "./disk.ts";
import type { StoreShare } from "./store_share.ts";

/** Write and sync errors after which a disk is read-only. */
const ERRORS_MAX = 3;
const SPACE_AGE_MS = 1000;
/** The part of a disk that is left free where nothing else is said, if it is more than 1 GiB. */
const RESERVE_SHARE = 0.01;

export interface HealthOptions {
  disk: Disk;
  clock: Clock;
  share: StoreShare;
  /** Space that is always left free; undefined: 1 GiB or 1 % of the disk, whichever is more. */
  reserveBytes: number | undefined;
}

export class Health {
  readonly #options: HealthOptions;
  #space: DiskSpace = { totalBytes: 0, freeBytes: 0 };
  #spaceMs = -Infinity;

  constructor(options: HealthOptions) {
    this.#options = options;
  }

  /** The disk has room and has not failed, as far as the last look at its space tells. */
  get writable(): boolean {
    return this.fault === undefined;
  }

  /** Why chunks can't be stored, as far as the last look at the space tells. */
  get fault(): DiskFault {
    const { share } = this.#options;
    if (share.errors >= ERRORS_MAX) return share.readOnly ? "read-only" : "broken";
    return share.full || this.#space.freeBytes <= this.#reserveBytes ? "full" : undefined;
  }

  /**
   * Looks at the disk's space, at most once a second. `freeBytes` is what chunks may take: the
   * reserve is left out.
   */
  async space(): Promise<DiskSpace> {
    const { disk, clock, share } = this.#options;
    if (clock.monotonicMs() - this.#spaceMs > SPACE_AGE_MS) {
      this.#space = await disk.space();
      this.#spaceMs = clock.monotonicMs();
      if (this.#space.freeBytes > this.#reserveBytes) share.full = false;
    }
    const { totalBytes, freeBytes } = this.#space;
    return { totalBytes, freeBytes: Math.max(0, freeBytes - this.#reserveBytes) };
  }

  /**
   * Promises room for a chunk; returns how the promise ends. Throws `no-space` when the reserve
   * would be touched, `unavailable` when the disk has failed.
   */
  async admit(sizeBytes: number): Promise<(stored: boolean) => void> {
    const { share } = this.#options;
    const { freeBytes } = await this.space();
    if (share.errors >= ERRORS_MAX) {
      throw new TydfsError("unavailable", "Cannot store a chunk: this keeper's disk has failed");
    }
    if (share.full || freeBytes - share.promisedBytes < sizeBytes) {
      const room = formatSize(Math.max(0, freeBytes - share.promisedBytes));
      const message = `Cannot store ${formatSize(sizeBytes)}: this keeper has room for ${room}`;
      throw new TydfsError("no-space", message);
    }
    const giveBack = share.promise(sizeBytes);
    return (stored) => {
      giveBack();
      // Until the next look at the disk, its space is what it was then, less what has landed since.
      if (stored) this.#space.freeBytes -= sizeBytes;
    };
  }

  /**
   * Notes an error of writing (any of a sync counts that is the disk's own), and words it for the
   * sender.
   */
  note(error: unknown, during: "write" | "sync"): unknown {
    if (error instanceof TydfsError || error instanceof AssertionError) return error;
    const { share } = this.#options;
    const fault = faultOf(error);
    if (fault === "full") {
      share.full = true;
      this.#spaceMs = -Infinity;
      return new TydfsError("no-space", "Cannot store a chunk: the disk is full", { cause: error });
    }
    if (isPassing(error)) {
      const words = error instanceof Error ? error.message : String(error);
      const message = `Cannot store a chunk now: ${words}`;
      return new TydfsError("unavailable", message, { cause: error });
    }
    if (fault === undefined && during === "write") return wrapError(error);
    if (fault === "read-only") share.readOnly = true;
    share.countErrors(fault === "read-only" ? ERRORS_MAX : 1);
    const message = "Cannot store a chunk: this keeper's disk fails";
    return new TydfsError("unavailable", message, { cause: error });
  }

  get #reserveBytes(): number {
    const { reserveBytes } = this.#options;
    return reserveBytes ?? Math.max(GIB, Math.ceil(RESERVE_SHARE * this.#space.totalBytes));
  }
}

/**
 * Drafts: chunks that have come in under a temporary name and whose bytes are checked, on the way
 * to being kept. A draft ends kept or dropped, and leaves nothing behind.
 */
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import { TydfsError } from "../wire/errors.ts";
import { sameSums } from "../wire/sums.ts";
import type { DirectorySyncs } from "./directory_syncs.ts";
import type { Disk } from "./disk.ts";
import type { DraftRequest } from "./draft_files.ts";
import { checkAndSync, checkShort, writeShort } from "./draft_files.ts";
import type { Health } from "./health.ts";
import {
  aisleOf,
  chunkPath,
  CHUNKS,
  INCOMING,
  shelfOf,
  SIDECAR_ENDING,
  sidecarPath,
} from "./places.ts";
import type { ChunkFacts } from "./sidecar.ts";
import type { StoreShare } from "./store_share.ts";

/** What a draft needs of its store. */
export interface DraftHost {
  disk: Disk;
  clock: Clock;
  share: StoreShare;
  health: Health;
  directories: DirectorySyncs;
  /** Shelves and aisles that are known to be durable. */
  shelves: Set<string>;
  /** Whether a chunk has no file at all. */
  isMissing(id: string): boolean;
  /** The facts of a chunk that is there already. */
  findFacts(id: string): Promise<ChunkFacts | undefined>;
}

/** A short chunk that is to become a draft: it is held in memory as a whole. */
export interface ShortDraftRequest {
  facts: ChunkFacts;
  mark: string;
  /** Brings the bytes. */
  read: () => Promise<Uint8Array>;
}

/** How a draft was kept: as a new chunk, or it was there already. */
export type Kept = "new" | "present";

export class Draft {
  readonly facts: ChunkFacts;
  readonly #host: DraftHost;
  readonly #path: string;
  /** Where the bytes lie: `#path`, then the chunk's own place. */
  #place: string;
  readonly #synced: Promise<void>;
  readonly #release: (stored: boolean) => void;
  /** The bytes of a short chunk. */
  readonly #bytes: Uint8Array | undefined;
  #kept: Promise<Kept> | undefined;

  private constructor(
    host: DraftHost,
    facts: ChunkFacts,
    files: { path: string; synced: Promise<void>; bytes?: Uint8Array },
    release: (stored: boolean) => void,
  ) {
    this.#host = host;
    this.facts = facts;
    this.#path = files.path;
    this.#place = files.path;
    this.#synced = files.synced;
    this.#bytes = files.bytes;
    this.#release = release;
  }

  /**
   * Fills a temporary file and checks it. Throws what `fill` throws, `invalid` on a wrong length,
   * `corrupt` on a wrong block, `no-space` or `unavailable` when the disk is to blame. The manifest
   * of a pack is looked at while the bytes are synced: that it is wrong is told by `keep`.
   */
  static async make(host: DraftHost, request: DraftRequest): Promise<Draft> {
    const { facts, mark, fill } = request;
    const release = await host.health.admit(facts.sizeBytes);
    const path = `${INCOMING}/${facts.chunk}.${mark}`;
    try {
      await fill(path);
      await failpoint("keeper.put.written");
      const { synced } = await checkAndSync(host, request, path);
      return new Draft(host, facts, { path, synced }, release);
    } catch (error) {
      await discard(host, path);
      release(false);
      throw host.health.note(error, "write");
    }
  }

  /**
   * The same for a short chunk that is no pack: its bytes are checked before they are written, and
   * go on from memory, so that its files are opened once each.
   */
  static async makeShort(host: DraftHost, request: ShortDraftRequest): Promise<Draft> {
    const { facts, mark, read } = request;
    const release = await host.health.admit(facts.sizeBytes);
    const path = `${INCOMING}/${facts.chunk}.${mark}`;
    try {
      const bytes = await read();
      await failpoint("keeper.put.written");
      checkShort(facts, bytes);
      const synced = writeShort(host, facts, path, bytes);
      return new Draft(host, facts, { path, synced, bytes }, release);
    } catch (error) {
      await discard(host, path);
      release(false);
      throw host.health.note(error, "write");
    }
  }

  /**
   * The bytes of a short chunk, or the file where they lie now. That is opened when a request with
   * it begins: begin it at once.
   */
  body(): Blob | Uint8Array {
    return this.#bytes ?? this.#host.disk.body(this.#place);
  }

  /**
   * Makes the chunk durable under its own name. Throws `conflict` when the name has other bytes,
   * `invalid` when it is a pack without a right manifest; then the draft is gone.
   */
  keep(): Promise<Kept> {
    this.#kept ??= this.#keep();
    return this.#kept;
  }

  /** Removes a draft that is not to be kept. */
  async drop(): Promise<void> {
    if (this.#kept !== undefined) return;
    this.#kept = Promise.reject(new TydfsError("unavailable", "The chunk was dropped"));
    this.#kept.catch(() => {});
    await this.#synced.catch(() => {});
    await discard(this.#host, this.#path);
    this.#release(false);
  }

  async #keep(): Promise<Kept> {
    const { health } = this.#host;
    let kept: Kept | undefined;
    try {
      // A sync that fails is never tried again: the kernel has given the pages up (RELIABILITY.md
      // §2.5).
      await this.#synced.catch((error) => {
        throw health.note(error, "sync");
      });
      await failpoint("keeper.put.synced");
      kept = await this.#settle();
      return kept;
    } catch (error) {
      await discard(this.#host, this.#path);
      throw health.note(error, "write");
    } finally {
      this.#release(kept === "new");
    }
  }

  /** Gives the draft its name, durably, unless the chunk is here already. */
  async #settle(): Promise<Kept> {
    const { clock, share } = this.#host;
    const { chunk } = this.facts;
    // A new name is synced before anybody else sees the chunk as present: what is taken back when
    // that fails was never acknowledged to anyone.
    const unlock = await share.lock(chunk, clock);
    try {
      const isNew = this.#host.isMissing(chunk);
      const present = isNew ? undefined : await this.#host.findFacts(chunk);
      if (present === undefined) {
        await this.#shelve(isNew);
        return "new";
      }
      refuseOther(present, this.facts);
      this.#place = chunkPath(chunk);
    } finally {
      unlock();
    }
    await discard(this.#host, this.#path);
    // It may stem from before a crash, and never have been synced. It stays also when that fails:
    // others may count on it.
    await this.#syncShelf();
    return "present";
  }

  /** Under the chunk's lock. The sidecar goes first, so that a chunk is never seen without one. */
  async #shelve(isNew: boolean): Promise<void> {
    const { disk, share } = this.#host;
    const { chunk } = this.facts;
    if (!this.#host.shelves.has(shelfOf(chunk))) disk.makeDirectory(shelfOf(chunk));
    disk.rename(this.#path + SIDECAR_ENDING, sidecarPath(chunk));
    disk.rename(this.#path, chunkPath(chunk));
    this.#place = chunkPath(chunk);
    if (isNew) share.countChunks(1);
    try {
      await failpoint("keeper.put.renamed");
      await this.#syncShelf();
    } catch (error) {
      // The name may not be durable, and a second sync would not tell: a repetition must start
      // afresh.
      if (await disk.remove(chunkPath(chunk)).catch(() => false)) share.countChunks(-1);
      await disk.remove(sidecarPath(chunk)).catch(() => {});
      throw error;
    }
  }

  async #syncShelf(): Promise<void> {
    const { directories, shelves, health, disk } = this.#host;
    const { chunk } = this.facts;
    const shelf = shelfOf(chunk);
    const aisle = aisleOf(chunk);
    try {
      // A directory that may be new is only durable when the one that holds it has been synced,
      // too.
      const holders = [shelves.has(shelf) ? [] : aisle, shelves.has(aisle) ? [] : CHUNKS].flat();
      await Promise.all([shelf, ...holders].map((path) => directories.sync(path)));
    } catch (error) {
      throw health.note(error, "sync");
    }
    shelves.add(shelf).add(aisle);
    if (disk.sizeOf(chunkPath(chunk)) === undefined) {
      throw new TydfsError("unavailable", `Chunk "${chunk}" was removed while it landed`);
    }
  }
}

/** Throws `conflict` unless both are the same chunk with the same bytes. */
export function refuseOther(present: ChunkFacts, wanted: ChunkFacts): void {
  if (present.sizeBytes === wanted.sizeBytes && sameSums(present.sums, wanted.sums)) return;
  throw new TydfsError("conflict", `Chunk "${wanted.chunk}" is here already with other bytes`);
}

async function discard({ disk }: DraftHost, path: string): Promise<void> {
  await disk.remove(path).catch(() => {});
  await disk.remove(path + SIDECAR_ENDING).catch(() => {});
}

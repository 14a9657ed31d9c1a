/**
 * Drafts: chunks that have come in under a temporary name and whose bytes are checked, on the way
 * to being kept. The sync of the bytes begins while they are still being hashed. A draft ends kept
 * or dropped, and leaves nothing behind.
 */
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { PackedFile } from "../wire/pack.ts";
import { sameSums } from "../wire/sums.ts";
import { findBadBlockNow, nextTurn } from "./block_check.ts";
import type { DirectorySyncs } from "./directory_syncs.ts";
import type { Disk, DiskFile } from "./disk.ts";
import type { Health } from "./health.ts";
import { readManifestNow } from "./manifest.ts";
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
import { formatSidecar } from "./sidecar.ts";
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
  /** The facts of a chunk that is there already. */
  findFacts(id: string): Promise<ChunkFacts | undefined>;
}

/** What is to become a draft. */
export interface DraftRequest {
  facts: ChunkFacts;
  /** A part of the temporary file's name that no other request has. */
  mark: string;
  /** Writes the bytes to the path that it is given. */
  fill: (path: string) => Promise<void>;
  /**
   * Told when the chunk is a pack without a right manifest, which is kept all the same then;
   * without this, such a pack is refused.
   */
  onBadManifest?: ((error: unknown) => void) | undefined;
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
  #kept: Promise<Kept> | undefined;

  private constructor(
    host: DraftHost,
    facts: ChunkFacts,
    path: string,
    synced: Promise<void>,
    release: (stored: boolean) => void,
  ) {
    this.#host = host;
    this.facts = facts;
    this.#path = path;
    this.#place = path;
    this.#synced = synced;
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
      return new Draft(host, facts, path, synced, release);
    } catch (error) {
      await discard(host, path);
      release(false);
      throw host.health.note(error, "write");
    }
  }

  /**
   * The bytes where they lie now. A file is opened when a request with it begins: begin it at once.
   */
  body(): Blob {
    return this.#host.disk.body(this.#place);
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
      const present = await this.#host.findFacts(chunk);
      if (present === undefined) {
        await this.#shelve();
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
  async #shelve(): Promise<void> {
    const { disk, share } = this.#host;
    const { chunk } = this.facts;
    if (!this.#host.shelves.has(shelfOf(chunk))) disk.makeDirectory(shelfOf(chunk));
    const isNew = disk.sizeOf(chunkPath(chunk)) === undefined;
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

/**
 * Checks length and blocks; the sync, which runs in the pool meanwhile, is returned still running.
 */
async function checkAndSync(
  host: DraftHost,
  request: DraftRequest,
  path: string,
): Promise<{ synced: Promise<void> }> {
  const { disk } = host;
  const { facts } = request;
  const sizeBytes = disk.sizeOf(path) ?? 0;
  if (sizeBytes !== facts.sizeBytes) {
    const message = `Cannot store chunk "${facts.chunk}": ` +
      `${sizeBytes} bytes came where ${facts.sizeBytes} are due`;
    throw new TydfsError("invalid", message);
  }
  const file = disk.open(path);
  const checked = findBadBlockNow(file, facts);
  // The file is closed by whoever ends last: on a fast disk the sync ends before the hashing.
  const synced = allDone([
    file.datasync(),
    writeSidecar(host, request, { path, file, checked }),
    checked.then(() => {}),
  ]).finally(() => file.close());
  synced.catch(() => {});
  try {
    const bad = await checked;
    if (bad === undefined) return { synced };
    const message = `Cannot store chunk "${facts.chunk}": block ${bad} does not match its sum`;
    throw new TydfsError("corrupt", message);
  } catch (error) {
    await synced.catch(() => {});
    throw error;
  }
}

/** A draft whose bytes are being checked. */
interface CheckedFile {
  path: string;
  file: DiskFile;
  /** The first wrong block. */
  checked: Promise<number | undefined>;
}

/** Writes a draft's sidecar, durably: at once, but for a pack's, whose files it must know. */
async function writeSidecar(
  { disk, clock }: DraftHost,
  { facts, onBadManifest }: DraftRequest,
  { path, file, checked }: CheckedFile,
): Promise<void> {
  let files: PackedFile[] | undefined;
  if (facts.origin?.packed === true) {
    // What is wrong as a whole is told by those who wait for the same.
    if (await checked !== undefined) return;
    // First of all the next keeper is sent its copy: it takes some ms to read thousands of names.
    await nextTurn();
    files = await listFiles(file, facts, onBadManifest);
    await failpoint("keeper.pack.listed");
  }
  const sidecar = formatSidecar(facts, clock.wallMs(), files);
  await disk.write(path + SIDECAR_ENDING, [sidecar], { sync: true });
}

/**
 * The files of a pack that has just been written, so that its bytes are in the page cache. Throws
 * `invalid` when it has no right manifest, unless somebody bears that; then undefined.
 */
async function listFiles(
  file: DiskFile,
  { chunk, sizeBytes }: ChunkFacts,
  onBadManifest: DraftRequest["onBadManifest"],
): Promise<PackedFile[] | undefined> {
  try {
    return await readManifestNow(file, sizeBytes);
  } catch (cause) {
    if (!hasCode(cause, "corrupt")) throw cause;
    if (onBadManifest === undefined) {
      const message = `Cannot store chunk "${chunk}": it is a pack without a right manifest`;
      throw new TydfsError("invalid", message, { cause });
    }
    onBadManifest(cause);
    return undefined;
  }
}

/** Waits for all, also after a failure; then throws the first failure. */
async function allDone(tasks: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(tasks)) {
    if (result.status === "rejected") throw result.reason;
  }
}

async function discard({ disk }: DraftHost, path: string): Promise<void> {
  await disk.remove(path).catch(() => {});
  await disk.remove(path + SIDECAR_ENDING).catch(() => {});
}

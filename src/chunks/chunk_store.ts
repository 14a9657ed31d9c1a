/**
 * The chunk store of one disk: lands, serves, verifies, removes and lists chunks. A chunk is a
 * plain file with a sidecar and never changes; it is there from the rename of its file on, and
 * durable when `land` or `keep` has resolved. Several threads may each have a store over the same
 * root as long as they have one `StoreShare`.
 */
import { AssertionError } from "../base/assert.ts";
import type { Clock } from "../base/clock.ts";
import { forEachLimited } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { isId } from "../wire/ids.ts";
import type { AsideFile } from "./attic.ts";
import { Attic } from "./attic.ts";
import type { Pace } from "./block_check.ts";
import { findBadBlock, nextTurn } from "./block_check.ts";
import { DirectorySyncs } from "./directory_syncs.ts";
import type { Disk, DiskFault, DiskSpace } from "./disk.ts";
import { isUnreadable } from "./disk.ts";
import type { DraftHost, Kept } from "./draft.ts";
import { Draft, refuseOther } from "./draft.ts";
import type { DraftRequest } from "./draft_files.ts";
import { Health } from "./health.ts";
import type { InventoryPage } from "./inventory.ts";
import { readInventory, walkIds, walkShelves } from "./inventory.ts";
import {
  aisleOf,
  chunkPath,
  CHUNKS,
  INCOMING,
  QUARANTINE,
  shelfOf,
  SIDECAR_ENDING,
  sidecarPath,
} from "./places.ts";
import type { ChunkFacts } from "./sidecar.ts";
import { parseSidecar } from "./sidecar.ts";
import type { StoreShare } from "./store_share.ts";

export interface ChunkStoreOptions {
  disk: Disk;
  clock: Clock;
  random: Random;
  share: StoreShare;
  /** Space that is always left free: see `Health`. */
  reserveBytes: number | undefined;
  /**
   * Throws when the directory is not the store's own any more: asked before anything is called
   * missing, and before a chunk lands.
   */
  checkPremises?: () => Promise<void>;
}

/** A chunk as it is found for serving. */
export type FoundChunk =
  | { kind: "found"; body: Blob; sizeBytes: number }
  | { kind: "missing" }
  /** Its sidecar is missing or malformed, or tells another size. */
  | { kind: "damaged"; reason: string };

export type ChunkState = "good" | "corrupt" | "missing";

/** Sizes of chunks that a thread remembers, so that serving reads no sidecar each time. */
const SIZES_MAX = 16_384;
const SYNCS_AT_ONCE = 8;

/** Chunks that are looked up before other requests of this thread get a turn. */
const CHECKS_PER_TURN = 16;

export class ChunkStore {
  /** What was put aside. */
  readonly attic: Attic;
  readonly #options: ChunkStoreOptions;
  readonly #host: DraftHost;
  readonly #sizes = new Map<string, number>();

  constructor(options: ChunkStoreOptions) {
    const { disk, clock, share } = options;
    this.#options = options;
    this.attic = new Attic(options);
    this.#host = {
      disk,
      clock,
      share,
      health: new Health(options),
      directories: new DirectorySyncs(disk),
      shelves: new Set(),
      isMissing: (id) => this.#sizeOf(id) === undefined,
      findFacts: (id) => this.facts(id),
    };
  }

  /** Chunks can be stored: see `Health`. */
  get writable(): boolean {
    return this.#host.health.writable;
  }

  /** Why chunks can't be stored: see `Health`. */
  get fault(): DiskFault {
    return this.#host.health.fault;
  }

  /** Copies that were found bad and put aside since the start. */
  get bad(): number {
    return this.#options.share.bad;
  }

  /** Files that are kept aside. */
  get aside(): number {
    return this.#options.share.aside;
  }

  /** Chunks on the disk. */
  get chunks(): number {
    return this.#options.share.chunks;
  }

  /** The disk's size, and the space that chunks may still take. */
  space(): Promise<DiskSpace> {
    return this.#host.health.space();
  }

  /**
   * Puts the directories in order, once and before any other thread uses them: removes what was
   * coming in, and sidecars without a chunk; puts chunks without a sidecar aside; counts the rest.
   */
  async prepare(): Promise<void> {
    const { disk, share } = this.#options;
    for (const path of [INCOMING, QUARANTINE, CHUNKS]) disk.makeDirectory(path);
    await this.#host.directories.sync(".");
    await this.attic.open();
    for (const name of await disk.list(INCOMING)) await disk.remove(`${INCOMING}/${name}`);
    for await (const { path, names } of walkShelves(disk, "")) {
      const present = new Set(names);
      for (const name of names) {
        const id = name.slice(0, 32);
        if (!isId(id)) continue;
        const isChunk = name === id;
        if (isChunk && present.has(id + SIDECAR_ENDING)) share.countChunks(1);
        else if (isChunk) this.attic.take(id, `${path}/${id}`);
        else if (!present.has(id)) await disk.remove(`${path}/${name}`);
      }
    }
    await this.space();
  }

  /**
   * Receives and checks a chunk, by what `fill` writes to the path that it is given; for
   * `onBadManifest` see `DraftRequest`.
   */
  async receive(
    facts: ChunkFacts,
    fill: DraftRequest["fill"],
    onBadManifest?: DraftRequest["onBadManifest"],
  ): Promise<Draft> {
    const mark = await this.#expect(facts);
    return await Draft.make(this.#host, { facts, mark, fill, onBadManifest });
  }

  /** The same for a chunk of few bytes that is no pack: `read` brings all of them. */
  async receiveShort(facts: ChunkFacts, read: () => Promise<Uint8Array>): Promise<Draft> {
    const mark = await this.#expect(facts);
    return await Draft.makeShort(this.#host, { facts, mark, read });
  }

  /** Receives, checks and keeps a chunk, as `receive` does: resolves when it is durable. */
  async land(
    facts: ChunkFacts,
    fill: DraftRequest["fill"],
    onBadManifest?: DraftRequest["onBadManifest"],
  ): Promise<Kept> {
    return await (await this.receive(facts, fill, onBadManifest)).keep();
  }

  /**
   * Whether exactly this chunk is here already, durably. Throws `conflict` when other bytes have
   * its id.
   */
  async has(facts: ChunkFacts): Promise<boolean> {
    const present = await this.facts(facts.chunk);
    if (present === undefined) return false;
    refuseOther(present, facts);
    const { directories } = this.#host;
    const places = [shelfOf(facts.chunk), aisleOf(facts.chunk), CHUNKS];
    await Promise.all(places.map((path) => directories.sync(path)));
    return true;
  }

  /**
   * The facts of a chunk that is here and has the size that its sidecar tells. Throws `unavailable`
   * when that can't be learned now: nobody may take a chunk for missing or damaged then.
   */
  async facts(id: string): Promise<ChunkFacts | undefined> {
    const sizeBytes = this.#sizeOf(id);
    if (sizeBytes === undefined) return undefined;
    const facts = await this.#readFacts(id);
    return facts?.sizeBytes === sizeBytes ? facts : undefined;
  }

  /** The facts of a chunk that is here, durably: see `facts` and `has`. */
  async durable(id: string): Promise<ChunkFacts | undefined> {
    const facts = await this.facts(id);
    return facts !== undefined && await this.has(facts) ? facts : undefined;
  }

  /** Finds a chunk for serving. Throws `unavailable` when its sidecar can't be read now. */
  async find(id: string): Promise<FoundChunk> {
    const { disk } = this.#options;
    const sizeBytes = this.#sizeOf(id);
    if (sizeBytes === undefined) return await this.#missing();
    const due = this.#sizes.get(id) ?? await this.#readSize(id);
    if (due === undefined) {
      // Somebody may have removed it meanwhile.
      if (this.#sizeOf(id) === undefined) return await this.#missing();
      return { kind: "damaged", reason: "its sidecar is missing or malformed" };
    }
    if (due !== sizeBytes) {
      return { kind: "damaged", reason: `it has ${sizeBytes} bytes where ${due} are due` };
    }
    return { kind: "found", body: disk.body(chunkPath(id)), sizeBytes };
  }

  /**
   * Reads a chunk again, from the disk and not from the page cache, and compares it with its sums;
   * twice before it is called corrupt. Bytes that the disk can't give are as bad as wrong ones;
   * throws `unavailable` when reading fails for a reason that may pass, and what `pace` throws.
   */
  async verify(id: string, pace?: Pace): Promise<ChunkState> {
    const state = await this.#verifyOnce(id, pace);
    // A read that fails once, or brings other bytes, says more of cable and memory than of the
    // chunk: two copies that are given up for that may be the last ones.
    return state === "corrupt" ? await this.#verifyOnce(id, pace) : state;
  }

  /**
   * Brings a copy back that lies aside, when it is whole after all and no other is in its place.
   * Returns its facts, or undefined; resolves when it is durable. Throws `unavailable` when the
   * disk can't tell now.
   */
  async restore(file: AsideFile): Promise<ChunkFacts | undefined> {
    const { disk, share, clock, checkPremises } = this.#options;
    const { chunk } = file;
    try {
      await checkPremises?.();
      const facts = await this.attic.verify(file);
      if (facts === undefined) return undefined;
      const unlock = await share.lock(chunk, clock);
      try {
        if (disk.sizeOf(chunkPath(chunk)) !== undefined) return undefined;
        disk.makeDirectory(shelfOf(chunk));
        await this.attic.giveBack(file, chunkPath(chunk));
        this.#sizes.delete(chunk);
        share.countChunks(1);
      } finally {
        unlock();
      }
      return await this.durable(chunk);
    } catch (error) {
      throw unavailable(`Cannot bring back chunk "${chunk}" now`, error);
    }
  }

  async #verifyOnce(id: string, pace: Pace | undefined): Promise<ChunkState> {
    if (this.#sizeOf(id) === undefined) return (await this.#missing()).kind;
    try {
      const facts = await this.facts(id);
      if (facts !== undefined && await this.#matches(facts, pace)) return "good";
    } catch (error) {
      const cause = error instanceof TydfsError ? error.cause : error;
      if (!isUnreadable(cause) && this.#sizeOf(id) !== undefined) throw cannotRead(id, error);
    }
    // Somebody may have removed it meanwhile.
    return this.#sizeOf(id) === undefined ? (await this.#missing()).kind : "corrupt";
  }

  /** Puts a bad copy aside, sidecar and all, where nothing serves it; whether there was one. */
  async quarantine(id: string): Promise<boolean> {
    const { disk, share, clock } = this.#options;
    const unlock = await share.lock(id, clock);
    try {
      this.#sizes.delete(id);
      if (disk.sizeOf(chunkPath(id)) === undefined) return false;
      this.attic.take(id, chunkPath(id));
      share.countChunks(-1);
      share.countBad();
    } finally {
      unlock();
    }
    await this.#host.directories.sync(shelfOf(id));
    return true;
  }

  /**
   * Which of these chunks are not here, and which lie here with another size or without a sidecar.
   * Their bytes are not read. Throws `unavailable` when the disk can't tell now.
   */
  async check(
    chunks: readonly (readonly [id: string, sizeBytes: number])[],
  ): Promise<{ missing: string[]; wrongSize: string[] }> {
    const { disk } = this.#options;
    const missing: string[] = [];
    const wrongSize: string[] = [];
    for (const [index, [id, sizeBytes]] of chunks.entries()) {
      // A disk that must seek for each of them would hold up the streams of this thread.
      if (index % CHECKS_PER_TURN === CHECKS_PER_TURN - 1) await nextTurn();
      const found = this.#sizeOf(id);
      if (found === undefined) missing.push(id);
      else if (found !== sizeBytes || disk.sizeOf(sidecarPath(id)) === undefined) {
        wrongSize.push(id);
      }
    }
    // A disk that was unmounted has lost nothing; that of another keeper tells nothing.
    if (missing.length > 0) {
      await this.#options.checkPremises?.();
      if (disk.sizeOf(CHUNKS) === undefined) {
        throw new TydfsError("unavailable", "Cannot check chunks: their directory is not there");
      }
    }
    return { missing, wrongSize };
  }

  /** Removes a chunk, durably; whether there was one. */
  async remove(id: string): Promise<boolean> {
    const { disk, share, clock } = this.#options;
    const unlock = await share.lock(id, clock);
    let there: boolean;
    try {
      this.#sizes.delete(id);
      there = await disk.remove(chunkPath(id));
      if (there) share.countChunks(-1);
      if (!await disk.remove(sidecarPath(id)) && !there) return false;
    } finally {
      unlock();
    }
    await this.#host.directories.sync(shelfOf(id));
    return there;
  }

  /**
   * The chunks behind `after` in id order, `limit` at most, all of them durable. Throws
   * `unavailable` when the disk can't be read now: a page with gaps would count as chunks that are
   * lost.
   */
  async inventory(after: string, limit: number): Promise<InventoryPage> {
    try {
      const page = await readInventory(this.#options.disk, after, limit);
      await this.#options.checkPremises?.();
      await this.#syncNames(page.chunks.map(([id]) => id));
      return page;
    } catch (error) {
      throw unavailable("Cannot list the chunks now", error);
    }
  }

  /**
   * Makes the names of chunks durable. One that is landing now, or was when a process before this
   * one died, may not be yet: the master would count on a copy that a power loss takes.
   */
  async #syncNames(ids: readonly string[]): Promise<void> {
    const shelves = new Set(ids.flatMap((id) => [shelfOf(id), aisleOf(id)]));
    const places = shelves.size === 0 ? [] : [...shelves, CHUNKS];
    await forEachLimited(places, SYNCS_AT_ONCE, (path) => this.#host.directories.sync(path));
  }

  /** The ids behind `after` of all files that look like chunks, in order. Throws `unavailable`. */
  async *ids(after: string): AsyncIterable<string> {
    try {
      yield* walkIds(this.#options.disk, after);
    } catch (error) {
      throw unavailable("Cannot list the chunks now", error);
    }
  }

  /** Looks whether a chunk may come here. Returns a mark for its draft that no other has. */
  async #expect(facts: ChunkFacts): Promise<string> {
    await this.#options.checkPremises?.();
    const present = await this.facts(facts.chunk);
    if (present !== undefined) refuseOther(present, facts);
    return randomHex(this.#options.random, 8);
  }

  /** A chunk's size; undefined when it is not there. Throws `unavailable`. */
  sizeOf(id: string): number | undefined {
    return this.#sizeOf(id);
  }

  /** What is not here must not be called so when the whole directory is another one. */
  async #missing(): Promise<{ kind: "missing" }> {
    await this.#options.checkPremises?.();
    return { kind: "missing" };
  }

  /** Undefined only when there is no sidecar, or when what lies there is none. */
  async #readFacts(id: string): Promise<ChunkFacts | undefined> {
    try {
      const bytes = await this.#options.disk.read(sidecarPath(id));
      return bytes === undefined ? undefined : parseSidecar(id, bytes);
    } catch (error) {
      if (hasCode(error, "corrupt", "invalid")) return undefined;
      throw cannotRead(id, error);
    }
  }

  #sizeOf(id: string): number | undefined {
    const path = chunkPath(id);
    try {
      return this.#options.disk.sizeOf(path);
    } catch (error) {
      throw cannotRead(id, error);
    }
  }

  async #matches(facts: ChunkFacts, pace: Pace | undefined): Promise<boolean> {
    const file = this.#options.disk.open(chunkPath(facts.chunk));
    try {
      file.forget();
      return await findBadBlock(file, facts, pace) === undefined;
    } finally {
      file.forget();
      await file.close();
    }
  }

  async #readSize(id: string): Promise<number | undefined> {
    const facts = await this.#readFacts(id);
    if (facts === undefined) return undefined;
    const oldest = this.#sizes.keys().next();
    if (this.#sizes.size >= SIZES_MAX && !oldest.done) this.#sizes.delete(oldest.value);
    this.#sizes.set(id, facts.sizeBytes);
    return facts.sizeBytes;
  }
}

function cannotRead(id: string, error: unknown): unknown {
  return unavailable(`Cannot read chunk "${id}" now`, error);
}

/**
 * Words what a file call threw; what was worded already, and broken invariants, stay as they are.
 */
function unavailable(action: string, cause: unknown): unknown {
  if (cause instanceof TydfsError || cause instanceof AssertionError) return cause;
  const words = cause instanceof Error ? cause.message : String(cause);
  return new TydfsError("unavailable", `${action}: ${words}`, { cause });
}

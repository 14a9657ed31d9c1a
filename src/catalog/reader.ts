/**
 * Reads the catalog over a connection of its own, each answer from one snapshot. It changes nothing
 * and keeps no snapshot open, so that the writer's log can always be moved into the database.
 */
import type { Database } from "bun:sqlite";
import { must } from "../base/assert.ts";
import { TydfsError } from "../wire/errors.ts";
import type { LoggedEvent } from "../wire/event.ts";
import type { Entry } from "../wire/file.ts";
import { quotePath } from "../wire/names.ts";
import { ChunkReader, type ChunkRecord, type OrphanCursor, parseNumbers } from "./chunk_reader.ts";
import { listEvents } from "./event_log.ts";
import { listDirectory, type ListOptions, type ListPage, updatingPaths } from "./listing.ts";
import { openCatalogForReading } from "./open.ts";
import type { KeeperFacts, PolicyFacts } from "./operation.ts";
import {
  type LocatedMany,
  type LoosePack,
  type PackedWish,
  type PackPlace,
  PackReader,
} from "./pack_reader.ts";
import { type PlacedFile, RuleReader, type RuleRecord } from "./rule_reader.ts";
import { Statements } from "./statements.ts";
import {
  type Restorable,
  type RestoreWish,
  type TrashCursor,
  TrashReader,
  type TrashRecord,
} from "./trash_reader.ts";
import { type Found, type InodeKind, mustFind, walk } from "./tree.ts";
import { type StoredChunk, UploadReader, type UploadRecord } from "./upload_reader.ts";

/** What is known of a path. */
export interface EntryFacts {
  inode: number;
  kind: InodeKind;
  /** Bytes; 0 for a directory. */
  size: number;
  version: number;
  mtimeMs: number;
  mode: number;
  owner: string;
  /** Empty for a directory. */
  checksum: string;
  /** Copies wanted; 0 for a directory. */
  goal: number;
  updating: boolean;
}

/** A run of a file's bytes in one chunk, with the numbers of the keepers that hold it. */
export interface ExtentFacts {
  seq: number;
  offset: number;
  length: number;
  chunk: string;
  chunkOffset: number;
  chunkBytes: number;
  sums: Uint8Array;
  keepers: number[];
}

export interface LocatedFile extends Omit<EntryFacts, "updating" | "kind"> {
  extents: ExtentFacts[];
  /** Extents follow behind the page. */
  more: boolean;
}

export interface KeeperRecord extends KeeperFacts {
  number: number;
  joinedMs: number;
  /** Everything is to be moved off it. */
  draining: boolean;
}

/** A keeper that was removed, and its process of then: one that is started later may join. */
export type RemovedKeeper = Pick<KeeperRecord, "number" | "id" | "epoch">;

/** What a keeper holds on record. */
export interface HeldFacts {
  number: number;
  replicas: number;
  /** Sum of the sizes of its replicas. */
  bytes: number;
}

export interface CatalogCounts {
  files: number;
  directories: number;
  /** Sum of the files' sizes. */
  bytes: number;
  /**
   * Chunks that something refers to; of them, those with fewer replica rows than their goal, and
   * with none.
   */
  chunks: number;
  chunksShort: number;
  chunksLost: number;
  /** Those with replicas on keepers that their policy forbids. */
  chunksMisplaced: number;
}

type InodeRow = Omit<EntryFacts, "inode" | "updating">;
type ExtentRow = Omit<ExtentFacts, "keepers"> & { keepers: string | null };
type KeeperRow = Omit<KeeperRecord, "ports" | "labels" | "draining"> & {
  ports: string;
  labels: string;
  draining: number;
};

const INODE = `SELECT kind, size, version, mtime_ms AS mtimeMs, mode, owner, checksum, goal
  FROM inode WHERE id = ?`;
const EXTENTS = `SELECT e.seq, e.offset, e.length, c.id AS chunk, e.chunk_offset AS chunkOffset,
    c.size AS chunkBytes, c.sums,
    (SELECT group_concat(keeper) FROM replica WHERE chunk = e.chunk) AS keepers
  FROM extent e CROSS JOIN chunk c ON c.no = e.chunk
  WHERE e.inode = ? AND e.seq >= ? ORDER BY e.seq LIMIT ?`;
const KEEPERS = `SELECT number, id, name, host, ports, slots, labels, epoch, instance,
  joined_ms AS joinedMs, draining FROM keeper WHERE removed_ms IS NULL ORDER BY number`;
const REMOVED = "SELECT number, id, epoch FROM keeper WHERE removed_ms IS NOT NULL ORDER BY number";
const HELD = "SELECT number, replicas, bytes FROM keeper WHERE removed_ms IS NULL ORDER BY number";

export class CatalogReader {
  readonly #database: Database;
  readonly #store: Statements;
  readonly #chunks: ChunkReader;
  readonly #uploads: UploadReader;
  readonly #rules: RuleReader;
  readonly #trash: TrashReader;
  readonly #packs: PackReader;

  /**
   * Opens the catalog at `path`, which its writer has made. Throws `local` when it is not there.
   */
  constructor(path: string) {
    this.#database = openCatalogForReading(path);
    this.#store = new Statements(this.#database);
    this.#chunks = new ChunkReader(this.#store);
    this.#uploads = new UploadReader(this.#store);
    this.#rules = new RuleReader(this.#store);
    this.#trash = new TrashReader(this.#store);
    this.#packs = new PackReader(this.#store);
  }

  /** The texts of the statements used so far; for tests that look at their plans. */
  get statements(): string[] {
    return this.#store.texts;
  }

  close(): void {
    this.#store.finalize();
    this.#database.close();
  }

  /** What is at `path`; undefined when nothing is. */
  entry(path: string): EntryFacts | undefined {
    return this.#snapshot(() => {
      const place = walk(this.#store, path);
      return place.kind === "found" ? this.#describe(place, path) : undefined;
    });
  }

  /** What is at `path`. Throws `not-found`. */
  getEntry(path: string): EntryFacts {
    return this.#snapshot(() => this.#describe(mustFind(this.#store, path, "find"), path));
  }

  /**
   * A page of a file's extents from `fromSeq` on. With `inode` the version that was opened before,
   * as long as it is there or in the trash, whatever the path is now. Throws `not-found`, `changed`
   * when that version has gone, `is-directory`.
   */
  locate(
    path: string,
    inode: number | undefined,
    fromSeq: number,
    limit: number,
  ): LocatedFile {
    return this.#snapshot(() => {
      const pinned = inode ?? mustFind(this.#store, path, "read").inode;
      const row = this.#store.get<InodeRow>(INODE, pinned);
      if (row === undefined) {
        const state = "this version of it was removed";
        throw new TydfsError("changed", `Cannot read ${quotePath(path)}: ${state}`);
      }
      const { kind, ...facts } = row;
      if (kind === "directory") {
        throw new TydfsError("is-directory", `Cannot read ${quotePath(path)}: it is a directory`);
      }
      const rows = this.#store.all<ExtentRow>(EXTENTS, pinned, fromSeq, limit + 1);
      const extents = rows.slice(0, limit)
        .map((extent) => ({ ...extent, keepers: parseNumbers(extent.keepers) }));
      return { inode: pinned, ...facts, extents, more: rows.length > limit };
    });
  }

  /**
   * One page of a directory in byte order, or the one file at `path`. Throws `not-found`, `invalid`
   * (a foreign cursor).
   */
  list(path: string, options: ListOptions): ListPage {
    return this.#snapshot(() => {
      const found = mustFind(this.#store, path, "list");
      if (found.inodeKind === "directory") {
        return listDirectory(this.#store, path, found.inode, options);
      }
      const { inode: _inode, goal: _goal, ...facts } = this.#describe(found, path);
      const entry: Entry = { path, ...facts };
      return { entries: options.after === undefined ? [entry] : [], next: undefined };
    });
  }

  /** All keepers of the cluster, by number. */
  keepers(): KeeperRecord[] {
    return this.#store.all<KeeperRow>(KEEPERS).map((row) => ({
      ...row,
      ports: JSON.parse(row.ports) as number[],
      labels: JSON.parse(row.labels) as Record<string, string>,
      draining: row.draining === 1,
    }));
  }

  /** Keepers that were removed and have not joined again, by number. */
  removedKeepers(): RemovedKeeper[] {
    return this.#store.all<RemovedKeeper>(REMOVED);
  }

  /** What each keeper of the cluster holds on record, by number. */
  heldByKeepers(): HeldFacts[] {
    return this.#store.all<HeldFacts>(HELD);
  }

  /** Whether keepers are to be made even by command. */
  balanceWanted(): boolean {
    return this.#meta("balance") === 1;
  }

  /** Grows whenever `keepers()` or `removedKeepers()` answers something new: one point read. */
  keepersGeneration(): number {
    return this.#meta("keepers_generation");
  }

  /** The id of this catalog's history: it never changes. */
  catalogId(): string {
    const sql = "SELECT value FROM meta WHERE key = 'catalog'";
    return must(this.#store.get<{ value: string }>(sql), "the catalog's id").value;
  }

  /** The last operation that a recovery has seen, and could not bring back; 0: none was. */
  givenUpSequence(): number {
    const sql = "SELECT value FROM meta WHERE key = 'given_up'";
    return this.#store.get<{ value: number }>(sql)?.value ?? 0;
  }

  /** The number of master starts so far. */
  epoch(): number {
    return this.#meta("epoch");
  }

  /** The number of the last operation. */
  sequence(): number {
    return this.#meta("sequence");
  }

  /** Totals, in constant time. */
  counts(): CatalogCounts {
    return this.#snapshot(() => ({
      files: this.#meta("files"),
      directories: this.#meta("directories"),
      bytes: this.#meta("bytes"),
      chunks: this.#meta("chunks"),
      chunksShort: this.#meta("chunks_short"),
      chunksLost: this.#meta("chunks_lost"),
      chunksMisplaced: this.#meta("chunks_misplaced"),
    }));
  }

  /** An upload under way or paused; undefined when it is committed, dropped or unknown. */
  upload(id: string): UploadRecord | undefined {
    return this.#uploads.find(id);
  }

  /** Uploads under way of which nothing was heard since `beforeMs`, the idlest first. */
  uploadsIdleSince(beforeMs: number, limit: number): UploadRecord[] {
    return this.#uploads.idleSince(beforeMs, limit, false);
  }

  /** Paused uploads of which nothing was heard since `beforeMs`, the idlest first. */
  uploadsPausedSince(beforeMs: number, limit: number): UploadRecord[] {
    return this.#uploads.idleSince(beforeMs, limit, true);
  }

  /** What an upload has stored as its chunk number `seq`, and who holds it. */
  storedChunk(upload: string, seq: number): StoredChunk | undefined {
    return this.#uploads.storedChunk(upload, seq);
  }

  /** Bytes that an upload to `path` could take over from the one before it. */
  resumableBytes(path: string): number {
    return this.#snapshot(() => this.#uploads.resumableBytes(path));
  }

  /**
   * Logged changes of names behind number `after`, the oldest first; those up to `forgotten` are
   * gone, `latest` is the last one's number.
   */
  events(
    after: number,
    limit: number,
  ): { events: LoggedEvent[]; forgotten: number; latest: number } {
    return this.#snapshot(() => listEvents(this.#store, after, limit));
  }

  /** Whether something in the trash was removed before `beforeMs`. */
  trashDue(beforeMs: number): boolean {
    const sql = "SELECT inode FROM trash WHERE removed_ms < ? LIMIT 1";
    return this.#store.get<{ inode: number }>(sql, beforeMs) !== undefined;
  }

  /** What lies in the trash at `under` or below it, in path order and the latest first. */
  trash(under: string, after: TrashCursor | undefined, limit: number): TrashRecord[] {
    return this.#snapshot(() => this.#trash.list(under, after, limit));
  }

  /** What restoring `path` would bring back from the trash. */
  restorable(path: string, wish: RestoreWish): Restorable {
    return this.#snapshot(() => this.#trash.restorable(path, wish));
  }

  /** Inodes of what came into the trash until `untilMs`, at `under` or below it. */
  trashUntil(under: string, untilMs: number, limit: number): number[] {
    return this.#snapshot(() => this.#trash.until(under, untilMs, limit));
  }

  /** A chunk and the keepers that hold it. */
  chunk(id: string): ChunkRecord | undefined {
    return this.#chunks.find(id);
  }

  /** Chunks in use with fewer replicas than their goal, by number behind `afterNo` (0 at first). */
  shortChunks(afterNo: number, limit: number): ChunkRecord[] {
    return this.#chunks.short(afterNo, limit);
  }

  /** Chunks in use with more replicas than their goal. */
  surplusChunks(afterNo: number, limit: number): ChunkRecord[] {
    return this.#chunks.surplus(afterNo, limit);
  }

  /** Chunks in use with replicas on keepers that their policy forbids. */
  misplacedChunks(afterNo: number, limit: number): ChunkRecord[] {
    return this.#chunks.misplaced(afterNo, limit);
  }

  /** What is at each of `paths`, files of one extent with their chunks: see `PackReader`. */
  locateMany(paths: readonly string[]): LocatedMany {
    return this.#snapshot(() => this.#packs.locateMany(paths));
  }

  /** Packs in use of which more than half is dead, by number behind `afterNo` (0 at first). */
  sparsePacks(afterNo: number, limit: number): LoosePack[] {
    return this.#packs.sparse(afterNo, limit);
  }

  /** Packs whose files may want different goals or policies: by pages, as `sparsePacks`. */
  partedPacks(afterNo: number, limit: number): LoosePack[] {
    return this.#packs.parted(afterNo, limit);
  }

  /** The runs of bytes of a chunk that something refers to, by offset, each once. */
  packPlaces(chunkNo: number, limit: number): PackPlace[] {
    return this.#snapshot(() => this.#packs.places(chunkNo, limit));
  }

  /** What lies in a chunk, by offset: files, their copies, and versions in the trash. */
  packedWishes(chunkNo: number, limit: number): PackedWish[] {
    return this.#packs.wishes(chunkNo, limit);
  }

  /** Placement rules that were added, in the order in which they are tried. */
  rules(): RuleRecord[] {
    return this.#rules.all();
  }

  /** Grows whenever `rules()` answers something new: one point read. */
  rulesGeneration(): number {
    return this.#meta("rules_generation");
  }

  /** What a chunk's policy of this number wants; undefined for 0. It never changes. */
  policy(no: number): PolicyFacts | undefined {
    return this.#rules.policy(no);
  }

  /** How a part of a file is placed; undefined when no file is at `path`. */
  placedFile(path: string, fromSeq: number, limit: number): PlacedFile | undefined {
    return this.#snapshot(() => {
      const place = walk(this.#store, path);
      if (place.kind !== "found" || place.inodeKind !== "file") return undefined;
      return this.#rules.placed(place.inode, fromSeq, limit);
    });
  }

  /** The number of a keeper whose copies are to be counted anew: `keeper.recount`. */
  relabelledKeeper(): number | undefined {
    return this.#rules.relabelled();
  }

  /** Chunks of which a keeper has a replica. */
  chunksOfKeeper(keeperNumber: number, afterNo: number, limit: number): ChunkRecord[] {
    return this.#chunks.ofKeeper(keeperNumber, afterNo, limit);
  }

  /**
   * Chunks that nothing has referred to since before `beforeMs`, the oldest first; `after` is the
   * last one of the page before.
   */
  orphans(beforeMs: number, limit: number, after?: OrphanCursor): ChunkRecord[] {
    return this.#chunks.orphans(beforeMs, limit, after);
  }

  /** Chunks that keepers alone have told of, before `beforeMs`: by pages, as `orphans`. */
  strays(beforeMs: number, limit: number, after?: OrphanCursor): ChunkRecord[] {
    return this.#chunks.strays(beforeMs, limit, after);
  }

  /** See `ChunkReader.straySum`. */
  straySum(): { chunks: number; bytes: number; sinceMs: number } {
    return this.#chunks.straySum();
  }

  /** Ids of chunks that nothing refers to since before `beforeMs`, and that no keeper has. */
  tombstones(beforeMs: number, limit: number): string[] {
    return this.#chunks.tombstones(beforeMs, limit);
  }

  #describe(found: Found, path: string): EntryFacts {
    const row = this.#store.get<InodeRow>(INODE, found.inode);
    if (row === undefined) throw new TydfsError("internal", `Dangling name ${quotePath(path)}`);
    const updating = row.kind === "file" && updatingPaths(this.#store)(path);
    return { inode: found.inode, ...row, updating };
  }

  #meta(key: string): number {
    const sql = "SELECT value FROM meta WHERE key = ?";
    return this.#store.get<{ value: number }>(sql, key)?.value ?? 0;
  }

  /** Runs several reads against one state of the catalog. */
  #snapshot<T>(read: () => T): T {
    this.#store.run("BEGIN");
    try {
      return read();
    } finally {
      this.#store.run("COMMIT");
    }
  }
}

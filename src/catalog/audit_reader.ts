/**
 * Reads the catalog for audits, over a connection of its own: chunks page by page, the files that
 * are made of a chunk, and how a file is called, whether it has a name or lies in the trash.
 */
import type { Database } from "bun:sqlite";
import { joinPath, ROOT } from "../wire/names.ts";
import { checkStep, planCheck } from "./check.ts";
import { parseNumbers } from "./chunk_reader.ts";
import { openCatalogForReading } from "./open.ts";
import { ROOT_INODE } from "./schema.ts";
import { Statements } from "./statements.ts";
import { parseKey } from "./tree.ts";

/** A chunk as audits look at it. */
export interface AuditChunk {
  /** Grows with each chunk. */
  no: number;
  id: string;
  sizeBytes: number;
  goal: number;
  /** Extents and places in uploads. */
  refs: number;
  /** Only an inventory has told of it. */
  stray: boolean;
  /** The numbers of the keepers that have it on record. */
  keepers: number[];
}

/** A chunk of a file, with the keepers that have it on record. */
export interface FileChunk {
  no: number;
  goal: number;
  keepers: number[];
}

/** How a file version is called. */
export interface NamedFile {
  path: string;
  size: number;
  trashed: boolean;
}

type ChunkRow = Omit<AuditChunk, "keepers" | "stray"> & { stray: number; keepers: string | null };
type FileChunkRow = Omit<FileChunk, "keepers"> & { keepers: string | null };

const COLUMNS = `c.no, c.id, c.size AS sizeBytes, c.goal, c.refs, c.stray,
  (SELECT group_concat(keeper) FROM replica WHERE chunk = c.no) AS keepers`;
const FROM_NO = `SELECT ${COLUMNS} FROM chunk c WHERE c.no >= ? ORDER BY c.no LIMIT ?`;
const BY_NO = `SELECT ${COLUMNS} FROM chunk c WHERE c.no = ?`;
const SHORT = `SELECT no FROM chunk INDEXED BY chunk_short
  WHERE copies < goal AND refs > 0 AND no >= ? ORDER BY no LIMIT ?`;
const OF_KEEPER = `SELECT chunk AS no FROM replica
  WHERE keeper = ? AND chunk >= ? ORDER BY chunk LIMIT ?`;
const INODES = `SELECT inode FROM extent INDEXED BY extent_chunk
  WHERE chunk = ? ORDER BY chunk_offset, length, inode LIMIT ? OFFSET ?`;
const OF_FILE = `SELECT c.no, c.goal,
    (SELECT group_concat(keeper) FROM replica WHERE chunk = e.chunk) AS keepers
  FROM extent e CROSS JOIN chunk c ON c.no = e.chunk
  WHERE e.inode = ? AND e.seq >= ? ORDER BY e.seq LIMIT ?`;
const SIZE = "SELECT size FROM inode WHERE id = ?";
const TRASHED = "SELECT path FROM trash WHERE inode = ?";
const NAME = "SELECT parent, key FROM dentry INDEXED BY dentry_inode WHERE inode = ? LIMIT 1";

export class AuditReader {
  readonly #database: Database;
  readonly #store: Statements;

  /** Opens the catalog at `path`. Throws `local` when it is not there. */
  constructor(path: string) {
    this.#database = openCatalogForReading(path);
    this.#store = new Statements(this.#database);
  }

  /** The texts of the statements used so far; for tests that look at their plans. */
  get statements(): string[] {
    return this.#store.texts;
  }

  close(): void {
    this.#store.finalize();
    this.#database.close();
  }

  /** All chunks from number `fromNo` on, also those that nothing refers to. */
  chunks(fromNo: number, limit: number): AuditChunk[] {
    return this.#store.all<ChunkRow>(FROM_NO, fromNo, limit).map(record);
  }

  /** The chunk of this number. */
  chunk(no: number): AuditChunk | undefined {
    const row = this.#store.get<ChunkRow>(BY_NO, no);
    return row && record(row);
  }

  /** Numbers, from `fromNo` on, of chunks in use with fewer copies on record than their goal. */
  shortChunks(fromNo: number, limit: number): number[] {
    return this.#store.all<{ no: number }>(SHORT, fromNo, limit).map(({ no }) => no);
  }

  /** Numbers, from `fromNo` on, of chunks that a keeper has on record. */
  chunksOfKeeper(keeper: number, fromNo: number, limit: number): number[] {
    return this.#store.all<{ no: number }>(OF_KEEPER, keeper, fromNo, limit).map(({ no }) => no);
  }

  /** Chunks that something refers to, in all. */
  chunksTotal(): number {
    const sql = "SELECT value FROM meta WHERE key = 'chunks'";
    return this.#store.get<{ value: number }>(sql)?.value ?? 0;
  }

  /** The files, by inode, that a chunk is part of; the first `skip` are left out. */
  filesOfChunk(no: number, skip: number, limit: number): number[] {
    return this.#store.all<{ inode: number }>(INODES, no, limit, skip).map(({ inode }) => inode);
  }

  /** A file's chunks from its extent `fromSeq` on, in their order. */
  chunksOfFile(inode: number, fromSeq: number, limit: number): FileChunk[] {
    return this.#store.all<FileChunkRow>(OF_FILE, inode, fromSeq, limit)
      .map(({ no, goal, keepers }) => ({ no, goal, keepers: parseNumbers(keepers) }));
  }

  /** How a file version is called; undefined when it is no more. */
  nameOf(inode: number): NamedFile | undefined {
    this.#store.run("BEGIN");
    try {
      const row = this.#store.get<{ size: number }>(SIZE, inode);
      if (row === undefined) return undefined;
      const trashed = this.#store.get<{ path: string }>(TRASHED, inode);
      if (trashed !== undefined) return { path: trashed.path, size: row.size, trashed: true };
      const path = this.#pathOf(inode);
      return path === undefined ? undefined : { path, size: row.size, trashed: false };
    } finally {
      this.#store.run("COMMIT");
    }
  }

  /**
   * The check of the catalog itself, from a step on: what each step finds broken, in words. See
   * `check.ts`.
   */
  *checkFrom(step: number): Generator<string[]> {
    for (const next of planCheck(this.#database).slice(step)) yield checkStep(this.#database, next);
  }

  /** The path of an inode that has a name, from the name upward. */
  #pathOf(inode: number): string | undefined {
    const names: string[] = [];
    for (let at = inode; at !== ROOT_INODE;) {
      const row = this.#store.get<{ parent: number; key: string }>(NAME, at);
      // A name that does not lead to the root is for the check of the catalog to tell.
      if (row === undefined || names.length > DEPTH_MAX) return undefined;
      names.push(parseKey(row.key).name);
      at = row.parent;
    }
    return names.reduceRight((path, name) => joinPath(path, name), ROOT);
  }
}

/** No path has more parts: each has a byte and a slash at least. */
const DEPTH_MAX = 4096;

function record(row: ChunkRow): AuditChunk {
  return { ...row, stray: row.stray === 1, keepers: parseNumbers(row.keepers) };
}

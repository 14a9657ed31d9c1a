/**
 * The chunks by what is to be done with them: too few copies, too many, in wrong places, on one
 * keeper, needed by nobody.
 */
import type { Statements } from "./statements.ts";

export interface ChunkRecord {
  /** Grows with each chunk: the cursor of all lists but `orphans`. */
  no: number;
  id: string;
  sizeBytes: number;
  /** Empty for a chunk that only an inventory has told of. */
  sums: Uint8Array;
  goal: number;
  /** Replica rows. */
  copies: number;
  /** Extents and places in uploads. */
  refs: number;
  /** Since when nothing refers to it; null while something does. */
  orphanedMs: number | null;
  /** The number of its policy; 0 for none. */
  policy: number;
  /** Replicas on keepers that the policy forbids. */
  misplaced: number;
  /** 1 while keepers alone have told of it. */
  stray: number;
  /** 1 for a pack. */
  packed: number;
  /** Not 0 where its files may want different goals or policies: see `wish.ts`. */
  parted: number;
  keepers: number[];
}

/** The place of the last chunk of a page of orphans. */
export type OrphanCursor = Pick<ChunkRecord, "no" | "orphanedMs">;

type Row = Omit<ChunkRecord, "keepers"> & { keepers: string | null };

const COLUMNS = `c.no, c.id, c.size AS sizeBytes, c.sums, c.goal, c.copies, c.refs,
  c.orphaned_ms AS orphanedMs, c.policy, c.misplaced, c.stray, c.packed, c.parted,
  (SELECT group_concat(keeper) FROM replica WHERE chunk = c.no) AS keepers`;
const BY_ID = `SELECT ${COLUMNS} FROM chunk c WHERE c.id = ?`;
const SHORT = `SELECT ${COLUMNS} FROM chunk c INDEXED BY chunk_short
  WHERE copies < goal AND refs > 0 AND no > ? ORDER BY no LIMIT ?`;
const SURPLUS = `SELECT ${COLUMNS} FROM chunk c INDEXED BY chunk_surplus
  WHERE copies > goal AND refs > 0 AND no > ? ORDER BY no LIMIT ?`;
const MISPLACED = `SELECT ${COLUMNS} FROM chunk c INDEXED BY chunk_misplaced
  WHERE misplaced > 0 AND refs > 0 AND no > ? ORDER BY no LIMIT ?`;
const OF_KEEPER = `SELECT ${COLUMNS} FROM replica r CROSS JOIN chunk c ON c.no = r.chunk
  WHERE r.keeper = ? AND r.chunk > ? ORDER BY r.chunk LIMIT ?`;
const ORPHANS = `SELECT ${COLUMNS} FROM chunk c INDEXED BY chunk_orphan
  WHERE refs = 0 AND copies > 0 AND stray = 0 AND (orphaned_ms, no) > (?, ?) AND orphaned_ms < ?
  ORDER BY orphaned_ms, no LIMIT ?`;
const STRAYS = `SELECT ${COLUMNS} FROM chunk c INDEXED BY chunk_stray
  WHERE refs = 0 AND copies > 0 AND stray = 1 AND (orphaned_ms, no) > (?, ?) AND orphaned_ms < ?
  ORDER BY orphaned_ms, no LIMIT ?`;
const STRAY_SUM = `SELECT count(*) AS chunks, ifnull(sum(size), 0) AS bytes,
  ifnull(min(orphaned_ms), 0) AS sinceMs FROM chunk INDEXED BY chunk_stray
  WHERE refs = 0 AND copies > 0 AND stray = 1`;
const TOMBSTONES = `SELECT id FROM chunk INDEXED BY chunk_tombstone
  WHERE refs = 0 AND copies = 0 AND orphaned_ms < ? ORDER BY orphaned_ms LIMIT ?`;

export class ChunkReader {
  readonly #store: Statements;

  constructor(store: Statements) {
    this.#store = store;
  }

  /** The chunk with this id. */
  find(id: string): ChunkRecord | undefined {
    const row = this.#store.get<Row>(BY_ID, id);
    return row && record(row);
  }

  /** Chunks in use with fewer replicas than their goal. */
  short(afterNo: number, limit: number): ChunkRecord[] {
    return this.#store.all<Row>(SHORT, afterNo, limit).map(record);
  }

  /** Chunks in use with more replicas than their goal. */
  surplus(afterNo: number, limit: number): ChunkRecord[] {
    return this.#store.all<Row>(SURPLUS, afterNo, limit).map(record);
  }

  /** Chunks in use with replicas on keepers that their policy forbids. */
  misplaced(afterNo: number, limit: number): ChunkRecord[] {
    return this.#store.all<Row>(MISPLACED, afterNo, limit).map(record);
  }

  /** Chunks of which a keeper has a replica. */
  ofKeeper(keeperNumber: number, afterNo: number, limit: number): ChunkRecord[] {
    return this.#store.all<Row>(OF_KEEPER, keeperNumber, afterNo, limit).map(record);
  }

  /**
   * Chunks without references since before `beforeMs` that keepers have, the oldest first; strays
   * not among them.
   */
  orphans(beforeMs: number, limit: number, after?: OrphanCursor): ChunkRecord[] {
    return this.#unreferenced(ORPHANS, beforeMs, limit, after);
  }

  /** Chunks that keepers alone have told of, before `beforeMs`, the oldest first. */
  strays(beforeMs: number, limit: number, after?: OrphanCursor): ChunkRecord[] {
    return this.#unreferenced(STRAYS, beforeMs, limit, after);
  }

  /** Chunks that keepers alone have told of: how many, their bytes, the oldest one. */
  straySum(): { chunks: number; bytes: number; sinceMs: number } {
    return this.#store.get(STRAY_SUM) ?? { chunks: 0, bytes: 0, sinceMs: 0 };
  }

  /** Ids of chunks without references since before `beforeMs` and without replicas. */
  tombstones(beforeMs: number, limit: number): string[] {
    return this.#store.all<{ id: string }>(TOMBSTONES, beforeMs, limit).map(({ id }) => id);
  }

  #unreferenced(
    sql: string,
    beforeMs: number,
    limit: number,
    after: OrphanCursor | undefined,
  ): ChunkRecord[] {
    const afterMs = after?.orphanedMs ?? Number.MIN_SAFE_INTEGER;
    return this.#store.all<Row>(sql, afterMs, after?.no ?? 0, beforeMs, limit).map(record);
  }
}

/** Numbers as SQLite's `group_concat` joins them, in rising order. */
export function parseNumbers(text: string | null): number[] {
  return text === null ? [] : text.split(",").map(Number).sort((left, right) => left - right);
}

function record(row: Row): ChunkRecord {
  return { ...row, keepers: parseNumbers(row.keepers) };
}

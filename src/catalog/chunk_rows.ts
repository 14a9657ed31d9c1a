/**
 * The rows of chunks: the one place that changes `refs`, `copies`, `live`, `misplaced` and
 * `orphaned_ms`, and the counters over them. Invariants: orphaned_ms is NULL if and only if refs >
 * 0; a stray has no refs; live is 0 but for packs.
 */
import { assert, must } from "../base/assert.ts";
import type { ChunkFacts } from "./operation.ts";
import type { Tx } from "./transaction.ts";

/** How far the files of a chunk agree about where it is to be kept. */
export type Parted = typeof AGREED | typeof PARTED | typeof TORN;
/** All want the goal and the policy that it has. */
export const AGREED = 0;
/** They may want different ones: it has the highest goal, and requires all that any requires. */
export const PARTED = 1;
/** They require what no keeper can have together: no copy lies right. */
export const TORN = 2;

export interface ChunkRow {
  no: number;
  id: string;
  size: number;
  sums: Uint8Array;
  goal: number;
  refs: number;
  copies: number;
  orphaned_ms: number | null;
  committed: number;
  condemned: number;
  /** The number of its policy; 0 for none. */
  policy: number;
  /** Replicas on keepers that the policy forbids. */
  misplaced: number;
  /** 1 while keepers alone have told of it: the catalog may be an older one. */
  stray: number;
  /** 1 for a pack. */
  packed: number;
  /** Bytes of all files that were put in a pack, dead ones included. */
  filled: number;
  /** Bytes of a pack that extents refer to, each counted once, however many copies it is of. */
  live: number;
  /** Whether its files agree about its goal and policy: see `wish.ts`. */
  parted: Parted;
}

/**
 * What may change of a chunk: the numbers that count its rows, and what an inventory could not
 * know.
 */
export type ChunkChange = Partial<
  Omit<ChunkRow, "no" | "id" | "size" | "orphaned_ms" | "condemned" | "misplaced">
>;

/** SQL: keeper `k` lacks a label that policy `p` requires. */
export const FORBIDDEN = `EXISTS (SELECT 1 FROM json_each(p.require) w WHERE NOT EXISTS (
    SELECT 1 FROM json_each(k.labels) l WHERE l.key = w.key AND l.value = w.value))`;

const COLUMNS = `no, id, size, sums, goal, refs, copies, orphaned_ms, committed, condemned, policy,
  misplaced, stray, packed, filled, live, parted`;
const BY_ID = `SELECT ${COLUMNS} FROM chunk WHERE id = ?`;
const BY_NO = `SELECT ${COLUMNS} FROM chunk WHERE no = ?`;
const INSERT = `INSERT INTO chunk
  (id, size, sums, goal, refs, copies, orphaned_ms, committed, policy, stray, packed)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const UPDATE = "UPDATE chunk SET refs = ?, copies = ?, live = ?, orphaned_ms = ? WHERE no = ?";
const UPDATE_ALL = `UPDATE chunk SET sums = ?, goal = ?, committed = ?, policy = ?, misplaced = ?,
  stray = ?, packed = ?, filled = ?, parted = ?, refs = ?, copies = ?, live = ?, orphaned_ms = ?
  WHERE no = ?`;
const RETAIN = "UPDATE chunk SET refs = refs + 1 WHERE no = ? AND refs > 0";
const MISPLACED = `SELECT count(*) AS n FROM policy p CROSS JOIN replica r
  CROSS JOIN keeper k ON k.number = r.keeper
  WHERE p.no = ? AND r.chunk = ? AND ${FORBIDDEN}`;

/** The chunk with this id. */
export function findChunk(tx: Tx, id: string): ChunkRow | undefined {
  return tx.get<ChunkRow>(BY_ID, id);
}

/** The chunk with this number: it must be there, for a row refers to it. */
export function getChunk(tx: Tx, no: number): ChunkRow {
  return must(tx.get<ChunkRow>(BY_NO, no), "a chunk that a row refers to");
}

/**
 * Adds a chunk with so many references and replicas, whose rows the caller adds: see
 * `recountChunk`. Returns its number.
 */
export function addChunk(
  tx: Tx,
  facts: Omit<ChunkFacts, "policy">,
  counts: Pick<ChunkRow, "refs" | "copies" | "committed" | "policy" | "stray" | "packed">,
  atMs: number,
): number {
  const { refs, copies, committed, policy, stray, packed } = counts;
  const orphanedMs = refs > 0 ? null : atMs;
  const { id, sizeBytes, sums, goal } = facts;
  const values = [id, sizeBytes, sums, goal, refs, copies, orphanedMs, committed, policy, stray];
  const { rowid } = tx.run(INSERT, ...values, packed);
  countChunk(tx, { refs, copies, goal, misplaced: 0 }, 1);
  return rowid;
}

/**
 * Changes a chunk's row; what the change says of `copies` has been done to the replica rows before.
 * `atMs` is when it became unreferenced, if it does.
 */
export function changeChunk(tx: Tx, row: ChunkRow, change: ChunkChange, atMs: number): void {
  const next = { ...row, ...change };
  assert(next.refs >= 0 && next.copies >= 0, "a chunk's counts are not negative");
  assert(next.refs === 0 || next.stray === 0, "a chunk that is needed is no stray");
  assert(next.live >= 0 && (next.live === 0 || next.packed === 1), "only packs count what lives");
  const orphanedMs = next.refs > 0 ? null : row.orphaned_ms ?? atMs;
  const moved = "copies" in change || "policy" in change || "parted" in change;
  if (moved) next.misplaced = countMisplaced(tx, next);
  const { sums, goal, committed, policy, misplaced, stray, packed, filled, parted } = next;
  const { refs, copies, live, no } = next;
  const facts = [sums, goal, committed, policy, misplaced, stray, packed, filled, parted] as const;
  const counted = sums === row.sums && goal === row.goal && committed === row.committed &&
    policy === row.policy && misplaced === row.misplaced && stray === row.stray &&
    packed === row.packed && filled === row.filled && parted === row.parted;
  if (counted) tx.run(UPDATE, refs, copies, live, orphanedMs, no);
  else tx.run(UPDATE_ALL, ...facts, refs, copies, live, orphanedMs, no);
  countChunk(tx, row, -1);
  countChunk(tx, next, 1);
}

/** One reference more, whose row is there, to bytes of a chunk that something else refers to. */
export function retainChunk(tx: Tx, no: number): void {
  assert(tx.run(RETAIN, no).changes === 1, "a chunk that is shared is in use");
}

/** Counts anew which replicas of a chunk are misplaced, after rows or labels have changed. */
export function recountChunk(tx: Tx, no: number): void {
  const row = getChunk(tx, no);
  const misplaced = countMisplaced(tx, row);
  if (misplaced === row.misplaced) return;
  tx.run("UPDATE chunk SET misplaced = ? WHERE no = ?", misplaced, no);
  countChunk(tx, row, -1);
  countChunk(tx, { ...row, misplaced }, 1);
}

/** One reference of an upload less: its row is gone. */
export function releaseChunk(tx: Tx, no: number, atMs: number): void {
  loseReferences(tx, getChunk(tx, no), { refs: 1, bytes: 0 }, atMs);
}

/** So many references less, whose rows are gone; of a pack `bytes` have no other any more. */
export function loseReferences(
  tx: Tx,
  row: ChunkRow,
  { refs, bytes }: { refs: number; bytes: number },
  atMs: number,
): void {
  changeChunk(tx, row, { refs: row.refs - refs, live: row.live - row.packed * bytes }, atMs);
}

/** From now on its replicas may be deleted, and no report makes it a part of a file any more. */
export function condemnChunk(tx: Tx, row: ChunkRow): void {
  assert(row.refs === 0, "a chunk that is condemned is not needed");
  tx.run("UPDATE chunk SET condemned = 1 WHERE no = ?", row.no);
}

/** Forgets a chunk that nothing refers to and that no keeper has. */
export function removeChunk(tx: Tx, row: ChunkRow): void {
  assert(row.refs === 0 && row.copies === 0, "a chunk that is forgotten has no rows");
  tx.run("DELETE FROM chunk WHERE no = ?", row.no);
}

/** Adds a chunk's replica rows where they are missing. Returns how many were. */
export function addReplicas(
  tx: Tx,
  { no, size }: Pick<ChunkRow, "no" | "size">,
  keepers: number[],
): number {
  let added = 0;
  for (const keeper of keepers) {
    const sql = "INSERT OR IGNORE INTO replica (chunk, keeper) VALUES (?, ?)";
    if (tx.run(sql, no, keeper).changes === 0) continue;
    tx.hold(keeper, 1, size);
    added++;
  }
  return added;
}

/** Removes a replica row, and counts it. Returns whether it was there. */
export function dropReplica(tx: Tx, row: ChunkRow, keeper: number, atMs: number): boolean {
  const sql = "DELETE FROM replica WHERE chunk = ? AND keeper = ?";
  if (tx.run(sql, row.no, keeper).changes === 0) return false;
  tx.hold(keeper, -1, -row.size);
  changeChunk(tx, row, { copies: row.copies - 1 }, atMs);
  return true;
}

/** A chunk without a policy costs nothing here. */
function countMisplaced(
  tx: Tx,
  { no, policy, parted, copies }: Pick<ChunkRow, "no" | "policy" | "parted" | "copies">,
): number {
  if (parted === TORN) return copies;
  return policy === 0 ? 0 : tx.get<{ n: number }>(MISPLACED, policy, no)?.n ?? 0;
}

function countChunk(
  tx: Tx,
  row: Pick<ChunkRow, "refs" | "copies" | "goal" | "misplaced">,
  sign: 1 | -1,
): void {
  if (row.refs === 0) return;
  tx.count("chunks", sign);
  if (row.copies < row.goal) tx.count("chunks_short", sign);
  if (row.copies === 0) tx.count("chunks_lost", sign);
  if (row.misplaced > 0) tx.count("chunks_misplaced", sign);
}

/**
 * What the files of a chunk want of its copies: how many, and on which keepers. Where they differ
 * the chunk is *parted*: it is held as none of them could complain of, with the highest goal, and
 * with all the labels that any of them requires, until compaction gives each kind a pack of its
 * own. What lies in the trash wants nothing.
 */
import { must } from "../base/assert.ts";
import { AGREED, changeChunk, type ChunkRow, PARTED, type Parted, TORN } from "./chunk_rows.ts";
import type { PolicyFacts } from "./operation.ts";
import { policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";

/** What one file wants: the number of its copies, and that of its policy. */
export interface Wish {
  goal: number;
  policy: number;
}

/** How a chunk is held for all of its files. */
export interface Placing extends Wish {
  parted: Parted;
}

/**
 * Extents of a chunk that are looked at to learn what all of its files want: more than a pack has
 * files. Of one with more (it is full of copies) wishes are only added, never taken back, until
 * compaction has emptied it.
 */
export const WISHES_MAX = 4_096;

const WISHES = `SELECT i.goal, i.policy
  FROM extent e INDEXED BY extent_chunk CROSS JOIN inode i ON i.id = e.inode
  WHERE e.chunk = ? AND NOT EXISTS (SELECT 1 FROM trash WHERE inode = e.inode)
  ORDER BY e.chunk_offset, e.length, e.inode LIMIT ${WISHES_MAX}`;
const UPLOAD_GOAL = `SELECT max(o.goal) AS goal FROM upload_chunk u
  CROSS JOIN upload o ON o.id = u.upload WHERE u.chunk = ?`;
const POLICY = "SELECT require, prefer FROM policy WHERE no = ?";

/** How a chunk is to be held that is held as `placing` says, and gets a file with this wish. */
export function joinWish(tx: Tx, placing: Placing | undefined, { goal, policy }: Wish): Placing {
  if (placing === undefined) return { goal, policy, parted: AGREED };
  if (placing.goal === goal && placing.policy === policy) return placing;
  const joined = joinPolicies(tx, placing.policy, policy);
  const parted = joined.isTorn || placing.parted === TORN ? TORN : PARTED;
  return { goal: Math.max(placing.goal, goal), policy: joined.policy, parted };
}

/**
 * Has a chunk held as its files want now; `wish` is that of the file which has changed. Returns
 * whether that changes anything.
 */
export function placeChunk(tx: Tx, row: ChunkRow, wish: Wish, atMs: number): boolean {
  return hold(
    tx,
    row,
    row.refs === 1 ? { ...wish, parted: AGREED } : placingOf(tx, row, wish),
    atMs,
  );
}

/** Has a chunk held for one file more with this wish, whatever its others want. */
export function addWish(tx: Tx, row: ChunkRow, wish: Wish, atMs: number): void {
  hold(tx, row, joinWish(tx, row, wish), atMs);
}

/**
 * Has a pack held as its named files want now, so that it need not be parted any more when they
 * agree. One of trash alone stays as it is; one with too many copies, too.
 */
export function settleChunk(tx: Tx, row: ChunkRow, atMs: number): void {
  if (row.refs > WISHES_MAX) return;
  const { goal, policy } = row;
  hold(tx, row, wishOfAll(tx, row) ?? { goal, policy, parted: AGREED }, atMs);
}

function placingOf(tx: Tx, row: ChunkRow, wish: Wish): Placing {
  if (row.refs > WISHES_MAX) return joinWish(tx, row, wish);
  const files = wishOfAll(tx, row);
  if (row.packed === 1) return files ?? row;
  const goal = tx.get<{ goal: number | null }>(UPLOAD_GOAL, row.no)?.goal ?? 0;
  if (files !== undefined) return { ...files, goal: Math.max(files.goal, goal) };
  return { goal: goal > 0 ? goal : wish.goal, policy: wish.policy, parted: AGREED };
}

/** What all named files of a chunk want together; undefined: there are none. */
function wishOfAll(tx: Tx, { no }: ChunkRow): Placing | undefined {
  const wishes = new Map<string, Wish>();
  for (const wish of tx.all<Wish>(WISHES, no)) wishes.set(`${wish.goal} ${wish.policy}`, wish);
  let placing: Placing | undefined;
  for (const wish of wishes.values()) placing = joinWish(tx, placing, wish);
  return placing;
}

function hold(tx: Tx, row: ChunkRow, { goal, policy, parted }: Placing, atMs: number): boolean {
  if (row.goal === goal && row.policy === policy && row.parted === parted) return false;
  changeChunk(tx, row, { goal, policy, parted }, atMs);
  return true;
}

/** The policy that requires what both require; torn when no keeper can have all of it. */
function joinPolicies(tx: Tx, one: number, other: number): { policy: number; isTorn: boolean } {
  if (one === other) return { policy: one, isTorn: false };
  const [left, right] = [factsOf(tx, one), factsOf(tx, other)];
  const isTorn = Object.entries(left.require)
    .some(([key, value]) => (right.require[key] ?? value) !== value);
  const require = { ...left.require, ...right.require };
  const prefer = { ...right.prefer, ...left.prefer };
  return { policy: policyNumber(tx, { require, prefer }), isTorn };
}

function factsOf(tx: Tx, no: number): PolicyFacts {
  if (no === 0) return { require: {}, prefer: {} };
  const row = must(tx.get<{ require: string; prefer: string }>(POLICY, no), "a policy on record");
  return { require: JSON.parse(row.require), prefer: JSON.parse(row.prefer) };
}

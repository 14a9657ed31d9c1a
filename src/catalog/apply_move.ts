/**
 * What compaction does to packs: moves files from one into another, a bounded number at a time, and
 * has those settled whose files agree again.
 */
import { TydfsError } from "../wire/errors.ts";
import { changeChunk, type ChunkRow, findChunk, loseReferences } from "./chunk_rows.ts";
import type { Operation, PackMove, PlaceCursor, ResultOf } from "./operation.ts";
import { checkCopies, checkPlace, findPack, liveBytes } from "./pack_places.ts";
import { policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";
import { joinWish, type Placing, settleChunk, type Wish } from "./wish.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** What one pack loses to another. */
interface Loss {
  row: ChunkRow;
  extents: number;
  bytes: number;
}

interface ExtentRow extends Wish {
  inode: number;
  seq: number;
  length: number;
}

const AT_PLACE = `SELECT e.inode, e.seq, e.length, i.goal, i.policy
  FROM extent e INDEXED BY extent_chunk CROSS JOIN inode i ON i.id = e.inode
  WHERE e.chunk = ? AND e.chunk_offset = ? AND (e.length, e.inode) > (?, ?) AND e.length <= ?
  ORDER BY e.length, e.inode LIMIT ?`;
const MOVE = "UPDATE extent SET chunk = ?, chunk_offset = ? WHERE inode = ? AND seq = ?";
const TRASHED = "SELECT inode FROM trash WHERE inode = ?";

/** Before all extents of a place. */
const START: PlaceCursor = { length: 0, inode: 0 };

/** Moves what lies in packs into another one: `pack.move`. */
export function movePacked(
  tx: Tx,
  operation: Of<"pack.move">,
  sequence: number,
): ResultOf<"pack.move"> {
  const { moves, minCopies, atMs } = operation;
  const cannot = `Cannot move files into pack "${operation.to}"`;
  const to = findPack(tx, operation.to, cannot);
  checkCopies(to, minCopies, cannot);
  for (const { from, toOffset, length } of moves) {
    if (from === to.id) throw new TydfsError("invalid", `${cannot}: they lie there`);
    checkPlace({ offset: toOffset, sizeBytes: length }, to, cannot);
  }
  const mover = new Mover(tx, to, operation);
  const next = mover.moveAll();
  const lost = mover.losses.filter(({ extents }) => extents > 0);
  const [first] = lost;
  const more = next === undefined ? {} : { next };
  if (first === undefined) {
    if (next !== undefined) changeChunk(tx, to, { filled: to.filled + mover.filled }, atMs);
    return { moved: 0, ...more };
  }
  for (const { row, extents: refs, bytes } of lost) loseReferences(tx, row, { refs, bytes }, atMs);
  const moved = lost.reduce((sum, { extents }) => sum + extents, 0);
  const { goal, policy, parted } = mover.placing ?? first.row;
  // From now on no report makes files of it.
  const committed = to.committed > 0 ? to.committed : sequence;
  const gained = { refs: to.refs + moved, live: to.live + mover.gained };
  const filled = to.filled + mover.filled;
  const placed = { goal, policy, parted, committed, stray: 0 };
  changeChunk(tx, to, { ...gained, filled, ...placed }, atMs);
  return { moved, ...more };
}

/** Has packs held as their files want now: `pack.settle`. */
export function settlePacks(tx: Tx, operation: Of<"pack.settle">): Record<string, never> {
  for (const id of operation.chunks) {
    const row = findChunk(tx, id);
    if (row?.packed === 1 && row.refs > 0) settleChunk(tx, row, operation.atMs);
  }
  return {};
}

/** Moves extents, and adds up what packs lose and gain by it. */
class Mover {
  /** Bytes that live in the new pack now and did not before, and those that were put there. */
  gained = 0;
  filled = 0;
  /** How the new pack is to be held; undefined while nothing with a name has come into it. */
  placing: Placing | undefined;
  readonly #tx: Tx;
  readonly #to: ChunkRow;
  readonly #operation: Of<"pack.move">;
  readonly #wish: Wish | undefined;
  readonly #losses = new Map<string, Loss | undefined>();
  #left: number;

  constructor(tx: Tx, to: ChunkRow, operation: Of<"pack.move">) {
    const { wish, limit = Infinity } = operation;
    this.#tx = tx;
    this.#to = to;
    this.#operation = operation;
    this.#wish = wish && { goal: wish.goal, policy: policyNumber(tx, wish.policy) };
    this.#left = limit;
    this.placing = to.refs > 0 ? to : undefined;
  }

  get losses(): Loss[] {
    return [...this.#losses.values()].filter((loss) => loss !== undefined);
  }

  /** Moves all, as far as the limit reaches; where to go on, if that is not the end. */
  moveAll(): ResultOf<"pack.move">["next"] {
    for (const [index, move] of this.#operation.moves.entries()) {
      const cursor = index === 0 ? this.#operation.after : undefined;
      if (this.#left <= 0) return { index };
      // What was begun before has been counted.
      if (cursor === undefined) this.filled += move.length;
      const loss = this.#lossOf(move.from);
      const after = loss === undefined ? undefined : this.#moveOne(move, loss, cursor ?? START);
      if (after !== undefined) return { index, after };
    }
    return undefined;
  }

  /** Moves what lies at one place; returns where to go on when there may be more. */
  #moveOne(move: PackMove, loss: Loss, after: PlaceCursor): PlaceCursor | undefined {
    const { row: { no } } = loss;
    const { fromOffset, toOffset, length } = move;
    const limit = Math.min(this.#left, Number.MAX_SAFE_INTEGER);
    const cursor = [after.length, after.inode] as const;
    const rows = this.#tx.all<ExtentRow>(AT_PLACE, no, fromOffset, ...cursor, length, limit);
    this.#left -= rows.length;
    const taken = rows.filter((row) => this.#isWanted(row));
    const lengths = [...new Set(taken.map((row) => row.length))];
    const live = (chunk: number, offset: number) =>
      lengths.reduce((sum, length) => sum + liveBytes(this.#tx, chunk, offset, length), 0);
    const bytes = lengths.reduce((sum, length) => sum + length, 0);
    // Some may have come here before; of those that want something else some may stay there.
    this.gained += bytes - live(this.#to.no, toOffset);
    for (const row of taken) this.#take(row, move);
    loss.bytes += bytes - live(no, fromOffset);
    loss.extents += taken.length;
    const last = rows.at(-1);
    if (rows.length < limit || last === undefined) return undefined;
    return { length: last.length, inode: last.inode };
  }

  #isWanted({ goal, policy }: Wish): boolean {
    return this.#wish === undefined || (this.#wish.goal === goal && this.#wish.policy === policy);
  }

  #take({ inode, seq, goal, policy }: ExtentRow, { toOffset }: PackMove): void {
    this.#tx.run(MOVE, this.#to.no, toOffset, inode, seq);
    const { placing } = this;
    if (placing?.goal === goal && placing.policy === policy) return;
    // The trash lies as well as those that have names, and wants nothing itself.
    if (this.#tx.get(TRASHED, inode) !== undefined) return;
    this.placing = joinWish(this.#tx, placing, { goal, policy });
  }

  /** What a pack loses; undefined: there is none of this id. */
  #lossOf(id: string): Loss | undefined {
    if (!this.#losses.has(id)) {
      const row = findChunk(this.#tx, id);
      this.#losses.set(id, row?.packed === 1 ? { row, extents: 0, bytes: 0 } : undefined);
    }
    return this.#losses.get(id);
  }
}

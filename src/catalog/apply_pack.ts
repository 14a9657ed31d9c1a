/** Packs: many files made of one chunk at once, and moved into another one by compaction. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { changeChunk, type ChunkRow, findChunk, loseReferences } from "./chunk_rows.ts";
import { checkTarget, switchFile } from "./commit.ts";
import type { NameEvent, Operation, PackedFacts, PackResult, ResultOf } from "./operation.ts";
import { policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";
import { type KnownDirectories, walk } from "./tree.ts";
import { supersedeUploads } from "./upload_rows.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** What one pack loses to another. */
interface Loss {
  row: ChunkRow;
  extents: number;
  bytes: number;
}

interface MadeRow {
  goal: number;
  replaced: number;
}

const INSERT_EXTENT = `INSERT INTO extent (inode, seq, offset, length, chunk, chunk_offset)
  VALUES (?, 0, 0, ?, ?, ?)`;
const ANY_UPLOAD = "SELECT id FROM upload LIMIT 1";
const MADE = "i.version = ? AND i.size = ? AND i.checksum = ?";
const MADE_HERE = `SELECT i.goal, i.replaced FROM inode i WHERE i.id = ? AND ${MADE}`;
const MADE_IN_TRASH = `SELECT i.goal, i.replaced FROM trash t INDEXED BY trash_path
  CROSS JOIN inode i ON i.id = t.inode WHERE t.path = ? AND ${MADE}`;
const MOVE = `UPDATE extent SET chunk = ?, chunk_offset = ?
  WHERE chunk = ? AND chunk_offset = ? AND length <= ? RETURNING length`;

/** Makes files of a pack: `pack.commit`. */
export function commitPack(
  tx: Tx,
  operation: Of<"pack.commit">,
  sequence: number,
): ResultOf<"pack.commit"> {
  const { files, minCopies, atMs } = operation;
  const cannot = `Cannot commit pack "${operation.chunk}"`;
  const row = findPack(tx, operation.chunk, cannot);
  if (row.committed > 0) return { files: repeatCommit(tx, files, row), events: [] };
  checkCopies(row, minCopies, cannot);
  checkPlaces(files, row, cannot);
  const maker = new FileMaker(tx, row, { atMs, sequence, goal: operation.goal });
  const results = files.map((file) => refusable(() => maker.make(file)));
  const { extents, bytes, events } = maker;
  const used = { refs: row.refs + extents, live: row.live + bytes, stray: 0 };
  const placed = extents === 0
    ? {}
    : { ...used, goal: operation.goal, policy: policyNumber(tx, operation.policy) };
  // Of files that were refused the bytes lie there as dead ones.
  const filled = row.filled + sumOf(files, ({ sizeBytes }) => sizeBytes);
  changeChunk(tx, row, { ...placed, filled, committed: sequence }, atMs);
  return { files: results, events };
}

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
  const losses = moveExtents(tx, moves, to.no);
  const lost = [...losses.values()].filter(({ extents }) => extents > 0);
  const first = lost[0];
  if (first === undefined) return { moved: 0 };
  const fresh = to.refs === 0;
  let [moved, bytes, goal] = [0, 0, fresh ? 0 : to.goal];
  for (const loss of lost) {
    const { row } = loss;
    moved += loss.extents;
    bytes += loss.bytes;
    goal = Math.max(goal, row.goal);
    loseReferences(tx, row, { refs: loss.extents, bytes: loss.bytes }, atMs);
  }
  const policy = fresh ? first.row.policy : to.policy;
  // From now on no report makes files of it.
  const committed = to.committed > 0 ? to.committed : sequence;
  const filled = to.filled + sumOf(moves, ({ length }) => length);
  const gained = { refs: to.refs + moved, live: to.live + bytes, filled };
  changeChunk(tx, to, { ...gained, goal, policy, committed, stray: 0 }, atMs);
  return { moved };
}

/** Makes the files of one commit, and adds up what they take of the pack. */
class FileMaker {
  readonly events: NameEvent[] = [];
  extents = 0;
  bytes = 0;
  readonly #tx: Tx;
  readonly #row: ChunkRow;
  readonly #version: { atMs: number; sequence: number; goal: number };
  readonly #known: KnownDirectories = new Map();
  readonly #paths = new Set<string>();
  /** Commits only end uploads: where none is now, none is to be looked for. */
  readonly #uploading: boolean;

  constructor(
    tx: Tx,
    row: ChunkRow,
    version: { atMs: number; sequence: number; goal: number },
  ) {
    this.#tx = tx;
    this.#row = row;
    this.#version = version;
    this.#uploading = tx.get(ANY_UPLOAD) !== undefined;
  }

  /** Makes a file. Throws what forbids it before anything has changed. */
  make(file: PackedFacts): PackResult {
    const { path, offset, sizeBytes, checksum } = file;
    const { atMs, sequence, goal } = this.#version;
    refuseTwice(this.#paths, path);
    const target = checkTarget(this.#tx, file, "commit", this.#known);
    const version = { sizeBytes, checksum, goal, atMs, sequence };
    const { inode, replaced, event } = switchFile(this.#tx, target, file, version);
    this.#tx.run(INSERT_EXTENT, inode, sizeBytes, this.#row.no, offset);
    if (this.#uploading) supersedeUploads(this.#tx, path, atMs);
    this.extents++;
    this.bytes += sizeBytes;
    this.events.push(event);
    const { copies } = this.#row;
    const facts = { path, version: sequence, sizeBytes, checksum, copies, goal, replaced };
    return { ok: true, file: facts };
  }
}

/**
 * What the first commit has answered, of the files that it made: those that have its version, and
 * still the name that it gave them, or lie in the trash by it.
 */
function repeatCommit(tx: Tx, files: PackedFacts[], row: ChunkRow): PackResult[] {
  const known: KnownDirectories = new Map();
  const paths = new Set<string>();
  const { committed: version, copies } = row;
  return files.map((file) =>
    refusable(() => {
      const { path, sizeBytes, checksum } = file;
      refuseTwice(paths, path);
      const place = walk(tx, path, known);
      const facts = [version, sizeBytes, checksum] as const;
      const here = place.kind === "found"
        ? tx.get<MadeRow>(MADE_HERE, place.inode, ...facts)
        : undefined;
      const made = here ?? tx.get<MadeRow>(MADE_IN_TRASH, path, ...facts);
      if (made === undefined) {
        const state = "its pack was committed before without it, or it was moved or removed since";
        throw new TydfsError("conflict", `Cannot commit ${quotePath(path)}: ${state}`);
      }
      const { goal } = made;
      const replaced = made.replaced === 1;
      return { ok: true, file: { path, version, sizeBytes, checksum, copies, goal, replaced } };
    })
  );
}

/** Moves the extents themselves, and adds up what each pack loses: by its id. */
function moveExtents(tx: Tx, moves: Of<"pack.move">["moves"], to: number): Map<string, Loss> {
  const losses = new Map<string, Loss>();
  const unknown = new Set<string>();
  for (const { from, fromOffset, length, toOffset } of moves) {
    let loss = losses.get(from);
    if (loss === undefined && !unknown.has(from)) {
      const row = findChunk(tx, from);
      if (row?.packed === 1) losses.set(from, loss = { row, extents: 0, bytes: 0 });
      else unknown.add(from);
    }
    if (loss === undefined) continue;
    for (
      const moved of tx.all<{ length: number }>(MOVE, to, toOffset, loss.row.no, fromOffset, length)
    ) {
      loss.extents++;
      loss.bytes += moved.length;
    }
  }
  return losses;
}

/** The pack of this id. Throws `not-found`, and `expired` for one that was condemned. */
/**
 * Throws `not-found`; of a pack that is on its way out `expired` when it was never committed, and
 * `conflict` when what it had is gone: only then may a commit have been done that was not answered.
 */
function findPack(tx: Tx, id: string, cannot: string): ChunkRow {
  const row = findChunk(tx, id);
  if (row?.packed !== 1) throw new TydfsError("not-found", `${cannot}: there is no such pack`);
  if (row.condemned === 0) return row;
  if (row.committed > 0) throw new TydfsError("conflict", `${cannot}: its files are gone again`);
  throw new TydfsError("expired", `${cannot}: it waited too long for its use and was removed`);
}

/** Throws `no-keepers` while a pack has too few copies: that may pass. */
function checkCopies(row: ChunkRow, minCopies: number, cannot: string): void {
  if (row.copies >= minCopies) return;
  throw new TydfsError("no-keepers", `${cannot}: it has ${row.copies} of ${minCopies} copies`);
}

/** Throws `invalid` for files that lie outside of their pack, or overlap. */
function checkPlaces(files: PackedFacts[], row: ChunkRow, cannot: string): void {
  let end = 0;
  for (const file of [...files].sort((left, right) => left.offset - right.offset)) {
    checkPlace(file, row, cannot);
    // An empty file takes no place.
    if (file.sizeBytes === 0) continue;
    if (file.offset < end) throw new TydfsError("invalid", `${cannot}: files overlap`);
    end = file.offset + file.sizeBytes;
  }
}

function checkPlace(
  { offset, sizeBytes }: Pick<PackedFacts, "offset" | "sizeBytes">,
  { size }: ChunkRow,
  cannot: string,
): void {
  if (offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= size) return;
  const state = `${sizeBytes} bytes at ${offset} are not within its ${size} bytes`;
  throw new TydfsError("invalid", `${cannot}: ${state}`);
}

function sumOf<T>(list: readonly T[], of: (item: T) => number): number {
  return list.reduce((sum, item) => sum + of(item), 0);
}

/** Throws `conflict` for a path that a pack has twice. */
function refuseTwice(paths: Set<string>, path: string): void {
  if (paths.has(path)) {
    const state = "another file of its pack has this path";
    throw new TydfsError("conflict", `Cannot commit ${quotePath(path)}: ${state}`);
  }
  paths.add(path);
}

/** What a file's making says, or why it is refused: the others go on. */
function refusable(make: () => PackResult): PackResult {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof TydfsError)) throw error;
    return { ok: false, code: error.code, message: error.message };
  }
}

/** Packs: many files made of one chunk at once. What moves them is in `apply_move.ts`. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { AGREED, changeChunk, type ChunkRow } from "./chunk_rows.ts";
import { checkTarget, switchFile, type VersionFacts } from "./commit.ts";
import type { NameEvent, Operation, PackedFacts, PackResult, ResultOf } from "./operation.ts";
import { checkCopies, checkPlace, findPack } from "./pack_places.ts";
import { policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";
import { type KnownDirectories, walk } from "./tree.ts";
import { supersedeUploads } from "./upload_rows.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** What all files of a commit have. */
type Version = Pick<VersionFacts, "atMs" | "sequence" | "goal" | "policy">;

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
  const wish = { goal: operation.goal, policy: policyNumber(tx, operation.policy) };
  const maker = new FileMaker(tx, row, { atMs, sequence, ...wish });
  const results = files.map((file) => refusable(() => maker.make(file)));
  const { extents, bytes, events } = maker;
  const used = { refs: row.refs + extents, live: row.live + bytes, stray: 0 };
  const placed = extents === 0 ? {} : { ...used, ...wish, parted: AGREED };
  // Of files that were refused the bytes lie there as dead ones.
  const filled = row.filled + sumOf(files, ({ sizeBytes }) => sizeBytes);
  changeChunk(tx, row, { ...placed, filled, committed: sequence }, atMs);
  return { files: results, events };
}

/** Makes the files of one commit, and adds up what they take of the pack. */
class FileMaker {
  readonly events: NameEvent[] = [];
  extents = 0;
  bytes = 0;
  readonly #tx: Tx;
  readonly #row: ChunkRow;
  readonly #version: Version;
  readonly #known: KnownDirectories = new Map();
  readonly #paths = new Set<string>();
  /** Commits only end uploads: where none is now, none is to be looked for. */
  readonly #uploading: boolean;

  constructor(
    tx: Tx,
    row: ChunkRow,
    version: Version,
  ) {
    this.#tx = tx;
    this.#row = row;
    this.#version = version;
    this.#uploading = tx.get(ANY_UPLOAD) !== undefined;
  }

  /** Makes a file. Throws what forbids it before anything has changed. */
  make(file: PackedFacts): PackResult {
    const { path, offset, sizeBytes, checksum } = file;
    const { goal } = this.#version;
    refuseTwice(this.#paths, path);
    const target = checkTarget(this.#tx, file, "commit", this.#known);
    const version = { sizeBytes, checksum, ...this.#version };
    const { inode, replaced, event } = switchFile(this.#tx, target, file, version);
    this.#tx.run(INSERT_EXTENT, inode, sizeBytes, this.#row.no, offset);
    if (this.#uploading) supersedeUploads(this.#tx, path, version.atMs);
    this.extents++;
    this.bytes += sizeBytes;
    this.events.push(event);
    const { copies } = this.#row;
    const facts = { path, version: version.sequence, sizeBytes, checksum, copies, goal, replaced };
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

/** Chunks that keepers have made durable, and chunks that are forgotten. */
import { must } from "../base/assert.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { blockCount, fileChecksum, sameSums, SUM_BYTES } from "../wire/sums.ts";
import {
  addChunk,
  addReplicas,
  AGREED,
  changeChunk,
  type ChunkRow,
  condemnChunk,
  dropReplica,
  findChunk,
  getChunk,
  recountChunk,
  releaseChunk,
  removeChunk,
} from "./chunk_rows.ts";
import { checkTarget, switchFile, type Target } from "./commit.ts";
import { keeperNumber } from "./apply_keeper.ts";
import { rememberCommit } from "./apply_upload.ts";
import { policyNumber } from "./policy.ts";
import type { ChunkFacts, CommittedFile, Operation, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";
import { isDropped, releaseUpload, supersedeUploads } from "./upload_rows.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;
type Stored = Of<"chunk.stored">;

/** What is to be done with a stored chunk besides its replicas. */
type Use =
  | { kind: "none" }
  | { kind: "place"; place: NonNullable<Stored["place"]>; displaced: number | undefined }
  | { kind: "commit"; commit: NonNullable<Stored["commit"]>; target: Target }
  /** The commit was done before: `inode` is its file version. */
  | { kind: "repeated"; commit: NonNullable<Stored["commit"]>; inode: number };

const INSERT_EXTENT = `INSERT INTO extent (inode, seq, offset, length, chunk, chunk_offset)
  VALUES (?, 0, 0, ?, ?, 0)`;
const PLACE = `INSERT OR REPLACE INTO upload_chunk (upload, seq, offset, length, chunk)
  VALUES (?, ?, ?, ?, ?)`;
const HEARD = `UPDATE upload SET touched_ms = max(touched_ms, ?), superseded = 0
  WHERE id = ?`;
const COMMITTED_FILE = "SELECT id FROM inode WHERE id = ? AND kind = 'file'";

/** Records replicas of a chunk, and what it is for: `chunk.stored`. */
export function storeChunk(
  tx: Tx,
  operation: Stored,
  sequence: number,
): ResultOf<"chunk.stored"> {
  const { chunk, atMs } = operation;
  const found = findChunk(tx, chunk.id);
  const mistold = found !== undefined && isMistold(found, operation) ? found : undefined;
  const row = mistold === undefined ? found : undefined;
  checkFacts(chunk, row);
  checkPacked(operation, row);
  if (operation.place !== undefined || operation.commit !== undefined) refuseCondemned(found);
  const use = chooseUse(tx, operation, row);
  if (mistold !== undefined) forgetMistold(tx, mistold, atMs);
  switch (use.kind) {
    case "none":
      recordChunk(tx, operation, row, {});
      return {};
    case "place": {
      const { upload, seq, offset, late } = use.place;
      const no = recordChunk(tx, operation, row, { gained: 1 });
      if (use.displaced !== undefined) releaseChunk(tx, use.displaced, atMs);
      tx.run(PLACE, upload, seq, offset, chunk.sizeBytes, no);
      if (late !== true) tx.run(HEARD, atMs, upload);
      return {};
    }
    case "commit": {
      const { sizeBytes, goal } = chunk;
      const checksum = fileChecksum([chunk.sums]);
      const policy = policyNumber(tx, chunk.policy);
      const facts = { sizeBytes, checksum, goal, policy, atMs, sequence };
      const { upload, file } = use.commit;
      const { inode, event } = switchFile(tx, use.target, file, facts);
      const no = recordChunk(tx, operation, row, { gained: 1, committed: inode });
      tx.run(INSERT_EXTENT, inode, sizeBytes, no);
      releaseUpload(tx, upload, atMs);
      supersedeUploads(tx, file.path, atMs);
      const committed = describeCommit(tx, file.path, inode, no);
      rememberCommit(tx, upload, committed);
      return { committed, event };
    }
    case "repeated": {
      const no = recordChunk(tx, operation, row, {});
      return { committed: describeCommit(tx, use.commit.file.path, use.inode, no) };
    }
  }
}

/**
 * Marks the orphans whose replicas are to be deleted: `chunk.condemn`. A chunk that has found a use
 * since the caller looked is not among those that it answers.
 */
export function condemnChunks(tx: Tx, operation: Of<"chunk.condemn">): ResultOf<"chunk.condemn"> {
  const condemned: string[] = [];
  for (const id of operation.chunks) {
    const row = findChunk(tx, id);
    if (row === undefined || row.refs > 0) continue;
    if (must(row.orphaned_ms, "the time of an orphan") >= operation.beforeMs) continue;
    if (row.condemned === 0) condemnChunk(tx, row);
    condemned.push(id);
  }
  return { condemned };
}

/** Removes the rows of orphans without replicas: `chunk.forget`. */
export function forgetChunks(tx: Tx, operation: Of<"chunk.forget">): Record<string, never> {
  for (const id of operation.chunks) {
    const row = findChunk(tx, id);
    if (row === undefined || row.refs > 0 || row.copies > 0) continue;
    if (must(row.orphaned_ms, "the time of an orphan") < operation.beforeMs) removeChunk(tx, row);
  }
  return {};
}

/** Decides, and throws what forbids it, before anything changes. */
function chooseUse(tx: Tx, operation: Stored, row: ChunkRow | undefined): Use {
  const { place, commit } = operation;
  if (commit !== undefined) {
    const path = quotePath(commit.file.path);
    if (row !== undefined && row.committed > 0) {
      // Not any file of the chunk: a copy of it is another version.
      const file = tx.get<{ id: number }>(COMMITTED_FILE, row.committed);
      if (file !== undefined) return { kind: "repeated", commit, inode: file.id };
      const state = "it was committed before, and removed since";
      throw new TydfsError("conflict", `Cannot commit ${path}: ${state}`);
    }
    if (isDropped(tx, commit.upload)) {
      throw new TydfsError("expired", `Cannot commit ${path}: its upload was dropped`);
    }
    return { kind: "commit", commit, target: checkTarget(tx, commit.file, "commit") };
  }
  if (place === undefined) return { kind: "none" };
  const live = tx.get<{ id: string }>("SELECT id FROM upload WHERE id = ?", place.upload);
  if (live === undefined) return { kind: "none" };
  const there = tx.get<{ chunk: number; offset: number }>(
    "SELECT chunk, offset FROM upload_chunk WHERE upload = ? AND seq = ?",
    place.upload,
    place.seq,
  );
  if (there?.chunk === row?.no && there?.offset === place.offset) return { kind: "none" };
  if (there !== undefined && place.late === true) return { kind: "none" };
  return { kind: "place", place, displaced: there?.chunk };
}

/**
 * Writes the chunk's own row and its replicas: `gained` references more, and the inode that its
 * report has made, if any. Returns its number.
 */
function recordChunk(
  tx: Tx,
  operation: Stored,
  row: ChunkRow | undefined,
  use: { gained?: number; committed?: number },
): number {
  const { chunk, atMs } = operation;
  const { gained = 0, committed = row?.committed ?? 0 } = use;
  const known = operation.keepers.map((keeper) => keeperNumber(tx, keeper));
  const keepers = [...new Set(known)].filter((number) => number !== undefined);
  if (row === undefined) {
    const policy = policyNumber(tx, chunk.policy);
    const stray = operation.stray === true ? 1 : 0;
    const packed = operation.packed === true ? 1 : 0;
    const copies = keepers.length;
    const counts = { refs: gained, copies, committed, policy, stray, packed };
    const no = addChunk(tx, chunk, counts, atMs);
    addReplicas(tx, { no, size: chunk.sizeBytes }, keepers);
    if (policy > 0) recountChunk(tx, no);
    return no;
  }
  const copies = row.copies + addReplicas(tx, row, keepers);
  const refs = row.refs + gained;
  // What an inventory or a stray report recorded gets its true goal and place with its first use.
  const first = row.refs === 0 && gained === 1;
  const goal = first ? chunk.goal : row.goal;
  const policy = first ? policyNumber(tx, chunk.policy) : row.policy;
  const parted = first ? AGREED : row.parted;
  const sums = sameSums(row.sums, chunk.sums) ? row.sums : chunk.sums;
  // A client has told of it: this catalog is not too old to know it.
  const stray = operation.stray === true ? row.stray : 0;
  // An inventory may have told of a pack first. What is in use as something else stays that.
  const unused = row.refs === 0 && row.committed === 0;
  const packed = operation.packed === true && unused ? 1 : row.packed;
  changeChunk(tx, row, {
    ...{ refs, copies, goal, sums, committed, policy, stray, packed, parted },
  }, atMs);
  return row.no;
}

/**
 * Whether keepers alone have told of a chunk so far, and wrongly, as the client's word shows: a
 * copy of it may have been damaged before anybody reported it.
 */
function isMistold(row: ChunkRow, { chunk, stray }: Stored): boolean {
  if (row.stray === 0 || stray === true) return false;
  const isKnown = row.sums.length > 0;
  return row.size !== chunk.sizeBytes || (isKnown && !sameSums(row.sums, chunk.sums));
}

/** Forgets what keepers have told: an inventory tells them that theirs are bad copies. */
function forgetMistold(tx: Tx, { no }: ChunkRow, atMs: number): void {
  const keepers = tx.all<{ keeper: number }>("SELECT keeper FROM replica WHERE chunk = ?", no);
  for (const { keeper } of keepers) dropReplica(tx, getChunk(tx, no), keeper, atMs);
  removeChunk(tx, getChunk(tx, no));
}

/**
 * Throws `expired` for a condemned chunk: its replicas are being deleted or are gone, so it is of
 * no use any more. Copies of it are recorded all the same, else nobody would ever remove them.
 */
function refuseCondemned(row: ChunkRow | undefined): void {
  if (row?.condemned !== 1) return;
  const state = "it waited too long for its use and was removed";
  throw new TydfsError("expired", `Cannot record chunk "${row.id}": ${state}`);
}

/** Throws `invalid` for a pack that is to be a part of a file: `pack.commit` makes files of it. */
function checkPacked(operation: Stored, row: ChunkRow | undefined): void {
  if (operation.packed !== true && row?.packed !== 1) return;
  if (operation.place === undefined && operation.commit === undefined) return;
  const state = "it is a pack, and no file as a whole";
  throw new TydfsError("invalid", `Cannot record chunk "${operation.chunk.id}": ${state}`);
}

/**
 * Throws `invalid` for sums that don't fit the size, `conflict` when the chunk is known as another.
 */
function checkFacts(chunk: ChunkFacts, row: ChunkRow | undefined): void {
  const cannot = `Cannot record chunk "${chunk.id}"`;
  if (chunk.sums.length !== blockCount(chunk.sizeBytes) * SUM_BYTES) {
    const state = `${chunk.sums.length} bytes of sums are wrong for ${chunk.sizeBytes} bytes`;
    throw new TydfsError("invalid", `${cannot}: ${state}`);
  }
  if (row === undefined) return;
  if (row.size !== chunk.sizeBytes) {
    const state = `it has ${row.size} bytes, not ${chunk.sizeBytes}`;
    throw new TydfsError("conflict", `${cannot}: ${state}`);
  }
  // A chunk that only an inventory has told of has no sums yet.
  if (row.sums.length > 0 && !sameSums(row.sums, chunk.sums)) {
    throw new TydfsError("conflict", `${cannot}: it is known with other sums`);
  }
}

function describeCommit(tx: Tx, path: string, inode: number, no: number): CommittedFile {
  const sql = `SELECT version, size AS sizeBytes, checksum, goal, replaced
    FROM inode WHERE id = ?`;
  const row = must(
    tx.get<Omit<CommittedFile, "replaced"> & { replaced: number }>(sql, inode),
    "the inode of an extent",
  );
  return { ...row, path, copies: getChunk(tx, no).copies, replaced: row.replaced === 1 };
}

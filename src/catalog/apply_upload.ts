/** Uploads of several chunks: opened, renewed, interrupted, dropped, committed. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { fileChecksum } from "../wire/sums.ts";
import { getChunk } from "./chunk_rows.ts";
import { checkTarget, switchFile } from "./commit.ts";
import type { CommittedFile, FileFacts, Operation, ResultOf } from "./operation.ts";
import { policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";
import {
  closeUpload,
  findUpload,
  markDropped,
  pauseUpload,
  releaseChunksFrom,
  releaseUpload,
  storedBytes,
  supersedeUploads,
  takeOver,
  type UploadRow,
} from "./upload_rows.ts";
import { placeChunk, type Wish } from "./wish.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;
type Nothing = Record<string, never>;

/** Commits whose answers are kept for those who ask again. */
const COMMITTED_MAX = 10_000;

interface StoredChunk {
  seq: number;
  offset: number;
  length: number;
  copies: number;
  sums: Uint8Array;
  no: number;
  goal: number;
  policy: number;
}

const INSERT_UPLOAD = `INSERT INTO upload
  (id, path, mode, mtime_ms, owner, exclusive, goal, min_copies, started_ms, touched_ms, asked,
   size)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`;
const STORED_CHUNKS = `SELECT u.seq, u.offset, u.length, c.copies, c.sums,
    c.no, c.goal, c.policy
  FROM upload_chunk u JOIN chunk c ON c.no = u.chunk WHERE u.upload = ? AND u.seq < ?
  ORDER BY u.seq`;
const TO_EXTENTS = `INSERT INTO extent (inode, seq, offset, length, chunk, chunk_offset)
  SELECT ?, seq, offset, length, chunk, 0 FROM upload_chunk WHERE upload = ?`;
const INSERT_COMMITTED = `INSERT INTO committed
  (upload, path, version, size, checksum, copies, goal, replaced) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;

/** Opens an upload: `upload.begin`. */
export function beginUpload(tx: Tx, operation: Of<"upload.begin">): ResultOf<"upload.begin"> {
  const { upload, file, goal, minCopies, sizeBytes, resume, atMs } = operation;
  checkTarget(tx, file, "upload");
  const known = findUpload(tx, upload);
  if (known !== undefined || findCommitted(tx, upload) !== undefined) {
    if (known?.path === file.path) return { resumedBytes: storedBytes(tx, upload) };
    const cannot = `Cannot upload ${quotePath(file.path)}`;
    throw new TydfsError("conflict", `${cannot}: upload "${upload}" was begun before`);
  }
  const exclusive = file.exclusive ? 1 : 0;
  const { path, mode, mtimeMs, owner } = file;
  const facts = [upload, path, mode, mtimeMs, owner, exclusive, goal, minCopies, atMs, atMs];
  tx.run(INSERT_UPLOAD, ...facts, file.replicas ?? 0, sizeBytes ?? null);
  if (resume === undefined) return { resumedBytes: 0 };
  const policy = policyNumber(tx, resume.policy);
  takeOver(tx, { id: upload, path, goal, policy }, resume.idleBeforeMs, atMs);
  return { resumedBytes: storedBytes(tx, upload) };
}

/** Renews an upload, also one that is paused: `upload.touch`. */
export function touchUpload(tx: Tx, operation: Of<"upload.touch">): Nothing {
  const { upload, atMs } = operation;
  const sql = "UPDATE upload SET touched_ms = ?, paused = 0, superseded = 0 WHERE id = ?";
  const { changes } = tx.run(sql, atMs, upload);
  if (changes === 0) throw unknownUpload("renew", upload);
  return {};
}

/**
 * Drops or pauses an upload: `upload.abort`. Also one without a record is remembered as dropped: a
 * report of its only chunk may be under way.
 */
export function abortUpload(tx: Tx, operation: Of<"upload.abort">): ResultOf<"upload.abort"> {
  const { upload, keep, beforeMs, atMs } = operation;
  const committed = findCommitted(tx, upload);
  if (committed !== undefined) return { committed, kept: false };
  const heardMs = beforeMs === undefined ? undefined : findUpload(tx, upload)?.touched_ms;
  if (heardMs !== undefined && heardMs >= (beforeMs ?? 0)) return { kept: true };
  if (keep && pauseUpload(tx, upload)) return { kept: true };
  releaseUpload(tx, upload, atMs);
  markDropped(tx, upload);
  return { kept: false };
}

/** Makes a file of an upload: `upload.commit`. */
export function commitUpload(
  tx: Tx,
  operation: Of<"upload.commit">,
  sequence: number,
): ResultOf<"upload.commit"> {
  const { upload, sizeBytes, checksum, atMs } = operation;
  const before = findCommitted(tx, upload);
  if (before !== undefined) return before;
  const row = findUpload(tx, upload);
  if (row === undefined) throw unknownUpload("commit", upload);
  const { path, mode, owner } = row;
  const file: FileFacts = {
    path,
    mode,
    owner,
    mtimeMs: row.mtime_ms,
    exclusive: row.exclusive === 1,
    ...(row.asked === 0 ? {} : { replicas: row.asked }),
  };
  const target = checkTarget(tx, file, "commit");
  const chunks = tx.all<StoredChunk>(STORED_CHUNKS, upload, operation.chunks);
  checkStored(chunks, operation, row);
  const wish = wishOf(tx, operation, row, chunks);
  const { goal } = wish;
  const version = { sizeBytes, checksum, ...wish, atMs, sequence };
  const { inode, replaced, event } = switchFile(tx, target, file, version);
  // What it took over from a longer upload.
  releaseChunksFrom(tx, upload, operation.chunks, atMs);
  tx.run(TO_EXTENTS, inode, upload);
  // Each chunk's reference by the upload becomes one by the file: `refs` stays.
  closeUpload(tx, upload);
  supersedeUploads(tx, path, atMs);
  // Rules may have changed since some of them were placed.
  for (const { no, ...held } of chunks) {
    const isRight = held.goal === goal && held.policy === wish.policy;
    if (!isRight) placeChunk(tx, getChunk(tx, no), wish, atMs);
  }
  const copies = chunks.reduce((least, chunk) => Math.min(least, chunk.copies), Infinity);
  const committed = {
    path,
    version: sequence,
    sizeBytes,
    checksum,
    copies: chunks.length === 0 ? goal : copies,
    goal,
    replaced,
  };
  rememberCommit(tx, upload, committed);
  return { ...committed, event };
}

/** What a new file wants: what it asked for, else what the rules say by now. */
function wishOf(
  tx: Tx,
  { wish }: Of<"upload.commit">,
  { asked, goal }: UploadRow,
  chunks: StoredChunk[],
): Wish {
  // A master before this one has not told.
  if (wish === undefined) return { goal, policy: chunks[0]?.policy ?? 0 };
  return { goal: asked === 0 ? wish.goal : asked, policy: policyNumber(tx, wish.policy) };
}

/**
 * Throws `conflict` unless the chunks are whole and what the client says, `no-keepers` while one
 * has too few copies.
 */
function checkStored(
  chunks: StoredChunk[],
  operation: Of<"upload.commit">,
  upload: UploadRow,
): void {
  const cannot = `Cannot commit ${quotePath(upload.path)}`;
  const conflict = (state: string) => new TydfsError("conflict", `${cannot}: ${state}`);
  let offset = 0;
  for (const [index, chunk] of chunks.entries()) {
    if (chunk.seq !== index) break;
    if (chunk.offset !== offset) {
      throw conflict(`chunk ${index} starts at ${chunk.offset}, not at ${offset}`);
    }
    offset += chunk.length;
  }
  const missing = chunks.findIndex((chunk, index) => chunk.seq !== index);
  const stored = missing === -1 ? chunks.length : missing;
  if (stored < operation.chunks) {
    throw conflict(`chunk ${stored} of ${operation.chunks} is not stored`);
  }
  if (offset !== operation.sizeBytes) {
    throw conflict(`its chunks have ${offset} bytes, not ${operation.sizeBytes}`);
  }
  const checksum = fileChecksum(chunks.map((chunk) => chunk.sums));
  if (checksum !== operation.checksum) {
    throw conflict(`the checksum of its chunks is ${checksum}, not ${operation.checksum}`);
  }
  const weak = chunks.find((chunk) => chunk.copies < upload.min_copies);
  if (weak === undefined) return;
  const copies = `${weak.copies} of ${upload.min_copies} copies`;
  throw new TydfsError("no-keepers", `${cannot}: chunk ${weak.seq} has ${copies}`);
}

/** Keeps the answer of a commit for who asks again. */
export function rememberCommit(tx: Tx, upload: string, file: CommittedFile): void {
  const { path, version, sizeBytes, checksum, copies, goal } = file;
  const replaced = file.replaced ? 1 : 0;
  const facts = [upload, path, version, sizeBytes, checksum, copies, goal, replaced];
  const { rowid } = tx.run(INSERT_COMMITTED, ...facts);
  tx.run("DELETE FROM committed WHERE no <= ?", rowid - COMMITTED_MAX);
}

function findCommitted(tx: Tx, upload: string): CommittedFile | undefined {
  const sql = `SELECT path, version, size AS sizeBytes, checksum, copies, goal, replaced
    FROM committed WHERE upload = ?`;
  const row = tx.get<Omit<CommittedFile, "replaced"> & { replaced: number }>(sql, upload);
  return row && { ...row, replaced: row.replaced === 1 };
}

function unknownUpload(doing: string, upload: string): TydfsError {
  const state = "it is unknown or has run out";
  return new TydfsError("not-found", `Cannot ${doing} upload "${upload}": ${state}`);
}

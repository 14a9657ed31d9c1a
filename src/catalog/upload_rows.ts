/**
 * The rows of uploads and of the chunks that they have stored: closed, paused, taken over by the
 * next upload to the same path. A paused upload has at least one chunk.
 */
import { AGREED, changeChunk, getChunk, releaseChunk, retainChunk } from "./chunk_rows.ts";
import type { Statements } from "./statements.ts";
import type { Tx } from "./transaction.ts";

export interface UploadRow {
  id: string;
  path: string;
  mode: number;
  mtime_ms: number;
  owner: string;
  exclusive: number;
  goal: number;
  min_copies: number;
  touched_ms: number;
  paused: number;
  superseded: number;
  asked: number;
}

/** An upload that another one may take over. */
export interface ResumableUpload {
  id: string;
  touched_ms: number;
  paused: number;
}

/** Dropped uploads that are remembered. */
const DROPPED_MAX = 100_000;

const NEWEST = `SELECT u.id, u.touched_ms, u.paused FROM upload u
  WHERE u.path = ? AND u.id <> ? AND EXISTS (SELECT 1 FROM upload_chunk WHERE upload = u.id)
  ORDER BY u.touched_ms DESC, u.id DESC LIMIT 1`;
const DOUBLE = `INSERT INTO upload_chunk (upload, seq, offset, length, chunk)
  SELECT ?, seq, offset, length, chunk FROM upload_chunk WHERE upload = ?`;
const BELOW_GOAL = `SELECT u.chunk FROM upload_chunk u CROSS JOIN chunk c ON c.no = u.chunk
  WHERE u.upload = ? AND c.goal < ?`;
const OTHER_POLICY = `SELECT u.chunk FROM upload_chunk u CROSS JOIN chunk c ON c.no = u.chunk
  WHERE u.upload = ? AND (c.policy <> ? OR c.parted > 0)
    AND NOT EXISTS (SELECT 1 FROM extent WHERE chunk = c.no)`;

/** The upload with this id, under way or paused. */
export function findUpload(tx: Tx, upload: string): UploadRow | undefined {
  return tx.get<UploadRow>("SELECT * FROM upload WHERE id = ?", upload);
}

/**
 * The upload to `path`, other than `except`, of which something was heard last among those that
 * have stored chunks.
 */
export function findResumable(
  store: Statements,
  path: string,
  except: string,
): ResumableUpload | undefined {
  return store.get<ResumableUpload>(NEWEST, path, except);
}

/** Bytes of the chunks that an upload has stored. */
export function storedBytes(store: Statements, upload: string): number {
  const sql = "SELECT ifnull(sum(length), 0) AS bytes FROM upload_chunk WHERE upload = ?";
  return store.get<{ bytes: number }>(sql, upload)?.bytes ?? 0;
}

/**
 * Gives `upload` the chunks of the newest other upload to its path: that one is closed if it is
 * interrupted, else both have them. Their goal becomes this upload's where that is higher; their
 * policy becomes its own where no file has them: the rules may have changed.
 */
export function takeOver(
  tx: Tx,
  upload: { id: string; path: string; goal: number; policy: number },
  idleBeforeMs: number,
  atMs: number,
): void {
  const { id, path, goal, policy } = upload;
  const from = findResumable(tx, path, id);
  if (from === undefined) return;
  if (from.paused === 1 || from.touched_ms < idleBeforeMs) {
    // Each reference stays one: `refs` stays.
    tx.run("UPDATE upload_chunk SET upload = ? WHERE upload = ?", id, from.id);
    closeUpload(tx, from.id);
  } else {
    tx.run(DOUBLE, id, from.id);
    for (const { chunk } of chunksFrom(tx, id, 0)) retainChunk(tx, chunk);
  }
  for (const { chunk } of tx.all<{ chunk: number }>(BELOW_GOAL, id, goal)) {
    changeChunk(tx, getChunk(tx, chunk), { goal }, atMs);
  }
  for (const { chunk } of tx.all<{ chunk: number }>(OTHER_POLICY, id, policy)) {
    changeChunk(tx, getChunk(tx, chunk), { policy, parted: AGREED }, atMs);
  }
}

/**
 * Pauses an upload, if there is anything worth keeping: not without chunks, and not when nothing
 * was heard of it since a file was committed at its path. Returns whether there was.
 */
export function pauseUpload(tx: Tx, upload: string): boolean {
  const row = findUpload(tx, upload);
  if (row === undefined || row.superseded === 1) return false;
  const chunk = "SELECT seq FROM upload_chunk WHERE upload = ? LIMIT 1";
  if (tx.get<{ seq: number }>(chunk, upload) === undefined) return false;
  tx.run("UPDATE upload SET paused = 1 WHERE id = ?", upload);
  return true;
}

/**
 * A file has just been committed at a path: ends the paused uploads to it. One under way may have
 * been left too, which is not found out yet: it is worth keeping only once it is heard again.
 */
export function supersedeUploads(tx: Tx, path: string, atMs: number): void {
  const sql = "SELECT id, paused FROM upload WHERE path = ?";
  for (const { id, paused } of tx.all<{ id: string; paused: number }>(sql, path)) {
    if (paused === 1) releaseUpload(tx, id, atMs);
    else tx.run("UPDATE upload SET superseded = 1 WHERE id = ?", id);
  }
}

/** Ends an upload whose chunks it does not need: they lose its references. */
export function releaseUpload(tx: Tx, upload: string, atMs: number): void {
  releaseChunksFrom(tx, upload, 0, atMs);
  closeUpload(tx, upload);
}

/** Takes the chunks from number `seq` on away from an upload. */
export function releaseChunksFrom(tx: Tx, upload: string, seq: number, atMs: number): void {
  const chunks = chunksFrom(tx, upload, seq);
  if (chunks.length === 0) return;
  for (const { chunk } of chunks) releaseChunk(tx, chunk, atMs);
  tx.run("DELETE FROM upload_chunk WHERE upload = ? AND seq >= ?", upload, seq);
}

/** Ends an upload whose references to chunks have become another's. */
export function closeUpload(tx: Tx, upload: string): void {
  tx.run("DELETE FROM upload_chunk WHERE upload = ?", upload);
  tx.run("DELETE FROM upload WHERE id = ?", upload);
}

/** Remembers that an upload was dropped: a late report must not commit it. */
export function markDropped(tx: Tx, upload: string): void {
  const { rowid, changes } = tx.run("INSERT OR IGNORE INTO dropped (upload) VALUES (?)", upload);
  if (changes > 0) tx.run("DELETE FROM dropped WHERE no <= ?", rowid - DROPPED_MAX);
}

/** Whether an upload was dropped. */
export function isDropped(tx: Tx, upload: string): boolean {
  return tx.get("SELECT no FROM dropped WHERE upload = ?", upload) !== undefined;
}

function chunksFrom(tx: Tx, upload: string, seq: number): { chunk: number }[] {
  return tx.all("SELECT chunk FROM upload_chunk WHERE upload = ? AND seq >= ?", upload, seq);
}

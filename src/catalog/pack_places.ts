/** The places of a pack: runs of bytes that a file and its copies share. */
import { TydfsError } from "../wire/errors.ts";
import { type ChunkRow, findChunk } from "./chunk_rows.ts";
import type { PackedFacts } from "./operation.ts";
import type { Tx } from "./transaction.ts";

const AT_PLACE = `SELECT inode FROM extent INDEXED BY extent_chunk
  WHERE chunk = ? AND chunk_offset = ? AND length = ? LIMIT 1`;

/** Bytes that live at a place of a pack: none when nothing refers to it, whatever has copies. */
export function liveBytes(tx: Tx, chunk: number, offset: number, length: number): number {
  if (length === 0) return 0;
  return tx.get(AT_PLACE, chunk, offset, length) === undefined ? 0 : length;
}

/**
 * The pack of this id. Throws `not-found`; of a pack that is on its way out `expired` when it was
 * never committed, and `conflict` when what it had is gone: only then may a commit have been done
 * that was not answered.
 */
export function findPack(tx: Tx, id: string, cannot: string): ChunkRow {
  const row = findChunk(tx, id);
  if (row?.packed !== 1) throw new TydfsError("not-found", `${cannot}: there is no such pack`);
  if (row.condemned === 0) return row;
  if (row.committed > 0) throw new TydfsError("conflict", `${cannot}: its files are gone again`);
  throw new TydfsError("expired", `${cannot}: it waited too long for its use and was removed`);
}

/** Throws `no-keepers` while a pack has too few copies: that may pass. */
export function checkCopies(row: ChunkRow, minCopies: number, cannot: string): void {
  if (row.copies >= minCopies) return;
  throw new TydfsError("no-keepers", `${cannot}: it has ${row.copies} of ${minCopies} copies`);
}

/** Throws `invalid` for a place that is not within its pack. */
export function checkPlace(
  { offset, sizeBytes }: Pick<PackedFacts, "offset" | "sizeBytes">,
  { size }: ChunkRow,
  cannot: string,
): void {
  if (offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= size) return;
  const state = `${sizeBytes} bytes at ${offset} are not within its ${size} bytes`;
  throw new TydfsError("invalid", `${cannot}: ${state}`);
}

/**
 * Pure plans for many small files at once: which lie in which chunk, and which runs of a chunk are
 * to be fetched for them.
 */
import { MIB } from "../../base/bytes.ts";
import type { FileLocateManyReply, SharedChunk, SmallFile } from "../../wire/locate_many.ts";
import { BLOCK_BYTES, blockCount, SUM_BYTES } from "../../wire/sums.ts";

/** Larger files are got by themselves. */
export const SMALL_BYTES_MAX = MIB;
/** Unwanted bytes between two files that cost less than another request would. */
const GAP_BYTES_MAX = MIB;

/** What is known of a small file that is one. */
export type LocatedSmall = Extract<SmallFile, { kind: "file" }>;

/** A file and where its bytes lie in a chunk. */
export interface PlacedFile {
  /** Which one it is of those that were asked for. */
  index: number;
  start: number;
  end: number;
}

/** A run of whole blocks of a chunk, and the files that lie in it, sorted by where they start. */
export interface PlannedRun {
  start: number;
  end: number;
  files: PlacedFile[];
}

/** A chunk with the files that are wanted of it. */
export interface ChunkGroup {
  chunk: SharedChunk;
  files: PlacedFile[];
}

/** What an answer says of the files at `indexes`, in its order. */
export interface SortedAnswer {
  /** Those that have bytes, by chunk. */
  groups: ChunkGroup[];
  /** Indexes of those that are empty. */
  empty: number[];
  /** Indexes of those that are to be got by themselves. */
  others: number[];
}

/**
 * Sorts an answer of `file.locate-many` about the files at `indexes`. What does not add up counts
 * among the others: who gets it by itself tells what is wrong.
 */
export function sortAnswer(
  { files, chunks }: FileLocateManyReply,
  indexes: readonly number[],
): SortedAnswer {
  const sorted: SortedAnswer = { groups: [], empty: [], others: [] };
  const groups = chunks.map((chunk): ChunkGroup => ({ chunk, files: [] }));
  for (const [at, file] of files.entries()) {
    const index = indexes[at];
    if (index === undefined) break;
    if (file.kind === "other") {
      sorted.others.push(index);
      continue;
    }
    const { sizeBytes, chunkOffset: start, chunk } = file;
    const group = chunk === undefined ? undefined : groups[chunk];
    const end = start + sizeBytes;
    if (sizeBytes === 0) sorted.empty.push(index);
    else if (group === undefined || !holds(group.chunk, end) || sizeBytes >= SMALL_BYTES_MAX) {
      sorted.others.push(index);
    } else {
      group.files.push({ index, start, end });
    }
  }
  sorted.groups = groups.filter((group) => group.files.length > 0);
  return sorted;
}

/**
 * The runs of a chunk to be fetched for `files`: as few as leave out what nobody wants, where that
 * is long. Each file lies in one run as a whole. Files may lie over each other: copies do.
 */
export function planRuns(files: readonly PlacedFile[], chunkBytes: number): PlannedRun[] {
  const runs: PlannedRun[] = [];
  for (const file of files.toSorted((left, right) => left.start - right.start)) {
    const start = Math.floor(file.start / BLOCK_BYTES) * BLOCK_BYTES;
    const end = Math.min(Math.ceil(file.end / BLOCK_BYTES) * BLOCK_BYTES, chunkBytes);
    const last = runs.at(-1);
    if (last === undefined || start - last.end > GAP_BYTES_MAX) {
      runs.push({ start, end, files: [file] });
    } else {
      last.files.push(file);
      last.end = Math.max(last.end, end);
    }
  }
  return runs;
}

function holds({ chunkBytes, sums }: SharedChunk, end: number): boolean {
  return end <= chunkBytes && sums.length === blockCount(chunkBytes) * SUM_BYTES;
}

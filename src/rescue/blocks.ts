/**
 * Reads a chunk block by block, each from the first copy in which it matches its sum: two copies
 * that are damaged at different places make a whole one. Nothing that does not match is handed on.
 */
import type { Disk, DiskFile } from "../chunks/disk.ts";
import { chunkPath, SIDECAR_ENDING } from "../chunks/places.ts";
import { parseSidecar } from "../chunks/sidecar.ts";
import { TydfsError } from "../wire/errors.ts";
import { BLOCK_BYTES, blockCount, blockLength, getSum, hashBlock } from "../wire/sums.ts";
import type { Source } from "./survey.ts";
import type { FoundChunk } from "./versions.ts";

/** A copy of a chunk: opened when it is needed. */
interface Copy {
  disk: Disk;
  path: string;
  file: DiskFile | undefined;
}

/** What was met while a chunk was read. */
export interface ReadCounts {
  /** Blocks that were wrong in one copy, and right in another. */
  mendedBlocks: number;
}

/** Some blocks of a chunk, or all. */
export interface BlockRange {
  first: number;
  /** Behind the last one. */
  end: number;
}

/**
 * Yields blocks of a chunk in order, each valid until the next one. Throws `corrupt` at a block
 * that is wrong in all copies.
 */
export async function* readBlocks(
  sources: readonly Source[],
  chunk: FoundChunk,
  buffer: Uint8Array,
  counts: ReadCounts,
  range: BlockRange = { first: 0, end: blockCount(chunk.chunkBytes) },
): AsyncGenerator<Uint8Array> {
  const copies = findCopies(sources, chunk);
  try {
    const sums = await readSums(copies, chunk);
    // The copy that served last serves next: a good one is read to its end.
    let first = 0;
    for (let block = range.first; block < range.end; block++) {
      const bytes = buffer.subarray(0, blockLength(chunk.chunkBytes, block));
      let tried = 0;
      for (; tried < copies.length; tried++) {
        const index = (first + tried) % copies.length;
        const copy = copies[index];
        if (copy === undefined || !await fill(copy, bytes, block * BLOCK_BYTES)) continue;
        const sum = hashBlock(bytes);
        if (!sums.some((known) => getSum(known, block) === sum)) continue;
        first = index;
        break;
      }
      if (tried === copies.length) throw noCopy(chunk, block, copies.length);
      if (tried > 0) counts.mendedBlocks++;
      yield bytes;
    }
  } finally {
    for (const { file } of copies) await file?.close();
  }
}

/** All copies, those in place before those that were put aside. */
function findCopies(sources: readonly Source[], { id, home }: FoundChunk): Copy[] {
  const own = sources[home];
  const inOrder = own === undefined
    ? sources
    : [own, ...sources.filter((source) => source !== own)];
  const inPlace = inOrder.map(({ disk }) => ({ disk, path: chunkPath(id), file: undefined }));
  const aside = inOrder.flatMap((source) =>
    (source.aside.get(id) ?? []).map((path) => ({ disk: source.disk, path, file: undefined }))
  );
  return [...inPlace, ...aside].filter(({ disk, path }) => isThere(disk, path));
}

function isThere(disk: Disk, path: string): boolean {
  try {
    return disk.sizeOf(path) !== undefined;
  } catch {
    return false;
  }
}

/** The sums as the copies' sidecars tell them; one that is damaged must not spoil the others. */
async function readSums(copies: readonly Copy[], chunk: FoundChunk): Promise<Uint8Array[]> {
  const found = new Map<string, Uint8Array>();
  for (const { disk, path } of copies) {
    try {
      const bytes = await disk.read(path + SIDECAR_ENDING);
      if (bytes === undefined) continue;
      const { sums, sizeBytes } = parseSidecar(chunk.id, bytes);
      if (sizeBytes === chunk.chunkBytes) found.set(sums.toHex(), sums);
    } catch {
      continue;
    }
  }
  return [...found.values()];
}

/** Fills `bytes` from a copy; false when it does not have them. */
async function fill(copy: Copy, bytes: Uint8Array, position: number): Promise<boolean> {
  try {
    copy.file ??= copy.disk.open(copy.path);
    for (let filled = 0; filled < bytes.length;) {
      const count = await copy.file.read(bytes.subarray(filled), position + filled);
      if (count === 0) return false;
      filled += count;
    }
    return true;
  } catch {
    return false;
  }
}

function noCopy({ id, offset, start }: FoundChunk, block: number, copies: number): TydfsError {
  const at = offset + Math.max(0, block * BLOCK_BYTES - start);
  const state = copies === 0
    ? "none of its copies is there"
    : `it is wrong in all ${copies} copies`;
  return new TydfsError("corrupt", `Cannot read byte ${at} and those behind it: ${state} of ${id}`);
}

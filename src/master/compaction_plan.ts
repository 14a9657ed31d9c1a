/**
 * What of sparse packs goes into a new one: pure decisions over their manifests and over what the
 * catalog still refers to in them.
 */
import { encode } from "../wire/codec.ts";
import type { PackedFile } from "../wire/pack.ts";
import {
  encodeManifest,
  MANIFEST_END_BYTES,
  PACK_BYTES_MAX,
  PACK_FILES_MAX,
  PACK_PATH_BYTES_MAX,
} from "../wire/pack.ts";
import { BLOCK_BYTES, blockCount } from "../wire/sums.ts";
import type { PackMove } from "../catalog/operation.ts";

/** A run of bytes of a pack to which something refers. */
export interface LiveRange {
  offset: number;
  length: number;
}

/** What files cost a pack: their bytes and names. */
interface Cost {
  bytes: number;
  pathBytes: number;
}

/** A pack and the files in it that live. */
export interface Source {
  chunk: string;
  sizeBytes: number;
  /** As its manifest names them, each with the time of its first placing. */
  files: readonly PackedFile[];
  cost: Cost;
}

/** A pack that is to be made of others. */
export interface CompactionPlan {
  /** Those of which it is made: from the first on, as many as fit. */
  sources: readonly Source[];
  /** Its manifest. */
  files: PackedFile[];
  moves: PackMove[];
  /** Bytes of its files, and of all of it. */
  dataBytes: number;
  sizeBytes: number;
}

/** Blocks of a chunk that follow each other: from number `first` on, before number `end`. */
export interface BlockRun {
  first: number;
  end: number;
}

/** What an entry's place in a manifest may cost more than by itself, and the array's own head. */
const ENTRY_LEEWAY_BYTES = 8;
const ARRAY_BYTES = 5;

/**
 * The files of a manifest that live; undefined when something refers to bytes that the manifest
 * does not name, so that nobody could rescue them from a new pack. Empty files may share a place,
 * and nothing tells them apart there: all of its names are kept while one lives.
 */
export function liveFiles(
  manifest: readonly PackedFile[],
  ranges: readonly LiveRange[],
): PackedFile[] | undefined {
  const live = new Set(ranges.map(placeKey));
  const named = new Set<string>();
  const files = manifest.filter(({ offset, sizeBytes: length }) => {
    const key = placeKey({ offset, length });
    // Of several that name the same bytes one is enough.
    if (!live.has(key) || (length > 0 && named.has(key))) return false;
    named.add(key);
    return true;
  });
  return named.size === live.size ? files : undefined;
}

/** A pack with what lives in it. */
export function sourceOf(chunk: string, sizeBytes: number, files: readonly PackedFile[]): Source {
  return { chunk, sizeBytes, files, cost: costOf(files) };
}

/**
 * Whether more than half of a pack is really dead, its manifest counted as its files are: what a
 * pack of tiny files needs for their names is no waste, and would be needed again.
 */
export function isWorthwhile({ sizeBytes, cost }: Source): boolean {
  return cost.bytes * 2 < sizeBytes;
}

/** Plans a pack of the first of `sources` (not empty), as many as fit; of the first one always. */
export function planCompaction(sources: readonly Source[], bytesMax: number): CompactionPlan {
  const most = Math.min(bytesMax, PACK_BYTES_MAX);
  const taken: Source[] = [];
  const sum = { bytes: ARRAY_BYTES + MANIFEST_END_BYTES, files: 0, pathBytes: 0 };
  for (const source of sources) {
    sum.bytes += source.cost.bytes;
    sum.files += source.files.length;
    sum.pathBytes += source.cost.pathBytes;
    const fits = sum.bytes <= most && sum.files <= PACK_FILES_MAX &&
      sum.pathBytes <= PACK_PATH_BYTES_MAX;
    if (taken.length > 0 && !fits) break;
    taken.push(source);
  }
  return layOut(taken);
}

/** The blocks that are to be read for these files, in runs of at most `blocksMax`. */
export function planReads(
  files: readonly Pick<PackedFile, "offset" | "sizeBytes">[],
  packBytes: number,
  blocksMax: number,
): BlockRun[] {
  const wanted = new Uint8Array(blockCount(packBytes));
  for (const { offset, sizeBytes } of files) {
    if (sizeBytes === 0) continue;
    const first = Math.floor(offset / BLOCK_BYTES);
    wanted.fill(1, first, Math.ceil((offset + sizeBytes) / BLOCK_BYTES));
  }
  const runs: BlockRun[] = [];
  let run: BlockRun | undefined;
  for (const [block, isWanted] of wanted.entries()) {
    if (isWanted === 0) run = undefined;
    else if (run !== undefined && run.end - run.first < blocksMax) run.end++;
    else runs.push(run = { first: block, end: block + 1 });
  }
  return runs;
}

function layOut(sources: readonly Source[]): CompactionPlan {
  const files: PackedFile[] = [];
  const moves: PackMove[] = [];
  let dataBytes = 0;
  for (const { chunk: from, files: ofSource } of sources) {
    for (const file of ofSource) {
      const { offset: fromOffset, sizeBytes: length } = file;
      files.push({ ...file, offset: dataBytes });
      moves.push({ from, fromOffset, length, toOffset: dataBytes });
      dataBytes += length;
    }
  }
  return { sources, files, moves, dataBytes, sizeBytes: dataBytes + encodeManifest(files).length };
}

function costOf(files: readonly PackedFile[]): Cost {
  let [bytes, pathBytes] = [0, 0];
  for (const file of files) {
    bytes += file.sizeBytes + encode(file).length + ENTRY_LEEWAY_BYTES;
    pathBytes += Buffer.byteLength(file.path);
  }
  return { bytes, pathBytes };
}

function placeKey({ offset, length }: LiveRange): string {
  return `${offset} ${length}`;
}

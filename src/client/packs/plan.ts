/**
 * Which small files go into which pack: pure, and in the order of the files, so that neighbours lie
 * together. What is not in the plan is put by itself.
 */
import { MIB } from "../../base/bytes.ts";
import { parsePath } from "../../wire/names.ts";
import {
  MANIFEST_END_BYTES,
  PACK_BYTES_MAX,
  PACK_FILES_MAX,
  PACK_PATH_BYTES_MAX,
} from "../../wire/pack.ts";
import type { SmallFile } from "./small_file.ts";
import { isSmall } from "./small_file.ts";

/**
 * Bytes of a pack that is put. More would save little: it is the number of files that costs; and
 * the client holds a few packs in memory.
 */
export const PUT_PACK_BYTES = 8 * MIB;
/** A file alone is better off by itself. */
export const PACK_FILES_MIN = 2;
/** More than an entry of a manifest takes, but for path and owner; and the manifest's own head. */
const ENTRY_BYTES = 96;
const HEAD_BYTES = 16 + MANIFEST_END_BYTES;

/** What one pack may have at most. */
export interface PackLimits {
  files: number;
  /** All of it, manifest included. */
  bytes: number;
  pathBytes: number;
}

export const PUT_LIMITS: PackLimits = {
  files: PACK_FILES_MAX,
  bytes: Math.min(PUT_PACK_BYTES, PACK_BYTES_MAX),
  pathBytes: PACK_PATH_BYTES_MAX,
};

/** A pack that is to be built. */
export interface PlannedPack {
  /** Its files, as indexes into those that were planned. */
  indexes: number[];
  /** No fewer bytes than the pack will have, manifest included. */
  bytesMax: number;
}

/**
 * Deals `files` of `owner` to packs. Each file is in one of them at most, and no path twice; left
 * out are those that are not small, whose path can't be one, and what would be alone.
 */
export function planPacks(
  files: readonly SmallFile[],
  owner: string,
  limits: PackLimits = PUT_LIMITS,
): PlannedPack[] {
  const packs: PlannedPack[] = [];
  const ownerBytes = Buffer.byteLength(owner);
  const paths = new Set<string>();
  let indexes: number[] = [];
  let bytes = HEAD_BYTES;
  let pathBytes = 0;
  const finish = () => {
    if (indexes.length >= PACK_FILES_MIN) packs.push({ indexes, bytesMax: bytes });
    indexes = [];
    bytes = HEAD_BYTES;
    pathBytes = 0;
  };
  for (const [index, file] of files.entries()) {
    // The second of a path must come after the first.
    if (!isSmall(file) || paths.has(file.path) || !isPath(file.path)) continue;
    const ownPathBytes = Buffer.byteLength(file.path);
    const ownBytes = file.sizeBytes + ENTRY_BYTES + ownPathBytes + ownerBytes;
    if (ownBytes + HEAD_BYTES > limits.bytes || ownPathBytes > limits.pathBytes) continue;
    const isFull = indexes.length >= limits.files || bytes + ownBytes > limits.bytes ||
      pathBytes + ownPathBytes > limits.pathBytes;
    if (isFull) finish();
    paths.add(file.path);
    indexes.push(index);
    bytes += ownBytes;
    pathBytes += ownPathBytes;
  }
  finish();
  return packs;
}

function isPath(path: string): boolean {
  if (path === "/") return false;
  try {
    return parsePath(path) === path;
  } catch {
    // Put by itself, it says why.
    return false;
  }
}

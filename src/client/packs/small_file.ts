/** The small files that may go together in packs, on their way into the cluster. */
import { TydfsError } from "../../wire/errors.ts";
import { PACKED_FILE_BYTES_MAX } from "../../wire/pack.ts";
import type { OperationOptions, PutResult } from "../api.ts";
import type { SeenFile } from "../local_files.ts";

/** A local file or link as it was seen, and where it goes. */
export interface SmallFile extends SeenFile {
  /** The remote path, in its one form. */
  path: string;
  local: string;
  /** Of a symbolic link: it is put as its target, and never read again. */
  target?: string;
  /** Bytes that are in memory already: it is put as them, and never read. */
  bytes?: Uint8Array;
}

export interface PackedOptions extends OperationOptions {
  replicas?: number;
  minCopies?: number;
  /** A file that is there already is refused. */
  exclusive?: boolean;
  /** Hears of each file, by its index, whose bytes have reached a keeper while that takes long. */
  onSent?: (index: number) => void;
  /** Asked before the commit: a file that nobody wants any more is left out of it. */
  isWanted?: (index: number) => boolean;
}

/**
 * What has become of a file: it was put, or failed for good; undefined where it is to be put by
 * itself, which tells what was wrong with it, if anything was.
 */
export type PackedOutcome = PutResult | TydfsError | undefined;

/** Whether a file of this size may lie in a pack. */
export function isSmall({ sizeBytes }: { sizeBytes: number }): boolean {
  return sizeBytes < PACKED_FILE_BYTES_MAX;
}

/** A local entry that goes to `path`, as a small file. */
export function smallFile(
  entry: SeenFile & { local: string; target?: string },
  path: string,
): SmallFile {
  const { local, sizeBytes, mtimeMs, target } = entry;
  if (target === undefined) return { path, local, sizeBytes, mtimeMs };
  // A link's bytes are its target, whatever size the system gives it.
  return { path, local, sizeBytes: Buffer.byteLength(target), mtimeMs, target };
}

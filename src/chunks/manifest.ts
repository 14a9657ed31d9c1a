/** Reads the manifest at the end of a pack, wherever its bytes lie. */
import { MESSAGE_BYTES_MAX } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import type { PackedFile } from "../wire/pack.ts";
import { decodeManifest, MANIFEST_END_BYTES, manifestLength } from "../wire/pack.ts";
import type { DiskFile } from "./disk.ts";

/**
 * The files of a pack of `packBytes`, whose bytes `readAt` gives: exactly as many as asked for.
 * Throws `corrupt` when it does not end with a manifest, and what `readAt` throws.
 */
export async function readManifest(
  packBytes: number,
  readAt: (position: number, length: number) => Promise<Uint8Array> | Uint8Array,
): Promise<PackedFile[]> {
  if (packBytes < MANIFEST_END_BYTES) {
    throw new TydfsError("corrupt", "Cannot read a pack: it is shorter than a manifest's end");
  }
  const end = await readAt(packBytes - MANIFEST_END_BYTES, MANIFEST_END_BYTES);
  const length = manifestLength(end);
  // Asked before any room is made for it: the number may be any.
  if (length > Math.min(packBytes, MESSAGE_BYTES_MAX + MANIFEST_END_BYTES)) {
    throw new TydfsError("corrupt", "Cannot read a pack: its manifest would be longer than it");
  }
  return decodeManifest(await readAt(packBytes - length, length), packBytes);
}

/** The same of a pack that has just been written, so that its bytes are in the page cache. */
export function readManifestNow(file: DiskFile, packBytes: number): Promise<PackedFile[]> {
  return readManifest(packBytes, (position, length) => {
    const bytes = new Uint8Array(length);
    for (let filled = 0; filled < length;) {
      const count = file.readNow(bytes.subarray(filled), position + filled);
      if (count === 0) throw new TydfsError("corrupt", "Cannot read a pack: it ends too soon");
      filled += count;
    }
    return bytes;
  });
}

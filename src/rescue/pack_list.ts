/**
 * The files of a pack: from its sidecar's list, or from the manifest in its own bytes where that
 * list is damaged or was never written.
 */
import type { Disk } from "../chunks/disk.ts";
import { readManifest } from "../chunks/manifest.ts";
import type { ChunkFacts } from "../chunks/sidecar.ts";
import { parseFileList } from "../chunks/sidecar.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { PackedFile } from "../wire/pack.ts";
import { BLOCK_BYTES, blockLength, getSum, hashBlock } from "../wire/sums.ts";

/** A copy of a pack, with what its sidecar says. */
export interface PackCopy {
  disk: Disk;
  /** Where its bytes are, if they are. */
  path: string;
  facts: ChunkFacts;
  sidecar: Uint8Array;
}

/** Lists a pack's files. Throws `corrupt`, or what the disk throws, when neither place has them. */
export async function listPack(copy: PackCopy): Promise<PackedFile[]> {
  const { facts: { chunk, sizeBytes }, sidecar } = copy;
  try {
    const files = parseFileList(chunk, sizeBytes, sidecar);
    if (files !== undefined) return files;
  } catch (error) {
    if (!hasCode(error, "corrupt")) throw error;
  }
  return await readVerified(copy);
}

/** The manifest, of which every block matches its sum. */
async function readVerified({ disk, path, facts }: PackCopy): Promise<PackedFile[]> {
  const { chunk, sizeBytes, sums } = facts;
  const file = disk.open(path);
  const buffer = new Uint8Array(BLOCK_BYTES);
  let loaded: number | undefined;

  async function load(block: number): Promise<Uint8Array> {
    const bytes = buffer.subarray(0, blockLength(sizeBytes, block));
    if (loaded === block) return bytes;
    loaded = undefined;
    for (let filled = 0; filled < bytes.length;) {
      const count = await file.read(bytes.subarray(filled), block * BLOCK_BYTES + filled);
      if (count === 0) break;
      filled += count;
    }
    if (hashBlock(bytes) !== getSum(sums, block)) {
      throw new TydfsError("corrupt", `Cannot list the files of "${chunk}": its end is damaged`);
    }
    loaded = block;
    return bytes;
  }

  try {
    return await readManifest(sizeBytes, async (position, length) => {
      const bytes = new Uint8Array(length);
      for (let filled = 0; filled < length;) {
        const block = Math.floor((position + filled) / BLOCK_BYTES);
        const from = position + filled - block * BLOCK_BYTES;
        const piece = (await load(block)).subarray(from, from + length - filled);
        bytes.set(piece, filled);
        filled += piece.length;
      }
      return bytes;
    });
  } finally {
    await file.close();
  }
}

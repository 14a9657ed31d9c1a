/** Opens packs for compaction: what of their manifests is still in use. */
import type { Log } from "../base/log.ts";
import type { LoosePack, PackPlace } from "../catalog/pack_reader.ts";
import { TydfsError } from "../wire/errors.ts";
import type { PackedFile } from "../wire/pack.ts";
import { decodeManifest, MANIFEST_END_BYTES, manifestLength } from "../wire/pack.ts";
import { BLOCK_BYTES, blockCount } from "../wire/sums.ts";
import type { ChunkSource } from "./chunk_source.ts";
import { liveFiles, type Source, sourceOf } from "./compaction_plan.ts";

export class PackOpener {
  readonly #source: ChunkSource;
  readonly #log: Log;

  constructor(source: ChunkSource, log: Log) {
    this.#source = source;
    this.#log = log;
  }

  /**
   * The files of a pack that lie at these places; undefined when its manifest does not name all of
   * them, so that they must stay where they are. Throws as `ChunkSource.read`, and `corrupt`.
   */
  async open(pack: LoosePack, places: readonly PackPlace[]): Promise<Source | undefined> {
    const { id: chunk, sizeBytes } = pack;
    const manifest = await this.#readManifest(pack);
    const ranges = places.map(({ chunkOffset: offset, length }) => ({ offset, length }));
    const live = liveFiles(manifest, ranges);
    if (live === undefined) {
      const words = "A pack can't be compacted: its manifest does not name all of its files";
      this.#log.warn(words, { chunk });
      return undefined;
    }
    const isTold = live.every(({ placedMs }) => placedMs !== undefined);
    // Unknown is as old as can be: rescue takes any other version of the path before it.
    const { placedMs: chunkPlacedMs = 0 } = isTold ? {} : await this.#source.origin(pack);
    const files = live.map((file): PackedFile => ({ placedMs: chunkPlacedMs, ...known(file) }));
    return sourceOf(chunk, sizeBytes, files);
  }

  async #readManifest(pack: LoosePack): Promise<PackedFile[]> {
    const { sizeBytes } = pack;
    const end = blockCount(sizeBytes);
    const tailOf = async (bytes: number) => {
      const first = Math.max(0, Math.floor((sizeBytes - bytes) / BLOCK_BYTES));
      const blocks = await this.#source.read(pack, { first, end });
      return blocks.subarray(Math.max(0, blocks.length - bytes));
    };
    const length = manifestLength(await tailOf(MANIFEST_END_BYTES));
    if (length > sizeBytes) {
      throw new TydfsError("corrupt", `Cannot read pack "${pack.id}": its manifest is too long`);
    }
    return decodeManifest(await tailOf(length), sizeBytes);
  }
}

/** A file of a manifest without what it leaves open. */
function known({ placedMs, ...file }: PackedFile): PackedFile {
  return placedMs === undefined ? file : { ...file, placedMs };
}

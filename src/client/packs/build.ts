/**
 * Builds a pack in memory: small local files one after the other, then the manifest. What is not as
 * it was seen is left out. Reading is done in slices, so that signals and other transfers are heard
 * between them.
 */
import type { Clock } from "../../base/clock.ts";
import { LINK_MODE } from "../../wire/file.ts";
import type { PackFile } from "../../wire/pack.ts";
import { encodeManifest } from "../../wire/pack.ts";
import { fileChecksum, sumsOf } from "../../wire/sums.ts";
import { readSmall, untilOld } from "../local_files.ts";
import type { SmallFile } from "./small_file.ts";

/** Time of reading after which others get their turn. */
const SLICE_MS = 4;
/** Of bytes that come from no file. */
const MEMORY_MODE = 0o644;

/** A pack that is whole in memory. */
export interface BuiltPack {
  /** The pack, manifest included. */
  bytes: Uint8Array;
  sums: Uint8Array;
  files: PackFile[];
  /** For each of `files` its index among those that the pack was built of. */
  indexes: number[];
}

export interface BuildOptions {
  owner: string;
  clock: Clock;
  signal: AbortSignal;
}

/**
 * Builds a pack of those of `files` that `indexes` names, in `buffer`, which must have room for
 * them and their manifest.
 */
export async function buildPack(
  files: readonly SmallFile[],
  indexes: readonly number[],
  buffer: Uint8Array,
  options: BuildOptions,
): Promise<BuiltPack> {
  const { signal } = options;
  const filling = new Filling(files, buffer, options);
  const young = await filling.add(indexes);
  if (young.length > 0) {
    await untilOld(signal);
    await filling.add(young);
  }
  return filling.finish();
}

class Filling {
  readonly #from: readonly SmallFile[];
  readonly #buffer: Uint8Array;
  readonly #options: BuildOptions;
  readonly #files: PackFile[] = [];
  readonly #indexes: number[] = [];
  #filled = 0;

  constructor(files: readonly SmallFile[], buffer: Uint8Array, options: BuildOptions) {
    this.#from = files;
    this.#buffer = buffer;
    this.#options = options;
  }

  /** Adds what can be read; returns what was changed so short a while ago that it has to wait. */
  async add(indexes: readonly number[]): Promise<number[]> {
    const { clock, signal } = this.#options;
    const young: number[] = [];
    let endMs = clock.monotonicMs() + SLICE_MS;
    for (const index of indexes) {
      const file = this.#from[index];
      if (file !== undefined && this.#add(index, file) === "young") young.push(index);
      if (clock.monotonicMs() < endMs) continue;
      await new Promise((resolve) => setImmediate(resolve));
      signal.throwIfAborted();
      endMs = clock.monotonicMs() + SLICE_MS;
    }
    return young;
  }

  finish(): BuiltPack {
    const manifest = encodeManifest(
      this.#files.map(({ checksum: _, ...entry }) => entry),
    );
    this.#buffer.set(manifest, this.#filled);
    const bytes = this.#buffer.subarray(0, this.#filled + manifest.length);
    return { bytes, sums: sumsOf(bytes), files: this.#files, indexes: this.#indexes };
  }

  #add(index: number, file: SmallFile): "young" | undefined {
    const { path, sizeBytes } = file;
    const offset = this.#filled;
    const bytes = this.#buffer.subarray(offset, offset + sizeBytes);
    const read = readInto(file, bytes);
    if (read === undefined || read === "young") return read;
    this.#files.push({
      path,
      offset,
      sizeBytes,
      mode: read.mode,
      mtimeMs: Math.trunc(file.mtimeMs),
      owner: this.#options.owner,
      checksum: fileChecksum([sumsOf(bytes)]),
    });
    this.#indexes.push(index);
    this.#filled += sizeBytes;
    return undefined;
  }
}

/** As `readSmall`, and what need not be read. */
function readInto(file: SmallFile, into: Uint8Array): ReturnType<typeof readSmall> {
  const { local, target, bytes } = file;
  if (target !== undefined) return setBytes(Buffer.from(target), LINK_MODE, into);
  return bytes === undefined ? readSmall(local, file, into) : setBytes(bytes, MEMORY_MODE, into);
}

function setBytes(
  bytes: Uint8Array,
  mode: number,
  into: Uint8Array,
): { mode: number } | undefined {
  if (bytes.length !== into.length) return undefined;
  into.set(bytes);
  return { mode };
}

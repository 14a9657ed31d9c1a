/**
 * The attic: what a keeper puts aside instead of deleting it, bad copies above all. Each file has
 * its chunk's id and the time in its name, its sidecar lies beside it, and nothing serves it. It
 * goes only by `discard`, when whoever knows the whole cluster has said that nobody needs it; it
 * comes back when it proves to be whole, and no other copy is left.
 */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { hasCode } from "../wire/errors.ts";
import { findBadBlock } from "./block_check.ts";
import type { Disk } from "./disk.ts";
import { QUARANTINE, SIDECAR_ENDING } from "./places.ts";
import type { ChunkFacts } from "./sidecar.ts";
import { parseSidecar } from "./sidecar.ts";
import type { StoreShare } from "./store_share.ts";

/** A file that lies aside. */
export interface AsideFile {
  name: string;
  chunk: string;
  /** Wall time in ms; undefined where the name does not tell it. */
  sinceMs: number | undefined;
}

export interface AtticOptions {
  disk: Disk;
  clock: Clock;
  random: Random;
  share: StoreShare;
}

const MARK_BYTES = 4;

export class Attic {
  readonly #options: AtticOptions;

  constructor(options: AtticOptions) {
    this.#options = options;
  }

  /** Counts what lies here, once and before any other thread puts something aside. */
  async open(): Promise<void> {
    this.#options.share.countAside((await this.list()).length);
  }

  /**
   * Moves a file here, and its sidecar if there is one. The caller holds the chunk's lock, and
   * makes the change durable in the file's old directory.
   */
  take(chunk: string, path: string): void {
    const { disk, clock, random, share } = this.#options;
    const aside = `${QUARANTINE}/${
      formatName(chunk, clock.wallMs(), randomHex(random, MARK_BYTES))
    }`;
    disk.rename(path, aside);
    share.countAside(1);
    const sidecar = path + SIDECAR_ENDING;
    if (disk.sizeOf(sidecar) !== undefined) disk.rename(sidecar, aside + SIDECAR_ENDING);
  }

  /** All that lies here, sorted by chunk; what has another kind of name is not ours. */
  async list(): Promise<AsideFile[]> {
    return (await this.#options.disk.list(QUARANTINE)).flatMap((name) => parseName(name) ?? []);
  }

  /**
   * The facts of a file that is whole by its own sidecar, read from the disk itself; undefined for
   * one that is not, or has none. Throws what the disk throws.
   */
  async verify({ name, chunk }: AsideFile): Promise<ChunkFacts | undefined> {
    const { disk } = this.#options;
    const path = `${QUARANTINE}/${name}`;
    const facts = await this.#readSidecar(chunk, path);
    if (facts === undefined || disk.sizeOf(path) !== facts.sizeBytes) return undefined;
    const file = disk.open(path);
    try {
      file.forget();
      return await findBadBlock(file, facts) === undefined ? facts : undefined;
    } finally {
      file.forget();
      await file.close();
    }
  }

  /**
   * Moves a file to `path`, the chunk's own place, with a copy of its sidecar first: whatever
   * happens in between, one lies beside it. The caller holds the chunk's lock, and makes the change
   * durable.
   */
  async giveBack({ name }: AsideFile, path: string): Promise<void> {
    const { disk, share } = this.#options;
    const aside = `${QUARANTINE}/${name}`;
    const sidecar = await disk.read(aside + SIDECAR_ENDING);
    if (sidecar === undefined) throw new Error(`"${name}" has lost its sidecar`);
    // What an earlier try may have left there.
    await disk.remove(path + SIDECAR_ENDING);
    await disk.write(path + SIDECAR_ENDING, [sidecar], { sync: true });
    disk.rename(aside, path);
    share.countAside(-1);
    await disk.remove(aside + SIDECAR_ENDING);
  }

  async #readSidecar(chunk: string, path: string): Promise<ChunkFacts | undefined> {
    const bytes = await this.#options.disk.read(path + SIDECAR_ENDING);
    try {
      return bytes === undefined ? undefined : parseSidecar(chunk, bytes);
    } catch (error) {
      if (hasCode(error, "corrupt", "invalid")) return undefined;
      throw error;
    }
  }

  /** Deletes a file for good, with its sidecar. */
  async discard({ name }: AsideFile): Promise<void> {
    const { disk, share } = this.#options;
    const path = `${QUARANTINE}/${name}`;
    if (await disk.remove(path)) share.countAside(-1);
    await disk.remove(path + SIDECAR_ENDING);
  }
}

function formatName(chunk: string, sinceMs: number, mark: string): string {
  return `${chunk}.${Math.floor(sinceMs)}.${mark}`;
}

/** What a name here tells; files of older versions have no time in theirs. */
export function parseName(name: string): AsideFile | undefined {
  const match = /^([0-9a-f]{32})(?:\.(\d{1,15}))?\.[0-9a-f]{8}$/.exec(name);
  if (match === null) return undefined;
  const [, chunk = "", since] = match;
  return { name, chunk, sinceMs: since === undefined ? undefined : Number(since) };
}

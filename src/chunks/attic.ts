/**
 * The attic: what a keeper puts aside instead of deleting it, bad copies above all. Each file has
 * its chunk's id and the time in its name, its sidecar lies beside it, and nothing serves it. It
 * goes only by `discard`, when whoever knows the whole cluster has said that nobody needs it.
 */
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import type { Disk } from "./disk.ts";
import { QUARANTINE, SIDECAR_ENDING } from "./places.ts";
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

/**
 * Rebuilds files from the data directories of keepers, without a master: surveys the sidecars,
 * plans each path, and writes the newest whole version of it, verified block by block. One file's
 * trouble never stops the others.
 */
import { forEachLimited } from "../base/limit.ts";
import type { Random } from "../base/random.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { isLinkMode } from "../wire/file.ts";
import { BLOCK_BYTES } from "../wire/sums.ts";
import { readBlocks } from "./blocks.ts";
import { PackBlocks } from "./pack_blocks.ts";
import type { FilePlan, Gap, WholeVersion } from "./plan.ts";
import { findHidden, planFile } from "./plan.ts";
import type { Source, SurveyCounts } from "./survey.ts";
import { survey } from "./survey.ts";
import type { There } from "./target.ts";
import { RescueTarget } from "./target.ts";
import type { FoundChunk } from "./versions.ts";
import { VersionBook } from "./versions.ts";

export interface RescueOptions {
  sources: readonly Source[];
  /** Where to; undefined: only tell what there is. */
  to: string | undefined;
  /** Only files at this path or below it. */
  under: string;
  /** Take an older version where the newest one is not whole. */
  older: boolean;
  /** Replace files that are there. */
  overwrite: boolean;
  sync: boolean;
  random: Random;
  signal: AbortSignal;
  onProgress: (progress: RescueProgress) => void;
  onFile: (outcome: FileOutcome) => void;
}

export type RescueProgress =
  | { kind: "survey"; sidecars: number }
  | { kind: "files"; done: number; total: number; doneBytes: number };

/** What has become of one path. */
export type FileOutcome =
  & { path: string; sizeBytes: number | undefined }
  & (
    /** Written, or to be written; `older`: the newest version is not whole. */
    | {
      kind: "whole";
      certain: boolean;
      joined: boolean;
      older: boolean;
      mtimeMs: number | undefined;
    }
    /** Parts of the newest version are missing; `hasOlder`: an older one is whole. */
    | { kind: "incomplete"; missing: Gap[]; hasOlder: boolean }
    /** No copy of some part has the right bytes. */
    | { kind: "damaged"; reason: string; hasOlder: boolean }
    /** It was there before, with this size and time. */
    | { kind: "present" }
    /** Something else is there. */
    | { kind: "in-the-way" }
    /** A newer file has its name for a directory, or lies where its directory was. */
    | { kind: "hidden"; by: string }
    | { kind: "failed"; reason: string }
  );

export interface RescueSummary extends SurveyCounts {
  chunks: number;
  outcomes: Record<FileOutcome["kind"], number>;
  /** Bytes of the files that are whole. */
  bytes: number;
  uncertain: number;
  older: number;
  /** Blocks that were taken from another copy, since one was damaged. */
  mendedBlocks: number;
}

const FILES_AT_ONCE = 4;

/** Runs a rescue. Throws `local` when nothing more can be written at all. */
export async function rescue(options: RescueOptions): Promise<RescueSummary> {
  const { sources, to, under, random, sync, signal, onProgress } = options;
  const target = to === undefined ? undefined : new RescueTarget(to, random, sync);
  await target?.prepare();
  const book = new VersionBook();
  const counts = await survey(sources, {
    ...{ book, under, signal },
    onProgress: (sidecars) => onProgress({ kind: "survey", sidecars }),
  });
  const run = new RescueRun(options, target, book.size);
  const paths = book.paths();
  const hidden = findHidden(book, paths);
  await forEachLimited(paths, to === undefined ? 1 : FILES_AT_ONCE, async (path) => {
    signal.throwIfAborted();
    const by = hidden.get(path)?.by;
    const plan = planFile(path, book.versions(path));
    if (by === undefined) await run.take(plan);
    else run.tell({ path, sizeBytes: plan.newest.sizeBytes, kind: "hidden", by });
  });
  return { ...counts, chunks: book.chunks, ...run.summary };
}

class RescueRun {
  readonly summary: Omit<RescueSummary, keyof SurveyCounts | "chunks"> = {
    outcomes: {
      ...{ "whole": 0, "incomplete": 0, "damaged": 0, "present": 0 },
      ...{ "in-the-way": 0, "hidden": 0, "failed": 0 },
    },
    bytes: 0,
    uncertain: 0,
    older: 0,
    mendedBlocks: 0,
  };
  readonly #options: RescueOptions;
  readonly #target: RescueTarget | undefined;
  readonly #total: number;
  /** One block for each file that is written at the time. */
  readonly #buffers: Uint8Array[] = [];
  readonly #packs: PackBlocks;
  #done = 0;
  #doneBytes = 0;

  constructor(options: RescueOptions, target: RescueTarget | undefined, total: number) {
    this.#options = options;
    this.#target = target;
    this.#total = total;
    this.#packs = new PackBlocks(options.sources, this.summary);
  }

  tell(outcome: FileOutcome): void {
    this.summary.outcomes[outcome.kind]++;
    if (outcome.kind === "whole") {
      this.summary.bytes += outcome.sizeBytes ?? 0;
      if (!outcome.certain) this.summary.uncertain++;
      if (outcome.older) this.summary.older++;
    }
    this.#options.onFile(outcome);
    this.#done++;
    this.#tellProgress();
  }

  /** Writes a file, or says why not. */
  async take({ path, newest, whole }: FilePlan): Promise<void> {
    const isWhole = newest.kind === "whole";
    const choices = this.#options.older ? whole : isWhole ? [newest] : [];
    const hasOlder = whole.length > (isWhole ? 1 : 0);
    let outcome: FileOutcome = newest.kind === "incomplete"
      ? { path, sizeBytes: newest.sizeBytes, kind: "incomplete", missing: newest.missing, hasOlder }
      : { path, sizeBytes: newest.sizeBytes, kind: "damaged", reason: "", hasOlder };
    for (const version of choices) {
      const { sizeBytes, certain, joined, mtimeMs } = version;
      const facts = { certain, joined, older: version !== newest, mtimeMs };
      const written = await this.#write(path, version);
      if (written.kind === "written") {
        return this.tell({ path, sizeBytes, kind: "whole", ...facts });
      }
      if (written.kind !== "damaged") return this.tell({ path, sizeBytes, ...written });
      const { reason } = written;
      if (version === newest) outcome = { path, sizeBytes, kind: "damaged", reason, hasOlder };
    }
    this.tell(outcome);
  }

  async #write(
    path: string,
    version: WholeVersion,
  ): Promise<
    | { kind: "written" }
    | { kind: "present" }
    | { kind: "in-the-way" }
    | { kind: "damaged"; reason: string }
    | { kind: "failed"; reason: string }
  > {
    if (this.#target === undefined) return { kind: "written" };
    const buffer = this.#buffers.pop() ?? new Uint8Array(BLOCK_BYTES);
    try {
      const there = await this.#target.look(path);
      if (there.kind === "directory") return { kind: "in-the-way" };
      if (there.kind !== "nothing" && !this.#options.overwrite) {
        return { kind: isSame(version, there) ? "present" : "in-the-way" };
      }
      await this.#fill(this.#target, path, version, buffer);
      return { kind: "written" };
    } catch (error) {
      if (!(error instanceof TydfsError) || error.code === "interrupted") throw error;
      if (error.data["full"] === true) throw error;
      return { kind: error.code === "corrupt" ? "damaged" : "failed", reason: error.message };
    } finally {
      this.#buffers.push(buffer);
    }
  }

  /** Writes a version from where it lies, and from another pack when it is damaged there. */
  async #fill(
    target: RescueTarget,
    path: string,
    version: WholeVersion,
    buffer: Uint8Array,
  ): Promise<void> {
    const places = [version.chunks, ...version.instead.map((chunk) => [chunk])];
    for (const [index, chunks] of places.entries()) {
      try {
        return await target.write(path, this.#blocksOf(chunks, buffer), version);
      } catch (error) {
        if (!hasCode(error, "corrupt") || index === places.length - 1) throw error;
      }
    }
  }

  async *#blocksOf(chunks: readonly FoundChunk[], buffer: Uint8Array): AsyncGenerator<Uint8Array> {
    const { sources, signal } = this.#options;
    for (const chunk of chunks) {
      const isPart = chunk.sizeBytes < chunk.chunkBytes;
      const blocks = isPart
        ? this.#packs.read(chunk)
        : readBlocks(sources, chunk, buffer, this.summary);
      for await (const block of blocks) {
        signal.throwIfAborted();
        yield block;
        this.#doneBytes += block.length;
        this.#tellProgress();
      }
    }
  }

  #tellProgress(): void {
    const [done, total, doneBytes] = [this.#done, this.#total, this.#doneBytes];
    this.#options.onProgress({ kind: "files", done, total, doneBytes });
  }
}

/** Whether a file that is there is what an earlier rescue has written. */
function isSame({ sizeBytes, mtimeMs, mode = 0 }: WholeVersion, there: There): boolean {
  if (isLinkMode(mode)) return there.kind === "link" && there.mtimeMs === mtimeMs;
  return there.kind === "file" && there.sizeBytes === sizeBytes && there.mtimeMs === mtimeMs;
}

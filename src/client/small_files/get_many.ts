/**
 * Gets many small files together: their places are asked for in batches, of each chunk the runs
 * that hold them are fetched once, each block is verified, and the files are cut out of the blocks
 * as they come. What does not come that way is left to be got one by one.
 */
import { forEachLimited } from "../../base/limit.ts";
import { TydfsError } from "../../wire/errors.ts";
import type { Holder } from "../../wire/file.ts";
import type { FileLocateManyReply } from "../../wire/locate_many.ts";
import { fileLocateMany, LOCATE_MANY_MAX } from "../../wire/locate_many.ts";
import { fileChecksum, sumsOf } from "../../wire/sums.ts";
import type { GetManyOptions, GetResult, ManyFile } from "../api.ts";
import type { ClientContext } from "../context.ts";
import { signalOf } from "../context.ts";
import { HolderRounds } from "../holder_round.ts";
import { FileCutter } from "./file_cutter.ts";
import type { ChunkGroup, LocatedSmall, PlannedRun } from "./plan.ts";
import { planRuns, sortAnswer } from "./plan.ts";
import { SmallWriter } from "./small_writer.ts";

/** A chunk may have moved, or changed its holders, since they were told: they are asked again. */
const TRIES_MAX = 2;
const PAUSE_MS = 100;
/** So long the event loop may stand still while files are written. */
const SLICE_MS = 20;

/** What takes the files that have come. */
export type FileTaker = Pick<SmallWriter, "write" | "flush" | "syncDirectories" | "drop">;

export interface ManyOptions extends GetManyOptions {
  /** Asked before a file is written: one that nobody wants any more is left out. */
  isWanted?: (index: number) => boolean;
}

/** See `TydfsClient.getMany`. The files go to the local disk, or to another `taker`. */
export async function getMany(
  context: ClientContext,
  files: readonly ManyFile[],
  options: ManyOptions,
  taker?: FileTaker,
): Promise<(GetResult | undefined)[]> {
  const { random } = context;
  const writer = taker ?? new SmallWriter({ random, sync: options.sync ?? false });
  const getter = new ManyGetter(context, files, options, writer);
  try {
    return await getter.run();
  } finally {
    getter.close();
  }
}

/** One answer, and the files that it is about: `indexes` in its order. */
interface Answer {
  reply: FileLocateManyReply;
  indexes: number[];
}

class ManyGetter {
  readonly #context: ClientContext;
  readonly #files: readonly ManyFile[];
  readonly #options: ManyOptions;
  readonly #signal: AbortSignal;
  readonly #results: (GetResult | undefined)[];
  readonly #rounds: HolderRounds;
  readonly #writer: FileTaker;
  readonly #startMs: number;
  #sliceMs: number;

  constructor(
    context: ClientContext,
    files: readonly ManyFile[],
    options: ManyOptions,
    writer: FileTaker,
  ) {
    const { clock } = context;
    this.#context = context;
    this.#files = files;
    this.#options = options;
    this.#signal = signalOf(options);
    this.#results = Array.from(files, () => undefined);
    this.#rounds = new HolderRounds(context);
    this.#writer = writer;
    this.#startMs = clock.monotonicMs();
    this.#sliceMs = this.#startMs;
  }

  async run(): Promise<(GetResult | undefined)[]> {
    const { clock, log } = this.#context;
    try {
      let left = Array.from(this.#files, (_, index) => index);
      for (let tries = 1; left.length > 0; tries++) {
        left = await this.#getAll(left);
        if (tries >= TRIES_MAX) break;
        if (left.length > 0) await clock.sleep(PAUSE_MS, this.#signal);
      }
      await this.#writer.syncDirectories();
    } catch (error) {
      this.#signal.throwIfAborted();
      if (!(error instanceof TydfsError)) throw error;
      log.debug("Cannot get small files together", { error });
      // Nothing is known to be on its disk.
      if (this.#options.sync === true) this.#results.fill(undefined);
    }
    this.#signal.throwIfAborted();
    return this.#results;
  }

  close(): void {
    this.#writer.drop();
  }

  /** Gets the files at `indexes`; returns those that are worth another try. */
  async #getAll(indexes: readonly number[]): Promise<number[]> {
    const left: number[] = [];
    for (let done = 0; done < indexes.length;) {
      const asked = indexes.slice(done, done + LOCATE_MANY_MAX);
      const paths = asked.map((index) => this.#files[index]?.remote ?? "");
      const { trackers, waitMs } = this.#context;
      const options = { signal: this.#signal, repeatable: true, waitMs };
      const reply = await trackers.ask(fileLocateMany, { paths }, options);
      if (reply.files.length === 0) throw new TydfsError("invalid", "An answer is empty");
      left.push(...await this.#getLocated({ reply, indexes: asked }));
      done += reply.files.length;
    }
    return left;
  }

  /** Gets what one answer tells the places of. */
  async #getLocated({ reply, indexes }: Answer): Promise<number[]> {
    const located = new Map<number, LocatedSmall>();
    for (const [at, file] of reply.files.entries()) {
      const index = indexes[at];
      if (index !== undefined && file.kind === "file") located.set(index, file);
    }
    const { groups, empty } = sortAnswer(reply, indexes);
    for (const index of empty) await this.#take(index, located.get(index), new Uint8Array());
    const left: number[] = [];
    const { parallel, streams } = this.#context;
    await forEachLimited(groups, parallel, async (group) => {
      const holders = holdersOf(group, reply.holders);
      for (const run of planRuns(group.files, group.chunk.chunkBytes)) {
        const missing = await streams.run(() => this.#getRun(run, { group, holders, located }));
        left.push(...missing);
      }
    });
    await this.#writer.flush();
    return left;
  }

  /** Gets the files of one run; returns those that did not come. */
  async #getRun(
    run: PlannedRun,
    { group, holders, located }: {
      group: ChunkGroup;
      holders: readonly Holder[];
      located: ReadonlyMap<number, LocatedSmall>;
    },
  ): Promise<number[]> {
    const signal = this.#signal;
    signal.throwIfAborted();
    const blocks = this.#context.blocks.take();
    const cutter = new FileCutter(run);
    const missing = new Set(run.files.map(({ index }) => index));
    const wanted = { source: group.chunk, holders, next: run.start, end: run.end };
    const { done } = await this.#rounds.read(wanted, {
      signal,
      blocks,
      take: async (block, start) => {
        for (const { file, bytes } of cutter.cut(block, start)) {
          await this.#take(file.index, located.get(file.index), bytes);
          missing.delete(file.index);
          await this.#breathe();
        }
      },
    });
    // Not after a failure: then a late stream might still write to them.
    if (done) this.#context.blocks.giveBack(blocks);
    return [...missing];
  }

  /** Takes the bytes of a file; one that can't be written stays without a result. */
  #take(
    index: number,
    facts: LocatedSmall | undefined,
    bytes: Uint8Array,
  ): Promise<void> | undefined {
    const file = this.#files[index];
    if (file === undefined || facts === undefined) return undefined;
    if (this.#options.isWanted?.(index) === false) return undefined;
    const { log, clock } = this.#context;
    const { inode, version, sizeBytes, checksum, mtimeMs, mode } = facts;
    // The block was right. This tells that the bytes are those of the file.
    if (fileChecksum([sumsOf(bytes)]) !== checksum) {
      log.warn("A small file has a wrong checksum", { path: file.remote });
      return undefined;
    }
    return this.#writer.write(file.local, bytes, { mode, mtimeMs }, (error) => {
      if (error !== undefined) return log.debug("Cannot write a small file", { error });
      const elapsedMs = Math.round(clock.monotonicMs() - this.#startMs);
      const told = { path: file.remote, inode, version, sizeBytes, checksum, mtimeMs, mode };
      this.#results[index] = { ...told, local: file.local, resumedBytes: 0, elapsedMs };
      this.#options.onProgress?.(index, { doneBytes: sizeBytes, totalBytes: sizeBytes });
    });
  }

  /** Lets others have a turn, now and then. */
  async #breathe(): Promise<void> {
    const { clock } = this.#context;
    if (clock.monotonicMs() - this.#sliceMs < SLICE_MS) return;
    await clock.sleep(0, this.#signal);
    this.#sliceMs = clock.monotonicMs();
  }
}

function holdersOf({ chunk }: ChunkGroup, holders: readonly Holder[]): Holder[] {
  const wanted = new Set(chunk.keepers);
  return holders.filter(({ keeper }) => wanted.has(keeper));
}

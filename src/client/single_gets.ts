/**
 * Gets of single files. Those that come while others are under way are gathered: their places are
 * asked for at once, and small files that share a chunk come by one transfer.
 */
import { Gatherer } from "../base/gatherer.ts";
import { baseName, quotePath } from "../wire/names.ts";
import type { GetOptions, GetResult, ManyFile } from "./api.ts";
import type { ClientContext } from "./context.ts";
import { signalOf } from "./context.ts";
import { downloadInto } from "./download.ts";
import { tellKept } from "./kept.ts";
import { resolveTarget } from "./local_files.ts";
import { isFresh, LocalTarget } from "./local_target.ts";
import { RemoteFile } from "./remote_file.ts";
import { getSmall } from "./small_files/get_one.ts";
import { SMALL_BYTES_MAX } from "./small_files/plan.ts";

/** So many go their own way at once; together they would be no faster. */
const ALONE_MAX = 4;
/** Files of one group; what came for more would be held in memory for nothing. */
const GROUP_FILES_MAX = 256;

/** What a get has brought; how long it took is told by who was asked. */
type Got = Omit<GetResult, "elapsedMs">;

/** A file, and the place where nothing is yet. */
interface FreshGet extends ManyFile {
  options: GetOptions;
}

export class SingleGets {
  readonly #context: ClientContext;
  readonly #gatherer: Gatherer<FreshGet, Got>;

  constructor(context: ClientContext) {
    this.#context = context;
    this.#gatherer = new Gatherer<FreshGet, Got>({
      aloneMax: ALONE_MAX,
      itemsMax: GROUP_FILES_MAX,
      mayJoin: ({ options: first }, { options }) =>
        (first.sync ?? false) === (options.sync ?? false),
      alone: ({ remote, local, options }, release) =>
        this.#getAlone(remote, local, options, release),
      together: (gets) => getTogether(context, gets),
    });
  }

  /** See `TydfsClient.get`; `path` is in its one form. */
  async get(path: string, local: string, options: GetOptions): Promise<GetResult> {
    const { clock } = this.#context;
    const startMs = clock.monotonicMs();
    const place = options.exact === true ? local : await resolveTarget(local, baseName(path));
    // What is there may be gone on with, or is to be replaced.
    const mayGather = (options.sizeBytes ?? 0) < SMALL_BYTES_MAX && isFresh(place);
    const result = mayGather
      ? await this.#gatherer.run({ remote: path, local: place, options }, signalOf(options))
      : await this.#getAlone(path, place, options, () => {});
    return { ...result, elapsedMs: Math.round(clock.monotonicMs() - startMs) };
  }

  /** Calls `release` when the file is not small. */
  async #getAlone(
    path: string,
    place: string,
    options: GetOptions,
    release: () => void,
  ): Promise<Got> {
    const context = this.#context;
    const signal = signalOf(options);
    const file = await RemoteFile.open(context, path, signal);
    if (file.facts.sizeBytes >= SMALL_BYTES_MAX) release();
    const { onProgress = ignore, sync = false } = options;
    if (await getSmall(context, file, place, { signal, onProgress, sync })) {
      return { ...file.facts, local: place, resumedBytes: 0 };
    }
    const target = await LocalTarget.create(place, context.random);
    const done = { doneBytes: 0, resumedBytes: 0 };
    try {
      await downloadInto(context, file, target, { signal, onProgress, done });
      const { mtimeMs, mode } = file.facts;
      signal.throwIfAborted();
      await target.finish({ mtimeMs, mode, sync });
    } catch (error) {
      if (!await target.leave()) throw error;
      const place = `in ${quotePath(target.partial)}`;
      throw tellKept(error, { path, bytes: done.doneBytes, place });
    }
    return { ...file.facts, local: target.path, resumedBytes: done.resumedBytes };
  }
}

/** Gets what has waited; what one has given up meanwhile is not written. */
async function getTogether(
  context: ClientContext,
  gets: readonly FreshGet[],
): Promise<(Got | undefined)[]> {
  // Only those who have many need it.
  const { getMany } = await import("./small_files/get_many.ts");
  return await getMany(context, gets, {
    sync: gets[0]?.options.sync ?? false,
    onProgress: (index, progress) => gets[index]?.options.onProgress?.(progress),
    isWanted: (index) => gets[index]?.options.signal?.aborted !== true,
  });
}

function ignore(): void {}

/**
 * Puts of single files. Small ones that come while others are under way are gathered, and go
 * together in a pack: one transfer and one commit for all of them.
 */
import { Gatherer } from "../base/gatherer.ts";
import { KIB } from "../base/bytes.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import type { PutOptions, PutResult } from "./api.ts";
import type { ClientContext } from "./context.ts";
import { signalOf } from "./context.ts";
import { LocalSource, lookAtSmall } from "./local_files.ts";
import type { MemoryBytes } from "./memory_source.ts";
import { memoryBytes, MemorySource } from "./memory_source.ts";
import type { Packer } from "./packs/packer.ts";
import { PUT_LIMITS } from "./packs/plan.ts";
import type { SmallFile } from "./packs/small_file.ts";
import type { Source } from "./source.ts";
import { FileSource, StreamSource } from "./source.ts";
import { upload } from "./upload.ts";

/** Larger files are sent straight from their disk, and several at once do well. */
const GATHERED_BYTES_MAX = 128 * KIB;
/** So many go their own way at once; together they would be no faster. */
const ALONE_MAX = 4;

/** A small file or bytes on their way, with what putting them alone takes. */
interface SmallPut {
  file: SmallFile;
  options: PutOptions;
  alone: () => Promise<PutResult>;
}

export class SinglePuts {
  readonly #context: ClientContext;
  readonly #gatherer: Gatherer<SmallPut, PutResult>;

  constructor(context: ClientContext, packer: Packer) {
    this.#context = context;
    this.#gatherer = new Gatherer<SmallPut, PutResult>({
      aloneMax: ALONE_MAX,
      itemsMax: PUT_LIMITS.files,
      mayJoin: ({ options: first }, { options }) =>
        first.replicas === options.replicas && first.minCopies === options.minCopies &&
        (first.exclusive ?? false) === (options.exclusive ?? false),
      alone: ({ alone }) => alone(),
      together: (puts) => putTogether(packer, puts),
    });
  }

  /** See `TydfsClient.put`; `path` is in its one form. */
  async put(local: string, path: string, options: PutOptions): Promise<PutResult> {
    const alone = () => this.#putAlone(local, path, options);
    const seen = lookAtSmall(local, GATHERED_BYTES_MAX);
    if (seen === undefined) return await alone();
    return await this.#gather({ file: { path, local, ...seen }, options, alone });
  }

  /** See `TydfsClient.putMemory`. */
  async putMemory(
    bytes: Uint8Array | MemoryBytes,
    path: string,
    options: PutOptions,
  ): Promise<PutResult> {
    const mtimeMs = this.#context.clock.wallMs();
    const memory = bytes instanceof Uint8Array ? memoryBytes(bytes) : bytes;
    const alone = () => this.upload(new MemorySource(memory, mtimeMs), path, options);
    const { length: sizeBytes } = bytes instanceof Uint8Array ? bytes : { length: Infinity };
    if (!(bytes instanceof Uint8Array) || sizeBytes > GATHERED_BYTES_MAX) return await alone();
    const file = { path, local: "", sizeBytes, mtimeMs, bytes };
    return await this.#gather({ file, options, alone });
  }

  /** Puts any source by itself. Throws `usage` for the root. */
  async upload(source: Source, path: string, options: PutOptions): Promise<PutResult> {
    const { clock } = this.#context;
    if (path === "/") {
      throw new TydfsError("usage", `Cannot put a file at ${quotePath(path)}: name the file too`);
    }
    const startMs = clock.monotonicMs();
    const { committed, resumedBytes } = await upload(this.#context, source, {
      path,
      replicas: options.replicas,
      minCopies: options.minCopies,
      exclusive: options.exclusive ?? false,
      signal: signalOf(options),
      onProgress: options.onProgress ?? ignore,
    });
    return { ...committed, resumedBytes, elapsedMs: Math.round(clock.monotonicMs() - startMs) };
  }

  async #putAlone(local: string, path: string, options: PutOptions): Promise<PutResult> {
    const file = await LocalSource.open(local);
    try {
      const source = file.kind === "file"
        ? new FileSource(file)
        : new StreamSource(file.stream(), this.#context.clock.wallMs());
      return await this.upload(source, path, options);
    } finally {
      await file.close();
    }
  }

  async #gather(put: SmallPut): Promise<PutResult> {
    const { clock } = this.#context;
    const startMs = clock.monotonicMs();
    const result = await this.#gatherer.run(put, signalOf(put.options));
    return { ...result, elapsedMs: Math.round(clock.monotonicMs() - startMs) };
  }
}

/** Puts what has waited in packs; what one has given up meanwhile is left out of the commit. */
async function putTogether(
  packer: Packer,
  puts: readonly SmallPut[],
): Promise<(PutResult | TydfsError | undefined)[]> {
  const { replicas, minCopies, exclusive = false } = puts[0]?.options ?? {};
  const outcomes = await packer.put(puts.map(({ file }) => file), {
    ...(replicas === undefined ? {} : { replicas }),
    ...(minCopies === undefined ? {} : { minCopies }),
    exclusive,
    isWanted: (index) => puts[index]?.options.signal?.aborted !== true,
  });
  for (const [at, { file, options }] of puts.entries()) {
    const outcome = outcomes[at];
    if (outcome === undefined || outcome instanceof TydfsError) continue;
    options.onProgress?.({ doneBytes: file.sizeBytes, totalBytes: file.sizeBytes });
  }
  return outcomes;
}

function ignore(): void {}

/**
 * Files that a simulated client puts or gets together: from and to memory, since there are no local
 * files, but else by what `putMany` and `getMany` are made of.
 */
import type { ClientEffects, ClientSettings } from "../../src/client/api.ts";
import type { TydfsClient } from "../../src/client/client.ts";
import type { ClientContext } from "../../src/client/context.ts";
import { makeContext } from "../../src/client/make_context.ts";
import type { FileTaker } from "../../src/client/small_files/get_many.ts";
import { getMany } from "../../src/client/small_files/get_many.ts";
import type { TydfsError } from "../../src/wire/errors.ts";

/** What has become of a file; undefined: it is to be put or got by itself. */
export type Put = { version: number } | TydfsError | undefined;
export type Got = { found: Uint8Array } | undefined;

export class Together {
  readonly #client: TydfsClient;
  readonly #context: ClientContext;

  constructor(client: TydfsClient, effects: ClientEffects, settings: ClientSettings) {
    this.#client = client;
    this.#context = makeContext(effects, settings);
  }

  /** Puts files in packs. */
  async put(
    files: readonly { path: string; bytes: Uint8Array | undefined }[],
    options: { exclusive: boolean },
  ): Promise<Put[]> {
    const mtimeMs = this.#context.clock.wallMs();
    const small = files.map(({ path, bytes = new Uint8Array() }) => {
      return { path, local: "", sizeBytes: bytes.length, mtimeMs, bytes };
    });
    return await this.#client.putPacked(small, options);
  }

  /** Gets files together. */
  async get(paths: readonly string[]): Promise<Got[]> {
    const found = new Map<string, Uint8Array>();
    const files = paths.map((remote, index) => ({ remote, local: String(index) }));
    const results = await getMany(this.#context, files, {}, memoryTaker(found));
    return results.map((result, index) => {
      const bytes = found.get(String(index));
      return result === undefined || bytes === undefined ? undefined : { found: bytes };
    });
  }
}

function memoryTaker(found: Map<string, Uint8Array>): FileTaker {
  return {
    write: (path, bytes, _facts, settle) => {
      found.set(path, bytes.slice());
      settle(undefined);
      return undefined;
    },
    flush: () => Promise.resolve(),
    syncDirectories: () => Promise.resolve(),
    drop: () => {},
  };
}

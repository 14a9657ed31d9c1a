/**
 * Small files that have settled at the same time are sent together: each is followed by itself up
 * to the moment of sending, and who comes there waits until all the others are there, too, or need
 * no sending. What can't go in a pack is sent alone then.
 */
import { Limiter } from "../../base/limit.ts";
import { MIB } from "../../base/bytes.ts";
import type { PutResult } from "../api.ts";
import type { PackedOptions, SmallFile } from "../packs/small_file.ts";
import { isSmall } from "../packs/small_file.ts";
import { directoriesAbove } from "./plan.ts";
import type { WatchClient } from "./remote_side.ts";
import type { Sighting } from "./settling.ts";

/** Files, and bytes of them, that are followed together at most. */
export const TOGETHER_MAX = 512;
const TOGETHER_BYTES_MAX = 8 * MIB;

interface Waiting {
  file: SmallFile;
  alone: () => Promise<PutResult>;
  sent: PromiseWithResolvers<PutResult>;
}

export interface TogetherOptions extends Pick<PackedOptions, "replicas" | "minCopies"> {
  signal: AbortSignal;
  /** Of those that are sent alone, how many at once. */
  transfers: number;
}

/** One of those that are followed together. */
export interface Member {
  /** Sends `file` with the others, or by `alone`. Throws what that throws. */
  send(file: SmallFile, alone: () => Promise<PutResult>): Promise<PutResult>;
  /** It sends nothing more: nobody waits for it. */
  leave(): void;
}

export class Together {
  readonly #client: Pick<WatchClient, "putPacked">;
  readonly #options: TogetherOptions;
  readonly #waiting: Waiting[] = [];
  /** Members that may yet send. */
  #coming: number;

  /** Of `members`, each of whom must take its place by `member`, and leave. */
  constructor(client: Pick<WatchClient, "putPacked">, members: number, options: TogetherOptions) {
    this.#client = client;
    this.#coming = members;
    this.#options = options;
  }

  member(): Member {
    let isComing = true;
    const come = () => {
      if (!isComing) return;
      isComing = false;
      this.#coming--;
      if (this.#coming === 0) void this.#send();
    };
    return {
      leave: come,
      send: (file, alone) => {
        // The others have gone without it: it is tried again.
        if (!isComing) return alone();
        const sent = Promise.withResolvers<PutResult>();
        this.#waiting.push({ file, alone, sent });
        come();
        return sent.promise;
      },
    };
  }

  /** Never throws: each of those that wait hears what has become of it. */
  async #send(): Promise<void> {
    const waiting = this.#waiting.splice(0);
    const { signal, transfers, replicas, minCopies } = this.#options;
    try {
      const outcomes = waiting.length < 2
        ? []
        : await this.#client.putPacked(waiting.map(({ file }) => file), {
          signal,
          ...(replicas === undefined ? {} : { replicas }),
          ...(minCopies === undefined ? {} : { minCopies }),
        });
      const places = new Limiter(transfers);
      for (const [at, { alone, sent }] of waiting.entries()) {
        const outcome = outcomes[at];
        if (outcome === undefined) places.run(alone).then(sent.resolve, sent.reject);
        else if (outcome instanceof Error) sent.reject(outcome);
        else sent.resolve(outcome);
      }
    } catch (error) {
      for (const { sent } of waiting) sent.reject(error);
    }
  }
}

/**
 * Accepts small files and links, until they are enough for one go. None that lies below another: it
 * was a directory a moment ago, whose turn its entries await, while it would await them here.
 */
export function acceptSmall(): (sighting: Sighting) => boolean {
  let bytes = 0;
  const accepted = new Set<string>();
  return ({ path, seen }) => {
    if (seen === undefined || seen.kind === "directory" || !isSmall(seen)) return false;
    if (directoriesAbove(path).some((above) => accepted.has(above))) return false;
    accepted.add(path);
    bytes += seen.sizeBytes;
    return bytes <= TOGETHER_BYTES_MAX;
  };
}

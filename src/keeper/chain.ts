/**
 * The chain: a keeper sends a chunk on to the next hop with the client's own ticket, and to the hop
 * after it when that fails. The kernel sends the bytes, so no progress is seen here: a deadline by
 * size, and questions to a peer that takes long, tell a slow one from a dead one.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { MIB } from "../base/bytes.ts";
import type { ChunkTransport, PortAddress } from "../wire/chunk_http.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { Hop } from "../wire/ticket.ts";

export interface ChainLimits {
  /** A hop's time for its part of the chain: this much for each keeper in it … */
  hopMs: number;
  /** … and its bytes at this rate for each of them. */
  bytesPerSecond: number;
  /** A peer that takes longer than this is asked whether it lives, each so often. */
  pingEveryMs: number;
  /** An answer to that must come within this time; two that do not end the stream. */
  pingMs: number;
}

export const CHAIN_LIMITS: ChainLimits = {
  hopMs: 10_000,
  bytesPerSecond: 2 * MIB,
  pingEveryMs: 500,
  pingMs: 2_000,
};

const SILENT_PINGS_MAX = 2;

/** A chunk on its way to further keepers. */
export interface Forward {
  chunk: string;
  sizeBytes: number;
  /** The client's ticket, as it came. */
  ticket: string;
  /** Copies that the next keeper needs, its own included, before it answers. */
  need: number;
  /** The bytes, or where they lie now; asked for anew when the sending to a hop begins. */
  body: () => Blob | Uint8Array;
}

export class Chain {
  readonly #transport: ChunkTransport;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: ChainLimits;

  constructor(transport: ChunkTransport, clock: Clock, log: Log, limits = CHAIN_LIMITS) {
    this.#transport = transport;
    this.#clock = clock;
    this.#log = log;
    this.#limits = limits;
  }

  /**
   * Sends a chunk along `hops`. Returns the keepers there whose copies are durable and count; never
   * throws.
   */
  async forward(hops: readonly Hop[], forward: Forward): Promise<string[]> {
    for (const [index, hop] of hops.entries()) {
      try {
        return await this.#send(hop, hops.length - index, forward);
      } catch (error) {
        const { chunk } = forward;
        this.#log.warn("Cannot forward a chunk", { chunk, keeper: hop.keeper, error });
        // That keeper has its copy and has tried all hops behind it: nothing is left to try.
        if (hasCode(error, "no-keepers")) return keepersOf(error);
      }
    }
    return [];
  }

  async #send(hop: Hop, hopsLeft: number, forward: Forward): Promise<string[]> {
    const { chunk, ticket, need, sizeBytes } = forward;
    const { hopMs, bytesPerSecond } = this.#limits;
    const stop = new AbortController();
    const fail = (reason: string) =>
      stop.abort(new TydfsError("unavailable", `Keeper ${hop.keeper} ${reason}`));
    const deadlineMs = hopsLeft * (hopMs + 1000 * sizeBytes / bytesPerSecond);
    const deadline = this.#clock.after(deadlineMs, () => fail(`took over ${deadlineMs} ms`));
    const watch = this.#watch(hop, stop.signal, () => fail("does not answer any more"));
    try {
      // The transport opens the body before it first waits: nothing may come between, for the file
      // is about to be renamed.
      const request = { chunk, ticket, need, body: forward.body(), signal: stop.signal };
      return (await this.#transport.put(hop, request)).keepers;
    } finally {
      deadline.stop();
      watch();
    }
  }

  /** Asks a peer that takes long whether it lives; returns how to stop that. */
  #watch(address: PortAddress, signal: AbortSignal, onSilence: () => void): () => void {
    const { pingEveryMs, pingMs } = this.#limits;
    let asking = false;
    let silent = 0;
    const timer = this.#clock.every(pingEveryMs, async () => {
      if (asking || signal.aborted) return;
      asking = true;
      silent = await this.#answers(address, pingMs) ? 0 : silent + 1;
      asking = false;
      if (silent >= SILENT_PINGS_MAX && !signal.aborted) onSilence();
    });
    return () => timer.stop();
  }

  async #answers(address: PortAddress, withinMs: number): Promise<boolean> {
    const stop = new AbortController();
    const timer = this.#clock.after(withinMs, () => stop.abort());
    try {
      await this.#transport.ping(address, stop.signal);
      return true;
    } catch {
      return false;
    } finally {
      timer.stop();
    }
  }
}

/** The keepers that an error names as having durable copies. */
function keepersOf(error: TydfsError): string[] {
  const keepers = error.data["keepers"];
  return Array.isArray(keepers) ? keepers : [];
}

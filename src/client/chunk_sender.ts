/**
 * Sends one chunk until enough copies of it are durable: hop by hop on one ticket, then with other
 * keepers, for a limited time. A source that changes meanwhile ends it at once.
 */
import { backoffMs } from "../base/limit.ts";
import type { PutAnswer } from "../wire/chunk_http.ts";
import type { ErrorCode } from "../wire/errors.ts";
import { hasCode, mayPass, TydfsError } from "../wire/errors.ts";
import type { ChunkPlacement, Committed } from "../wire/upload.ts";
import type { ClientContext } from "./context.ts";
import { KeeperWatch } from "./keeper_watch.ts";
import type { Source, SourceChunk } from "./source.ts";
import { sendToKeeper } from "./transfer.ts";

/** Time from a chunk's first failure until it is given up. */
const CHUNK_FAILURES_MS = 60_000;
const BACKOFF = { firstMs: 200, maxMs: 3_000 };
const AVOID_MAX = 64;

/** Failures after which another hop, or another placement, may do. All others are final. */
const FAILOVER_CODES: ErrorCode[] = [
  "corrupt",
  "expired",
  "no-space",
  "stale-epoch",
  "lost",
  "internal",
];

/**
 * What is sent: the chunk, its sums as they were offered, and where to, when that is known already.
 */
export interface Shipment {
  chunk: SourceChunk;
  sums: Uint8Array;
  placement: ChunkPlacement | undefined;
  /**
   * Hears how many bytes of the chunk are at a keeper, while that takes long; fewer than before
   * when it is sent anew, and never all.
   */
  onPart: (bytes: number) => void;
}

/** The chunk is in the cluster already, with these very sums: nothing is to be sent. */
export interface StoredChunk {
  stored: true;
}

/** A place for a chunk as the master answers it; it always does, where a chunk was offered. */
export function mustPlace(placement: ChunkPlacement | undefined): ChunkPlacement {
  if (placement !== undefined) return placement;
  throw new TydfsError("internal", "Cannot send a chunk: the master did not place it");
}

/** How a whole placement failed. */
interface PlacementFailure {
  error: TydfsError;
  /** Keepers that could not be reached or could not store it. */
  failed: string[];
}

/**
 * Finds a place for a chunk, away from the keepers to `avoid`; or learns that it was stored before:
 * by an upload that was cut off, or by this one, and only the answer was lost.
 */
export type PlaceChunk = (
  chunk: SourceChunk,
  sums: Uint8Array,
  avoid: string[],
  signal: AbortSignal,
) => Promise<ChunkPlacement | PutAnswer | StoredChunk>;

/** How a chunk came to be stored. */
export interface Sent {
  /** The sums with which it is stored. */
  sums: Uint8Array;
  /** What the file became, when the chunk was all of it. */
  committed: Committed | undefined;
  /** It was there before it was sent even once. */
  wasThere: boolean;
}

export class ChunkSender {
  readonly #context: ClientContext;
  readonly #source: Source;
  readonly #place: PlaceChunk;
  readonly #watch: KeeperWatch;

  constructor(context: ClientContext, source: Source, place: PlaceChunk) {
    this.#context = context;
    this.#source = source;
    this.#place = place;
    this.#watch = new KeeperWatch(context);
  }

  /** Sends the chunk, unless it is there. Throws the last failure when the time is up. */
  async send(shipment: Shipment, signal: AbortSignal): Promise<Sent> {
    const { clock, random } = this.#context;
    let { placement, sums } = shipment;
    let avoid = this.#context.failures.all();
    let firstFailureMs: number | undefined;
    for (let attempt = 0;; attempt++) {
      let failure: PlacementFailure;
      try {
        const placed = placement ?? await this.#place(shipment.chunk, sums, avoid, signal);
        if ("stored" in placed) return { sums, committed: undefined, wasThere: attempt === 0 };
        if ("keepers" in placed) return { sums, committed: placed.committed, wasThere: false };
        placement = placed;
        const outcome = await this.#tryHops(placement, shipment, signal);
        if ("keepers" in outcome) return { sums, committed: outcome.committed, wasThere: false };
        failure = outcome;
        avoid = [...new Set([...failure.failed, ...avoid])].slice(0, AVOID_MAX);
      } catch (error) {
        if (!hasCode(error, "no-keepers") || placement !== undefined) throw error;
        // Those that were avoided may be back, and are better than none.
        avoid = [];
        failure = { error, failed: [] };
      }
      placement = undefined;
      const nowMs = clock.monotonicMs();
      firstFailureMs ??= nowMs;
      const pauseMs = attempt === 0 ? 0 : backoffMs(attempt, BACKOFF, random);
      if (nowMs + pauseMs - firstFailureMs > CHUNK_FAILURES_MS) throw givenUp(failure.error);
      await clock.sleep(pauseMs, signal);
      if (failure.error.code === "corrupt") sums = await shipment.chunk.sums();
    }
  }

  /** Tries the hops of a placement in order, each as the head of the chain. */
  async #tryHops(
    placement: ChunkPlacement,
    { chunk, onPart }: Shipment,
    signal: AbortSignal,
  ): Promise<PutAnswer | PlacementFailure> {
    const { transport, clock, log, failures } = this.#context;
    const failed: string[] = [];
    let last = new TydfsError("no-keepers", "Cannot send a chunk: the master named no keeper");
    for (const hop of placement.hops) {
      const sinceMs = clock.monotonicMs();
      let partBytes = 0;
      try {
        const answer = await sendToKeeper(transport, hop, {
          clock,
          signal,
          chunk: placement.chunk,
          ticket: placement.ticket,
          body: chunk.body(),
          sizeBytes: chunk.sizeBytes,
          onReceived: (bytes) => onPart(partBytes = bytes),
          check: async () => {
            await this.#source.check();
            await this.#watch.check(hop.keeper, sinceMs, signal);
          },
        });
        this.#learn(placement, answer.keepers);
        return answer;
      } catch (error) {
        if (partBytes > 0) onPart(0);
        signal.throwIfAborted();
        if (!(error instanceof TydfsError)) throw error;
        if (!mayPass(error) && !hasCode(error, ...FAILOVER_CODES)) {
          // A file that has shrunk announces fewer bytes than are due, which a keeper refuses.
          await this.#source.check();
          throw error;
        }
        log.debug("A keeper failed to store a chunk", {
          keeper: hop.keeper,
          seq: chunk.seq,
          error,
        });
        // Bytes that can't be read any more look like a keeper that can't be reached.
        if (!hasCode(error, "busy")) await this.#source.check();
        last = error;
        if (hasCode(error, "unavailable", "timeout")) failures.note(hop.keeper);
        // The head is alive, but its chain is too short, or its ticket of no use: another placement
        // helps, not another hop.
        if (hasCode(error, "no-keepers", "expired")) {
          return { error, failed: [...failed, ...namedKeepers(error)] };
        }
        if (!hasCode(error, "corrupt", "busy")) failed.push(hop.keeper);
      }
    }
    return { error: last, failed };
  }

  /** Those that answered are well; whom the chain went past on its way to them has failed it. */
  #learn({ hops }: ChunkPlacement, answered: readonly string[]): void {
    const { failures } = this.#context;
    const stored = new Set(answered);
    const last = hops.findLastIndex(({ keeper }) => stored.has(keeper));
    for (const { keeper } of hops.slice(0, last + 1)) {
      if (stored.has(keeper)) failures.forgive(keeper);
      else failures.note(keeper);
    }
  }
}

/** That keepers can't be reached is one thing to scripts, whichever way it showed last. */
function givenUp(error: TydfsError): TydfsError {
  if (!hasCode(error, "unavailable", "timeout", "no-keepers")) return error;
  const message = `Cannot send a chunk: too few keepers took it within ${
    CHUNK_FAILURES_MS / 1000
  } s; the last failure: ${error.message}`;
  return new TydfsError("no-keepers", message, { data: error.data, cause: error });
}

/** The keepers that an error blames, when it names them. */
function namedKeepers(error: TydfsError): string[] {
  const named = error.data["failed"];
  return Array.isArray(named) ? named : [];
}

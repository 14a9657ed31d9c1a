/**
 * Replicate: fetch a chunk from other keepers, one after the other until one has good bytes, and
 * land it here.
 */
import * as v from "valibot";
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { Pacer } from "../base/limit.ts";
import { randomInt } from "../base/random.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import type { ChunkFacts } from "../chunks/sidecar.ts";
import type { ChunkTransport, PortAddress } from "../wire/chunk_http.ts";
import type { commandReplicate } from "../wire/command.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { ChunkOrigin } from "../wire/ticket.ts";
import type { Reporter } from "./reporter.ts";

export interface ReplicateOptions {
  keeperId: string;
  store: ChunkStore;
  disk: Disk;
  transport: ChunkTransport;
  reporter: Reporter;
  clock: Clock;
  random: Random;
  log: Log;
}

export type ReplicateRequest = v.InferOutput<typeof commandReplicate.request>;

const ORIGIN_MS = 5_000;
const CHECK_MS = 1_000;
/** A source that sends nothing for this long is given up. */
const STALL_MS = 15_000;

/**
 * Resolves when the chunk is durable here and the master knows. Throws what the last source did
 * wrong, or at once what no other source could mend.
 */
export async function replicate(
  options: ReplicateOptions,
  request: ReplicateRequest,
): Promise<void> {
  const { keeperId, store, random, reporter, log } = options;
  const { chunk, sizeBytes, sums, sources, ticket, goal, bytesPerSecond } = request;
  const facts: ChunkFacts = { chunk, sizeBytes, sums, goal };
  let failure: unknown = new TydfsError("no-keepers", `Chunk "${chunk}" has no source`);
  let isHere = await store.has(facts);
  for (const { keeper, host, ports } of sources) {
    const port = ports[randomInt(random, ports.length)];
    if (isHere) break;
    if (port === undefined) continue;
    try {
      const address = { host, port };
      const origin = await findOrigin(options, chunk, ticket, address);
      await fetchChunk(options, { ...facts, origin }, { ticket, address, bytesPerSecond });
      isHere = true;
    } catch (error) {
      log.warn("Cannot copy a chunk from a keeper", { chunk, keeper, error });
      failure = error;
      if (hasCode(error, "no-space", "conflict")) break;
    }
  }
  if (!isHere) throw failure;
  await reporter.stored({ chunk, sizeBytes, sums, keepers: [keeperId], head: false });
  await failpoint("keeper.copy.reported");
}

/**
 * What the source knows the chunk was written for. A copy is worth more than its sidecar's whole.
 */
async function findOrigin(
  { transport, clock, log }: ReplicateOptions,
  chunk: string,
  ticket: string,
  address: PortAddress,
): Promise<ChunkOrigin | undefined> {
  const late = new AbortController();
  const timer = clock.after(ORIGIN_MS, () => late.abort());
  try {
    return await transport.origin(address, { chunk, ticket, signal: late.signal });
  } catch (error) {
    log.warn("Cannot learn what a chunk was written for", { chunk, error });
    return undefined;
  } finally {
    timer.stop();
  }
}

/** Where a chunk is fetched from, and how fast at most. */
interface FetchPlan {
  ticket: string;
  address: PortAddress;
  bytesPerSecond: number | undefined;
}

async function fetchChunk(
  { store, disk, transport, clock, log }: ReplicateOptions,
  facts: ChunkFacts,
  { ticket, address, bytesPerSecond }: FetchPlan,
): Promise<void> {
  const { chunk, sizeBytes } = facts;
  const pacer = bytesPerSecond === undefined ? undefined : new Pacer(clock, bytesPerSecond);
  const stop = new AbortController();
  let movedMs = clock.monotonicMs();
  const watch = clock.every(CHECK_MS, () => {
    if (clock.monotonicMs() - movedMs < STALL_MS) return;
    const message = `The source at ${address.host}:${address.port} sends nothing`;
    stop.abort(new TydfsError("timeout", message));
  });
  async function* pieces(): AsyncIterable<Uint8Array> {
    if (sizeBytes === 0) return;
    const request = { chunk, ticket, offset: 0, length: sizeBytes, signal: stop.signal };
    for await (const piece of await transport.get(address, request)) {
      // A pause of our own making is no stall of the source.
      movedMs = Infinity;
      await pacer?.pass(piece.length, stop.signal);
      movedMs = clock.monotonicMs();
      yield piece;
    }
  }
  async function fill(path: string): Promise<void> {
    await disk.write(path, pieces(), { sync: false });
    await failpoint("keeper.copy.fetched");
  }
  try {
    // A copy is worth more than the names of what is in it.
    await store.land(facts, fill, (error) => {
      log.warn("Cannot list the files of a pack that was copied", { chunk, error });
    });
    await failpoint("keeper.copy.durable");
  } finally {
    watch.stop();
    stop.abort();
  }
}

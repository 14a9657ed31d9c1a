/**
 * Reads parts of chunks from the keepers that hold them, each block verified by the sums on record:
 * one holder after the other, until one has good bytes. Who gives wrong ones is told to look.
 */
import type { Clock } from "../base/clock.ts";
import { withTimeout } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { randomInt } from "../base/random.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import type { ChunkTransport, PortAddress } from "../wire/chunk_http.ts";
import { commandVerify } from "../wire/command.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { Subjects } from "../wire/subjects.ts";
import { BLOCK_BYTES, getSum, hashBlock } from "../wire/sums.ts";
import type { ChunkOrigin } from "../wire/ticket.ts";
import { signTicket } from "../wire/ticket.ts";
import type { BlockRun } from "./compaction_plan.ts";
import { noteFailure } from "./failures.ts";
import type { Roster } from "./roster.ts";

export interface ChunkSourceOptions {
  bus: Bus;
  subjects: Subjects;
  clock: Clock;
  random: Random;
  log: Log;
  roster: Roster;
  keepers: KeeperTable;
  transport: ChunkTransport;
  ticketKey: string;
  masterEpoch: number;
  /** Ends all waits. */
  signal: AbortSignal;
}

/** A chunk that can be read: with the sums on record, and the numbers of its holders. */
export interface ReadableChunk {
  id: string;
  sizeBytes: number;
  sums: Uint8Array;
  keepers: readonly number[];
}

/** Holders that are asked for the same bytes, at most. */
const HOLDERS_MAX = 4;
const READ_MS = 20_000;
const ORIGIN_MS = 5_000;
const VERIFY_MS = 60_000;
const TICKET_MS = 10 * 60_000;

export class ChunkSource {
  readonly #options: ChunkSourceOptions;

  constructor(options: ChunkSourceOptions) {
    this.#options = options;
  }

  /** Verified bytes of some blocks. Throws what the last holder did wrong, `lost` without any. */
  async read(chunk: ReadableChunk, run: BlockRun): Promise<Uint8Array> {
    return await this.#ask(chunk, async (address, ticket) => {
      const bytes = await this.within(READ_MS, (signal) => {
        return this.#receive(chunk, run, { address, ticket, signal });
      });
      checkBlocks(chunk, run, bytes);
      return bytes;
    });
  }

  /** What a chunk was written for. Throws as `read`; `not-found` where no holder knows. */
  async origin({ id: chunk, ...facts }: ReadableChunk): Promise<ChunkOrigin> {
    return await this.#ask({ id: chunk, ...facts }, async (address, ticket) => {
      const origin = await this.within(ORIGIN_MS, (signal) => {
        return this.#options.transport.origin(address, { chunk, ticket, signal });
      });
      if (origin !== undefined) return origin;
      throw new TydfsError("not-found", `Nobody knows what chunk "${chunk}" was written for`);
    });
  }

  /** Does `work` for no longer than `ms`: its signal is aborted then, or when all is to end. */
  async within<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, signal } = this.#options;
    signal.throwIfAborted();
    const ended = new AbortController();
    const stopped = Promise.withResolvers<never>();
    const onStop = () => stopped.reject(signal.reason);
    signal.addEventListener("abort", onStop, { once: true });
    const late = () => new TydfsError("timeout", `A keeper did not answer within ${ms} ms`);
    const result = work(ended.signal);
    try {
      return await withTimeout(clock, Promise.race([result, stopped.promise]), ms, late);
    } catch (error) {
      // What is stuck is left, not awaited.
      ended.abort(error);
      result.catch(() => {});
      throw error;
    } finally {
      signal.removeEventListener("abort", onStop);
    }
  }

  async #ask<T>(
    chunk: ReadableChunk,
    question: (address: PortAddress, ticket: string) => Promise<T>,
  ): Promise<T> {
    const { clock, random, log, signal, ticketKey } = this.#options;
    const { id } = chunk;
    const expiresMs = clock.wallMs() + TICKET_MS;
    const ticket = signTicket(ticketKey, { op: "get", chunk: id, expiresMs });
    let failure: unknown = new TydfsError("lost", `No keeper has chunk "${id}" now`);
    for (const keeper of this.#holdersOf(chunk)) {
      const port = keeper.ports[randomInt(random, keeper.ports.length)];
      if (port === undefined) continue;
      try {
        return await question({ host: keeper.host, port }, ticket);
      } catch (error) {
        signal.throwIfAborted();
        noteFailure(log, "Cannot read a chunk", error, { chunk: id, keeper: keeper.name });
        if (hasCode(error, "corrupt", "not-found")) this.#doubt(id, keeper);
        failure = error;
      }
    }
    throw failure;
  }

  async #receive(
    { id: chunk, sizeBytes }: ReadableChunk,
    { first, end }: BlockRun,
    { address, ticket, signal }: { address: PortAddress; ticket: string; signal: AbortSignal },
  ): Promise<Uint8Array> {
    const offset = first * BLOCK_BYTES;
    const bytes = new Uint8Array(Math.min(end * BLOCK_BYTES, sizeBytes) - offset);
    const request = { chunk, ticket, offset, length: bytes.length, signal };
    let filled = 0;
    for await (const piece of await this.#options.transport.get(address, request)) {
      if (filled + piece.length > bytes.length) break;
      bytes.set(piece, filled);
      filled += piece.length;
    }
    if (filled === bytes.length) return bytes;
    throw new TydfsError("unavailable", `The stream of chunk "${chunk}" has a wrong length`);
  }

  /** Who can be asked, the surest first; else as chance has it, so that all bear a part. */
  #holdersOf({ keepers: numbers }: ReadableChunk): KeeperRecord[] {
    const { keepers, roster, random } = this.#options;
    const states = ["ALIVE", "SUSPECT"];
    return numbers
      .map((number) => ({ number, rank: states.indexOf(keepers.find(number)?.state ?? "") }))
      .filter(({ rank }) => rank >= 0)
      .map((holder) => ({ ...holder, draw: random.next() }))
      .sort((left, right) => left.rank - right.rank || left.draw - right.draw)
      .slice(0, HOLDERS_MAX)
      .flatMap(({ number }) => roster.byNumber(number) ?? []);
  }

  /** The keeper looks at its copy, and reports it lost when it is bad. */
  #doubt(chunk: string, keeper: KeeperRecord): void {
    const { bus, subjects, log, signal, masterEpoch: epoch } = this.#options;
    const subject = subjects.command(keeper.id, commandVerify.name);
    call(bus, subject, commandVerify, { epoch, chunk }, { timeoutMs: VERIFY_MS, signal }).catch(
      (error) => {
        if (signal.aborted) return;
        noteFailure(log, "Cannot have a replica verified", error, { chunk, keeper: keeper.name });
      },
    );
  }
}

/** Throws `corrupt` for the first block that is wrong. */
function checkBlocks({ id, sums }: ReadableChunk, { first, end }: BlockRun, bytes: Uint8Array) {
  for (let block = first; block < end; block++) {
    const start = (block - first) * BLOCK_BYTES;
    if (hashBlock(bytes.subarray(start, start + BLOCK_BYTES)) === getSum(sums, block)) continue;
    throw new TydfsError("corrupt", `Block ${block} of chunk "${id}" has a wrong sum`);
  }
}

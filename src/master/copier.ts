/**
 * Makes one more copy of a chunk: chooses where to, commands it, and bounds how many copies are
 * made at once, in all and by destination. The new holder's own report records the copy; the
 * command's answer only tells that it is over.
 */
import { MIB } from "../base/bytes.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Random } from "../base/random.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import { call } from "../wire/bus.ts";
import { commandReplicate, commandVerify } from "../wire/command.ts";
import { hasCode } from "../wire/errors.ts";
import { blockCount, SUM_BYTES } from "../wire/sums.ts";
import { signTicket } from "../wire/ticket.ts";
import type { Announce } from "./events.ts";
import { noteFailure } from "./failures.ts";
import type { Candidate } from "./placement.ts";
import { allowedBy, choosePlacement } from "./placement.ts";
import type { Policies } from "./policies.ts";
import type { RemovalOptions } from "./removals.ts";
import { holderOf, type Roster } from "./roster.ts";
import type { Slots } from "./slots.ts";

export interface CopierOptions extends Omit<RemovalOptions, "journal"> {
  random: Random;
  roster: Roster;
  slots: Slots;
  policies: Policies;
  keepers: KeeperTable;
  announce: Announce;
  ticketKey: string;
}

/** Copies that one keeper receives at once. */
const PER_DESTINATION_MAX = 2;
const SOURCES_MAX = 16;
/** A copy may take this long, and so much longer for each MiB. */
const COPY_BASE_MS = 30_000;
const COPY_MIB_MS = 1_000;
const TICKET_LEEWAY_MS = 60_000;
const VERIFY_MS = 60_000;

export type Copied = { kind: "copied" } | { kind: "failed" } | { kind: "nowhere" };

export class Copier {
  readonly #options: CopierOptions;
  readonly #runningByKeeper = new Map<number, number>();
  readonly #chunks = new Set<string>();

  constructor(options: CopierOptions) {
    this.#options = options;
  }

  /** Copies under way. */
  get running(): number {
    return this.#chunks.size;
  }

  isCopying(chunk: string): boolean {
    return this.#chunks.has(chunk);
  }

  /** Whether any keeper could take a copy, now or when it has less to do. */
  hasRoom(chunk: ChunkRecord, candidates: readonly Candidate[]): boolean {
    const allowed = allowedBy(this.#options.policies.of(chunk.policy), candidates);
    return allowed.some(({ number, freeBytes }) =>
      freeBytes >= chunk.sizeBytes && !chunk.keepers.includes(number)
    );
  }

  /** Whether a copy of the chunk can begin now. */
  canStart(chunk: ChunkRecord): boolean {
    return !this.isCopying(chunk.id) && this.#chooseDestination(chunk) !== undefined;
  }

  /** Makes a copy. Never rejects. */
  async copy(chunk: ChunkRecord): Promise<Copied> {
    const destination = this.#chooseDestination(chunk);
    const sources = this.#sourcesOf(chunk);
    const known = chunk.sums.length === blockCount(chunk.sizeBytes) * SUM_BYTES;
    if (destination === undefined || sources.length === 0 || !known) return { kind: "nowhere" };
    const { number } = destination;
    this.#chunks.add(chunk.id);
    this.#runningByKeeper.set(number, (this.#runningByKeeper.get(number) ?? 0) + 1);
    try {
      await failpoint("master.replicate.picked");
      return await this.#command(chunk, destination, sources);
    } finally {
      this.#chunks.delete(chunk.id);
      const left = (this.#runningByKeeper.get(number) ?? 1) - 1;
      if (left === 0) this.#runningByKeeper.delete(number);
      else this.#runningByKeeper.set(number, left);
    }
  }

  async #command(
    chunk: ChunkRecord,
    destination: KeeperRecord,
    sources: KeeperRecord[],
  ): Promise<Copied> {
    const { bus, subjects, clock, log, signal, masterEpoch: epoch, ticketKey } = this.#options;
    const { id, sizeBytes, sums, goal } = chunk;
    const timeoutMs = COPY_BASE_MS + Math.ceil(sizeBytes / MIB) * COPY_MIB_MS;
    const expiresMs = clock.wallMs() + timeoutMs + TICKET_LEEWAY_MS;
    const ticket = signTicket(ticketKey, { op: "get", chunk: id, expiresMs });
    const holders = sources.map(holderOf);
    const request = { epoch, chunk: id, sizeBytes, sums, goal, sources: holders, ticket };
    const subject = subjects.command(destination.id, commandReplicate.name);
    const fields = { chunk: id, to: destination.name };
    log.debug("Copying a chunk", { ...fields, from: sources.map(({ name }) => name) });
    try {
      const copied = call(bus, subject, commandReplicate, request, { timeoutMs, signal });
      await Promise.all([copied, failpoint("master.replicate.commanded")]);
    } catch (error) {
      if (signal.aborted) return { kind: "failed" };
      noteFailure(log, "Cannot copy a chunk", error, fields);
      if (hasCode(error, "corrupt", "lost")) {
        for (const source of sources) this.#verify(id, source);
      }
      return { kind: "failed" };
    }
    log.info("A chunk has a new copy", fields);
    this.#options.announce({ kind: "repaired", chunk: id, keeper: destination.name });
    return { kind: "copied" };
  }

  /**
   * Nobody could be read: each source looks at its own copy, and reports it lost when it is bad.
   */
  #verify(chunk: string, source: KeeperRecord): void {
    const { bus, subjects, log, signal, masterEpoch: epoch } = this.#options;
    const subject = subjects.command(source.id, commandVerify.name);
    const within = { timeoutMs: VERIFY_MS, signal };
    call(bus, subject, commandVerify, { epoch, chunk }, within).catch((error) => {
      if (signal.aborted) return;
      noteFailure(log, "Cannot have a replica verified", error, { chunk, keeper: source.name });
    });
  }

  #chooseDestination(chunk: ChunkRecord): KeeperRecord | undefined {
    const { slots, roster, random, policies } = this.#options;
    const policy = policies.of(chunk.policy);
    const sources = this.#sourcesOf(chunk).map((keeper) => slots.candidateOf(keeper));
    // Copies where the policy forbids them are about to go: zones are spread without them.
    const held = allowedBy(policy, sources);
    const candidates = slots.candidates()
      .filter(({ number }) => !chunk.keepers.includes(number))
      .filter(({ number }) => (this.#runningByKeeper.get(number) ?? 0) < PER_DESTINATION_MAX)
      // A copy by command takes no slot of a port: a busy keeper is only less likely.
      .map((candidate) => ({ ...candidate, freeSlots: Math.max(1, candidate.freeSlots) }));
    const copies = held.length + 1;
    const { sizeBytes } = chunk;
    const request = { candidates, held, goal: copies, minCopies: copies, sizeBytes, policy };
    const placement = choosePlacement({ ...request, avoid: new Set() }, random);
    if (placement.kind !== "placed") return undefined;
    const [choice] = placement.keepers;
    return choice && roster.byNumber(choice.number);
  }

  /** Who can be read from, the surest first. */
  #sourcesOf(chunk: ChunkRecord): KeeperRecord[] {
    const { keepers, roster } = this.#options;
    const inState = (state: string) =>
      chunk.keepers.filter((number) => keepers.find(number)?.state === state)
        .flatMap((number) => roster.byNumber(number) ?? []);
    return [...inState("ALIVE"), ...inState("SUSPECT")].slice(0, SOURCES_MAX);
  }
}

/**
 * Makes one more copy of a chunk: chooses from where and where to, commands it, and bounds how many
 * copies are made at once and how fast. The new holder's own report records the copy; the command's
 * answer only tells that it is over.
 */
import { KIB, MIB } from "../base/bytes.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Random } from "../base/random.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import { call } from "../wire/bus.ts";
import { commandReplicate, commandVerify } from "../wire/command.ts";
import { hasCode } from "../wire/errors.ts";
import { blockCount, SUM_BYTES } from "../wire/sums.ts";
import { signTicket } from "../wire/ticket.ts";
import { whileThere } from "./departure.ts";
import type { Announce } from "./events.ts";
import { noteFailure } from "./failures.ts";
import type { Candidate } from "./placement.ts";
import { allowedBy, choosePlacement, isBetterPlaced } from "./placement.ts";
import type { Policies } from "./policies.ts";
import type { RemovalOptions } from "./removals.ts";
import { holderOf, type Roster } from "./roster.ts";
import type { Slots } from "./slots.ts";

export interface CopierOptions extends Omit<RemovalOptions, "journal"> {
  random: Random;
  roster: Roster;
  slots: Slots;
  policies: Policies;
  announce: Announce;
  ticketKey: string;
  settings: Pick<
    Settings,
    "repair_streams" | "repair_per_keeper" | "repair_bandwidth" | "balance_bandwidth"
  >;
}

const SOURCES_MAX = 16;
/** A copy may take this long, and so much longer for each MiB. */
const COPY_BASE_MS = 30_000;
const COPY_MIB_MS = 1_000;
const TICKET_LEEWAY_MS = 60_000;
const VERIFY_MS = 60_000;

/** No copy is slower by command than this: a source would take a still slower reader for gone. */
const PACE_MIN = 128 * KIB;

/**
 * What a copy is for: `repair` for a chunk with too few; `move` off a keeper where it must not
 * stay; `balance` to make keepers even.
 */
export type CopyKind = "repair" | "move" | "balance";

export type Copied =
  | { kind: "copied"; tookMs: number }
  | { kind: "failed" };

/** A copy that can begin now: to where, and from where, the least busy source first. */
interface CopyPlan {
  destination: KeeperRecord;
  sources: KeeperRecord[];
}

interface Load {
  repairs: number;
  moves: number;
}

export class Copier {
  readonly #options: CopierOptions;
  readonly #loads = new Map<number, Load>();
  readonly #copies = new Map<string, { kind: CopyKind; sizeBytes: number }>();

  constructor(options: CopierOptions) {
    this.#options = options;
  }

  /** Copies under way, but for those that make keepers even. */
  get running(): number {
    return this.#copies.size - this.balancing;
  }

  /** Their bytes. */
  get runningBytes(): number {
    return [...this.#copies.values()].filter(({ kind }) => kind !== "balance")
      .reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  /** Copies under way that make keepers even. */
  get balancing(): number {
    return this.#count("balance");
  }

  isCopying(chunk: string): boolean {
    return this.#copies.has(chunk);
  }

  /** Whether any keeper could take a copy, now or when it has less to do. */
  hasRoom(chunk: ChunkRecord, candidates: readonly Candidate[]): boolean {
    const allowed = allowedBy(this.#options.policies.of(chunk.policy), candidates);
    return allowed.some(({ number, freeBytes }) =>
      freeBytes >= chunk.sizeBytes && !chunk.keepers.includes(number)
    );
  }

  /**
   * Whether one more copy may run at all. Repairs count repairs only: moves under way, however slow
   * they are to be, never make a repair wait. Moves count everything.
   */
  mayStart(kind: CopyKind): boolean {
    const counted = kind === "repair" ? this.#count("repair") : this.#copies.size;
    return counted < this.#options.settings.repair_streams;
  }

  /** Whether a keeper may take part in one more copy: as its source, or as its destination. */
  mayJoin(number: number, kind: CopyKind): boolean {
    const { repairs = 0, moves = 0 } = this.#loads.get(number) ?? {};
    const counted = kind === "repair" ? repairs : repairs + moves;
    return counted < this.#options.settings.repair_per_keeper;
  }

  /**
   * Begins a copy (to keeper `to`, if given), and settles when it is over; never rejects. Undefined
   * when none can begin now.
   */
  start(chunk: ChunkRecord, kind: CopyKind, to?: number): Promise<Copied> | undefined {
    if (this.isCopying(chunk.id) || !this.mayStart(kind)) return undefined;
    const known = chunk.sums.length === blockCount(chunk.sizeBytes) * SUM_BYTES;
    if (!known) return Promise.resolve({ kind: "failed" });
    const plan = this.#plan(chunk, kind, to);
    return plan === undefined ? undefined : this.#run(chunk, kind, plan);
  }

  async #run(chunk: ChunkRecord, kind: CopyKind, plan: CopyPlan): Promise<Copied> {
    const { clock } = this.#options;
    const startedMs = clock.monotonicMs();
    const members = [plan.destination, ...plan.sources.slice(0, 1)].map(({ number }) => number);
    this.#copies.set(chunk.id, { kind, sizeBytes: chunk.sizeBytes });
    for (const number of members) this.#addLoad(number, kind, 1);
    try {
      await failpoint("master.replicate.picked");
      const done = await this.#command(chunk, kind, plan);
      if (!done) return { kind: "failed" };
      return { kind: "copied", tookMs: Math.max(1, clock.monotonicMs() - startedMs) };
    } finally {
      this.#copies.delete(chunk.id);
      for (const number of members) this.#addLoad(number, kind, -1);
    }
  }

  /** Whether the copy was made. */
  async #command(chunk: ChunkRecord, kind: CopyKind, plan: CopyPlan): Promise<boolean> {
    const { bus, subjects, clock, log, signal, masterEpoch: epoch, ticketKey } = this.#options;
    const { id, sizeBytes, sums, goal } = chunk;
    const { destination, sources } = plan;
    const bytesPerSecond = this.#pace(kind);
    const pacedMs = bytesPerSecond === undefined ? 0 : sizeBytes / bytesPerSecond * 1_000;
    const timeoutMs = Math.ceil(COPY_BASE_MS + sizeBytes / MIB * COPY_MIB_MS + 2 * pacedMs);
    const expiresMs = clock.wallMs() + timeoutMs + TICKET_LEEWAY_MS;
    const ticket = signTicket(ticketKey, { op: "get", chunk: id, expiresMs });
    const request = {
      ...{ epoch, chunk: id, sizeBytes, sums, goal, sources: sources.map(holderOf), ticket },
      ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    };
    const subject = subjects.command(destination.id, commandReplicate.name);
    const fields = { chunk: id, to: destination.name, for: kind };
    log.debug("Copying a chunk", { ...fields, from: sources.map(({ name }) => name) });
    try {
      await whileThere(this.#options, destination.number, async (signal) => {
        const copied = call(bus, subject, commandReplicate, request, { timeoutMs, signal });
        await Promise.all([copied, failpoint("master.replicate.commanded")]);
      });
    } catch (error) {
      if (signal.aborted) return false;
      noteFailure(log, "Cannot copy a chunk", error, fields);
      if (hasCode(error, "corrupt", "lost")) {
        for (const source of sources) this.#verify(id, source);
      }
      return false;
    }
    log.info("A chunk has a new copy", fields);
    this.#options.announce({ kind: "repaired", chunk: id, keeper: destination.name });
    return true;
  }

  /**
   * The bytes a second of one copy: an equal share of what its destination may be brought by all
   * that it takes part in at once. A command can't be changed later, so that a share is never lent.
   */
  #pace(kind: CopyKind): number | undefined {
    const { settings } = this.#options;
    const cap = kind === "repair" ? settings.repair_bandwidth : settings.balance_bandwidth;
    if (cap === 0) return undefined;
    const shares = Math.min(settings.repair_per_keeper, settings.repair_streams);
    return Math.max(PACE_MIN, Math.floor(cap / shares));
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

  #plan(chunk: ChunkRecord, kind: CopyKind, to: number | undefined): CopyPlan | undefined {
    const sources = this.#sourcesOf(chunk, kind);
    if (sources.length === 0) return undefined;
    const destination = to === undefined
      ? this.#chooseDestination(chunk, kind)
      : this.#options.roster.byNumber(to);
    if (destination === undefined) return undefined;
    return this.mayJoin(destination.number, kind) ? { destination, sources } : undefined;
  }

  #chooseDestination(chunk: ChunkRecord, kind: CopyKind): KeeperRecord | undefined {
    const { slots, roster, random, policies } = this.#options;
    const policy = policies.of(chunk.policy);
    const holders = this.#livingHolders(chunk).map((keeper) => slots.candidateOf(keeper));
    // Copies where they must not stay are about to go: zones are spread without them.
    const held = allowedBy(policy, holders).filter(({ draining }) => draining !== true);
    const candidates = slots.candidates()
      .filter(({ number }) => !chunk.keepers.includes(number))
      // A copy by command takes no slot of a port: a busy keeper is only less likely.
      .map((candidate) => ({ ...candidate, freeSlots: Math.max(1, candidate.freeSlots) }));
    const copies = held.length + 1;
    const { sizeBytes } = chunk;
    const request = { held, goal: copies, minCopies: copies, sizeBytes, policy };
    const choose = (candidates: readonly Candidate[]) => {
      const placement = choosePlacement({ ...request, candidates, avoid: new Set() }, random);
      return placement.kind === "placed" ? placement.keepers[0] : undefined;
    };
    const choice = choose(candidates.filter(({ number }) => this.mayJoin(number, kind)));
    const best = choose(candidates);
    if (choice === undefined || best === undefined) return undefined;
    // A keeper that will be free again is worth waiting for, unless it is the last copy that waits.
    const isWorse = isBetterPlaced(best, choice, held, policy);
    return isWorse && holders.length > 1 ? undefined : roster.byNumber(choice.number);
  }

  /**
   * Who can be read from, the surest and then the least busy first; none while the first is busy.
   */
  #sourcesOf(chunk: ChunkRecord, kind: CopyKind): KeeperRecord[] {
    const load = ({ number }: KeeperRecord) => {
      const { repairs = 0, moves = 0 } = this.#loads.get(number) ?? {};
      return repairs + moves;
    };
    const isSure = ({ number }: KeeperRecord) => this.#options.keepers.alive(number) ? 0 : 1;
    const sources = this.#livingHolders(chunk)
      .toSorted((left, right) => isSure(left) - isSure(right) || load(left) - load(right))
      .slice(0, SOURCES_MAX);
    const [first] = sources;
    return first !== undefined && this.mayJoin(first.number, kind) ? sources : [];
  }

  #livingHolders(chunk: ChunkRecord): KeeperRecord[] {
    const { keepers, roster } = this.#options;
    return chunk.keepers.filter((number) => {
      const state = keepers.find(number)?.state;
      return state === "ALIVE" || state === "SUSPECT";
    }).flatMap((number) => roster.byNumber(number) ?? []);
  }

  #count(kind: CopyKind): number {
    return [...this.#copies.values()].filter((copy) => copy.kind === kind).length;
  }

  #addLoad(number: number, kind: CopyKind, delta: 1 | -1): void {
    const { repairs = 0, moves = 0 } = this.#loads.get(number) ?? {};
    const load = kind === "repair"
      ? { repairs: repairs + delta, moves }
      : { repairs, moves: moves + delta };
    if (load.repairs + load.moves === 0) this.#loads.delete(number);
    else this.#loads.set(number, load);
  }
}

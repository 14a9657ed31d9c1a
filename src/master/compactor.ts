/**
 * The compactor: gives back the space of removed files in packs, and gives files that rules have
 * parted packs of their own. What still lives in packs of which more than half is dead, or what of
 * parted packs wants the same, is read from keepers, put as a new pack, and moved there, mostly in
 * one transaction; emptied packs are unneeded from then on and go after their grace, so that
 * readers who opened them go on. A crash anywhere leaves each file in its old place or its new one.
 *
 * One at a time, with two packs in memory at most, and only while nothing else is to be copied and
 * safe mode holds nothing back. Nothing is kept that could not be found again.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Journal, PackMove, PlaceCursor, WishFacts } from "../catalog/operation.ts";
import type { LoosePack, PackPlace } from "../catalog/pack_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { Bus } from "../wire/bus.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import { TydfsError } from "../wire/errors.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { Ages } from "./ages.ts";
import { ChunkIds } from "./chunk_ids.ts";
import { ChunkSource } from "./chunk_source.ts";
import type { CompactionPlan, Source } from "./compaction_plan.ts";
import { isWorthwhile, planCompaction } from "./compaction_plan.ts";
import { noteFailure } from "./failures.ts";
import { KNOWN_MAX, KnownPacks } from "./known_packs.ts";
import { PackBuilder } from "./pack_builder.ts";
import { PackOpener } from "./pack_opener.ts";
import { PartedPacks, type PartingStep } from "./parted_packs.ts";
import { Policies } from "./policies.ts";
import { Roster } from "./roster.ts";
import { allowsDeletions, unpackSafeMode } from "./safe_mode.ts";
import { Slots } from "./slots.ts";
import type { Tables } from "./wiring.ts";

export interface CompactorOptions {
  settings: Pick<Settings, "replicas" | "min_copies" | "chunk_size" | "grace">;
  cluster: string;
  masterEpoch: number;
  ticketKey: string;
  bus: Bus;
  journal: Journal;
  reader: CatalogReader;
  tables: Pick<Tables, "keepers" | "ports" | "repairs">;
  transport: ChunkTransport;
  clock: Clock;
  random: Random;
  log: Log;
}

const LOOK_MS = 1_000;
/**
 * How long a pack must have been sparse or parted, or as long as unneeded chunks are kept: whoever
 * removes much, or applies rules, is likely still at it.
 */
const OLD_MS = 20_000;
/** Sparse packs that are looked at at once, and those of one compaction. */
const PAGE_ROWS = 256;
const SOURCES_MAX = 64;
/** Places in use of one pack; those of more are not known, and it is left as it is. */
const PLACES_MAX = 16_384;
/** Extents that one operation looks at. */
const MOVED_MAX = 4_096;

/** What of a pack is to be moved: looked up when its turn has come. */
interface PackPick {
  pack: LoosePack;
  places: () => PackPlace[];
}

/** What the new pack is made for. */
interface Purpose {
  goal: number;
  /** The number of its policy. */
  policy: number;
  /** Only files that want just this go into it: it is made of parted packs. */
  isParting: boolean;
}

export class Compactor {
  readonly #options: CompactorOptions;
  readonly #policies: Policies;
  readonly #opener: PackOpener;
  readonly #builder: PackBuilder;
  readonly #roster: Roster;
  readonly #ages: Ages;
  readonly #known: KnownPacks;
  readonly #parted: PartedPacks;
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;
  #afterNo = 0;
  #passStartMs: number;
  /** Since the pass began. */
  #done = { packs: 0, files: 0, freedBytes: 0 };

  constructor(options: CompactorOptions) {
    const { cluster, clock, random, reader, tables } = options;
    this.#options = options;
    const roster = new Roster(reader);
    const { signal } = this.#stopping;
    const { keepers } = tables;
    const slots = new Slots({ tables, roster, clock, random });
    const shared = { ...options, roster, slots, keepers, subjects: subjectsOf(cluster), signal };
    const source = new ChunkSource(shared);
    const chunkIds = new ChunkIds(random);
    this.#opener = new PackOpener(source, options.log);
    this.#builder = new PackBuilder({ ...shared, chunkIds, source });
    this.#policies = new Policies(reader);
    this.#roster = roster;
    this.#ages = new Ages(clock, KNOWN_MAX);
    this.#known = new KnownPacks(clock, random);
    this.#parted = new PartedPacks(reader, this.#known, clock);
    this.#passStartMs = clock.monotonicMs();
  }

  start(): void {
    this.#timer = this.#options.clock.every(LOOK_MS, () => {
      this.#running ??= this.tick().finally(() => this.#running = undefined);
    });
  }

  /** Begins nothing new, and drops what is under way: nothing refers to it yet. */
  async stop(): Promise<void> {
    this.#timer?.stop();
    this.#stopping.abort(new TydfsError("interrupted", "The master stops"));
    await this.#running;
  }

  /** Looks at some parted and sparse packs, and compacts some of them if it may. Never rejects. */
  async tick(): Promise<void> {
    try {
      if (!this.#mayCompact()) return;
      const { settings } = this.#options;
      const oldMs = Math.min(OLD_MS, settings.grace);
      const parting = this.#parted.next(oldMs);
      if (parting !== undefined) return await this.#part(parting);
      const group = this.#choose(oldMs);
      const [first] = group;
      if (first !== undefined) await this.#squeeze(group, first);
    } catch (error) {
      if (!this.#stopping.signal.aborted) {
        noteFailure(this.#options.log, "The compactor could not look", error);
      }
    }
  }

  /** Copies that are missing go before, and what lies wrong. */
  #mayCompact(): boolean {
    const { queued, running } = this.#options.tables.repairs.read();
    const isFree = queued === 0 && running === 0 && this.#isSafe();
    return isFree && !this.#stopping.signal.aborted;
  }

  #isSafe(): boolean {
    return allowsDeletions(unpackSafeMode(this.#options.tables.repairs.read().safety));
  }

  /** Sparse packs of the same goal and policy, if any of this page are due. */
  #choose(oldMs: number): LoosePack[] {
    const { reader, clock } = this.#options;
    const page = reader.sparsePacks(this.#afterNo, PAGE_ROWS);
    const nowMs = clock.monotonicMs();
    const due = page.filter((pack) => this.#ages.see(pack.id) >= oldMs && this.#known.isDue(pack));
    const [first] = due;
    if (first === undefined) {
      this.#afterNo = page.length === PAGE_ROWS ? page.at(-1)?.no ?? 0 : 0;
      if (this.#afterNo === 0) this.#endPass(nowMs);
      return [];
    }
    return due.filter(({ goal, policy }) => goal === first.goal && policy === first.policy)
      .slice(0, SOURCES_MAX);
  }

  #endPass(nowMs: number): void {
    this.#ages.forget(this.#passStartMs);
    this.#passStartMs = nowMs;
    if (this.#done.packs > 0) this.#options.log.info("Compacted packs", { ...this.#done });
    this.#done = { packs: 0, files: 0, freedBytes: 0 };
  }

  /** Compacts the first of a group of sparse packs, as many as go into one. */
  async #squeeze(group: readonly LoosePack[], first: LoosePack): Promise<void> {
    const { reader } = this.#options;
    const { goal, policy } = first;
    const placesOf = ({ no }: LoosePack) => reader.packPlaces(no, PLACES_MAX);
    const picks = group.map((pack) => ({ pack, places: () => placesOf(pack) }));
    await this.#compact(picks, { goal, policy, isParting: false });
  }

  /** Brings files of one kind out of parted packs together; settles those that agree again. */
  async #part({ agreed, wish, picks }: PartingStep): Promise<void> {
    const { journal, clock, reader } = this.#options;
    if (agreed.length > 0) {
      const chunks = agreed.map(({ id }) => id);
      await journal.submit({ kind: "pack.settle", chunks, atMs: clock.wallMs() });
      // Somebody may have parted it once more, or it has too many copies to be looked at.
      const left = agreed.filter(({ id }) => (reader.chunk(id)?.parted ?? 0) > 0);
      for (const pack of left) this.#known.fail(pack);
    }
    if (wish === undefined) return;
    const found = picks.map(({ pack, places }) => ({ pack, places: () => places }));
    await this.#compact(found, { ...wish, isParting: true });
  }

  /** Makes one pack out of the first picks, as many as go into one. */
  async #compact(picks: readonly PackPick[], purpose: Purpose): Promise<void> {
    const { settings, log } = this.#options;
    const packs = new Map(picks.map(({ pack }) => [pack.id, pack]));
    const sources = await this.#open(picks, purpose);
    if (sources.length === 0) return;
    const plan = planCompaction(sources, settings.chunk_size);
    const taken = plan.sources.flatMap(({ chunk }) => packs.get(chunk) ?? []);
    try {
      await this.#replace(plan, taken, purpose);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const [first] = taken;
      noteFailure(log, "Cannot compact packs", error, { packs: taken.length, first: first?.id });
      for (const pack of taken) this.#known.fail(pack);
    }
  }

  /** What is picked, up to as much as one pack takes; packs that can't be read are left. */
  async #open(picks: readonly PackPick[], { isParting }: Purpose): Promise<Source[]> {
    const { settings, log } = this.#options;
    const sources: Source[] = [];
    for (const pick of picks) {
      const { pack } = pick;
      try {
        const places = pick.places();
        const source = places.length < PLACES_MAX
          ? await this.#opener.open(pack, places)
          : undefined;
        if (source === undefined || !(isParting || isWorthwhile(source))) {
          this.#known.leave(pack);
          continue;
        }
        sources.push(source);
        if (planCompaction(sources, settings.chunk_size).sources.length < sources.length) break;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        noteFailure(log, "Cannot read a pack", error, { chunk: pack.id });
        this.#known.fail(pack);
      }
    }
    return sources;
  }

  /** Makes the new pack, and moves all that it is for into it. */
  async #replace(
    plan: CompactionPlan,
    taken: readonly LoosePack[],
    { goal, policy: number, isParting }: Purpose,
  ): Promise<void> {
    const { reader, settings } = this.#options;
    const policy = this.#policies.of(number);
    // A file that has its copies must not have fewer for being moved: a keeper may be lost then.
    const held = Math.max(...taken.map((pack) => this.#countHeld(pack, plan.sizeBytes)));
    const minCopies = Math.min(goal, Math.max(settings.min_copies, held));
    const wish = { goal, minCopies, policy };
    const { chunk: to, copies } = await this.#builder.make(plan, taken, wish, isParting);
    await failpoint("master.compact.stored");
    // Keepers may have gone meanwhile, more than one dares to believe.
    if (!this.#isSafe()) throw new TydfsError("unavailable", "Cannot move files: safe mode is on");
    const isChanged = ({ id, policy }: LoosePack) =>
      (reader.chunk(id)?.policy ?? policy) !== policy;
    if (!isParting && taken.some(isChanged)) {
      throw new TydfsError(
        "conflict",
        "Cannot move files: a rule wants some of them elsewhere now",
      );
    }
    const only = isParting ? { goal, ...(policy === undefined ? {} : { policy }) } : undefined;
    const moved = await this.#move({ to, minCopies, moves: plan.moves, wish: only });
    await failpoint("master.compact.moved");
    for (const { id } of taken) this.#known.forget(id);
    this.#note(plan, taken, { to, copies, moved });
  }

  /**
   * Moves what still lives of a plan: what was removed or copied meanwhile, or wants something else
   * now, is seen by the one that moves. Of many copies so many at a time.
   */
  async #move(
    { to, minCopies, moves, wish }: {
      to: string;
      minCopies: number;
      moves: readonly PackMove[];
      wish: WishFacts | undefined;
    },
  ): Promise<number> {
    const { journal, clock } = this.#options;
    const facts = { to, minCopies, limit: MOVED_MAX, ...(wish === undefined ? {} : { wish }) };
    let sum = 0;
    let rest = [...moves];
    let after: PlaceCursor | undefined;
    for (;;) {
      const from = { moves: rest, ...(after === undefined ? {} : { after }) };
      const operation = { kind: "pack.move", ...facts, ...from, atMs: clock.wallMs() } as const;
      const { moved, next } = await journal.submit(operation);
      sum += moved;
      if (next === undefined) return sum;
      this.#stopping.signal.throwIfAborted();
      rest = rest.slice(next.index);
      after = next.after;
    }
  }

  #note(
    { sizeBytes }: CompactionPlan,
    taken: readonly LoosePack[],
    made: { to: string; copies: number; moved: number },
  ): void {
    const { reader, log } = this.#options;
    const emptied = taken.filter(({ id }) => (reader.chunk(id)?.refs ?? 0) === 0);
    const freedBytes = emptied.reduce((sum, pack) => sum + pack.sizeBytes, -sizeBytes);
    this.#done.packs += taken.length;
    this.#done.files += made.moved;
    this.#done.freedBytes += freedBytes;
    const left = taken.length - emptied.length;
    log.debug("Compacted packs into one", {
      ...{ packs: taken.length, ...made, sizeBytes, freedBytes, left },
    });
  }

  /**
   * Copies of a pack on keepers that could have one of the new pack, too, now or when they are
   * heard again. Where there is no room the space that comes back is worth more.
   */
  #countHeld({ keepers }: LoosePack, sizeBytes: number): number {
    const { tables } = this.#options;
    return keepers.filter((number) => {
      const row = tables.keepers.find(number);
      if (row === undefined || (row.state !== "ALIVE" && row.state !== "SUSPECT")) return false;
      const isOpen = !row.readOnly && this.#roster.byNumber(number)?.draining === false;
      return isOpen && row.freeBytes >= sizeBytes;
    }).length;
  }
}

/**
 * The compactor: gives back the space of removed files in packs. What still lives in packs of which
 * more than half is dead is read from keepers, put as a new pack, and moved there in one
 * transaction; the old packs are unneeded from then on and go after their grace, so that readers
 * who opened them go on. A crash anywhere leaves either the old places or the new ones.
 *
 * One at a time, with two packs in memory at most, and only while nothing else is to be copied and
 * safe mode holds nothing back. Nothing is kept that could not be found again.
 */
import { backoffMs } from "../base/limit.ts";
import type { Clock, Timer } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { Journal } from "../catalog/operation.ts";
import type { SparsePack } from "../catalog/pack_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { Bus } from "../wire/bus.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import { TydfsError } from "../wire/errors.ts";
import { decodeManifest, MANIFEST_END_BYTES, manifestLength } from "../wire/pack.ts";
import type { PackedFile } from "../wire/pack.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { BLOCK_BYTES, blockCount } from "../wire/sums.ts";
import { Ages } from "./ages.ts";
import { ChunkIds } from "./chunk_ids.ts";
import { ChunkSource } from "./chunk_source.ts";
import type { CompactionPlan, Source } from "./compaction_plan.ts";
import { isWorthwhile, liveFiles, planCompaction, sourceOf } from "./compaction_plan.ts";
import { noteFailure } from "./failures.ts";
import { PackBuilder } from "./pack_builder.ts";
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
 * How long a pack must have been sparse, or as long as unneeded chunks are kept: whoever removes
 * much is likely still at it.
 */
const OLD_MS = 20_000;
/** Sparse packs that are looked at at once, and those of one compaction. */
const PAGE_ROWS = 256;
const SOURCES_MAX = 64;
/** Places in use of one pack; those of more are not known, and it is left as it is. */
const EXTENTS_MAX = 16_384;
/** Packs of which something is remembered. */
const KNOWN_MAX = 10_000;
const PAUSE = { firstMs: 5_000, maxMs: 10 * 60_000 };

/** What is remembered of a pack that could not be compacted, or is not worth it. */
interface Known {
  /** Bytes that lived then: when fewer do, it is worth another look. */
  live: number;
  failures: number;
  untilMs: number;
}

export class Compactor {
  readonly #options: CompactorOptions;
  readonly #policies: Policies;
  readonly #source: ChunkSource;
  readonly #builder: PackBuilder;
  readonly #roster: Roster;
  readonly #ages: Ages;
  readonly #known = new Map<string, Known>();
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
    this.#source = new ChunkSource(shared);
    const chunkIds = new ChunkIds(random);
    this.#builder = new PackBuilder({ ...shared, chunkIds, source: this.#source });
    this.#policies = new Policies(reader);
    this.#roster = roster;
    this.#ages = new Ages(clock, KNOWN_MAX);
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

  /** Looks at some sparse packs, and compacts some of them if it may. Never rejects. */
  async tick(): Promise<void> {
    try {
      if (!this.#mayCompact()) return;
      const group = this.#choose();
      if (group.length > 0) await this.#compact(group);
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
  #choose(): SparsePack[] {
    const { reader, clock, settings } = this.#options;
    const oldMs = Math.min(OLD_MS, settings.grace);
    const page = reader.sparsePacks(this.#afterNo, PAGE_ROWS);
    const nowMs = clock.monotonicMs();
    const due = page.filter((pack) => this.#ages.see(pack.id) >= oldMs && this.#isDue(pack, nowMs));
    const [first] = due;
    if (first === undefined) {
      this.#afterNo = page.length === PAGE_ROWS ? page.at(-1)?.no ?? 0 : 0;
      if (this.#afterNo === 0) this.#endPass(nowMs);
      return [];
    }
    return due.filter(({ goal, policy }) => goal === first.goal && policy === first.policy)
      .slice(0, SOURCES_MAX);
  }

  #isDue({ id, live }: SparsePack, nowMs: number): boolean {
    const known = this.#known.get(id);
    return known === undefined || live < known.live || nowMs >= known.untilMs;
  }

  #endPass(nowMs: number): void {
    this.#ages.forget(this.#passStartMs);
    this.#passStartMs = nowMs;
    if (this.#done.packs > 0) this.#options.log.info("Compacted packs", { ...this.#done });
    this.#done = { packs: 0, files: 0, freedBytes: 0 };
  }

  /** Compacts the first of a group, as many as go into one pack. */
  async #compact(group: readonly SparsePack[]): Promise<void> {
    const { settings, log } = this.#options;
    const packs = new Map(group.map((pack) => [pack.id, pack]));
    const sources = await this.#open(group);
    if (sources.length === 0) return;
    const plan = planCompaction(sources, settings.chunk_size);
    const taken = plan.sources.flatMap(({ chunk }) => packs.get(chunk) ?? []);
    try {
      await this.#replace(plan, taken);
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const [first] = taken;
      noteFailure(log, "Cannot compact packs", error, { packs: taken.length, first: first?.id });
      for (const pack of taken) this.#fail(pack);
    }
  }

  /** What lives in these packs, up to as much as one takes; those that can't be read are left. */
  async #open(group: readonly SparsePack[]): Promise<Source[]> {
    const { settings, log } = this.#options;
    const sources: Source[] = [];
    for (const pack of group) {
      try {
        const source = await this.#openOne(pack);
        if (source === undefined || !isWorthwhile(source)) {
          this.#leave(pack);
          continue;
        }
        sources.push(source);
        if (planCompaction(sources, settings.chunk_size).sources.length < sources.length) break;
      } catch (error) {
        this.#stopping.signal.throwIfAborted();
        noteFailure(log, "Cannot read a pack", error, { chunk: pack.id });
        this.#fail(pack);
      }
    }
    return sources;
  }

  /** What lives in a pack; undefined when it can't be told, so that it must stay as it is. */
  async #openOne(pack: SparsePack): Promise<Source | undefined> {
    const { reader, log } = this.#options;
    const { id: chunk, sizeBytes } = pack;
    const manifest = await this.#readManifest(pack);
    const extents = reader.packExtents(pack.no, EXTENTS_MAX);
    const ranges = extents.map(({ chunkOffset: offset, length }) => ({ offset, length }));
    const live = extents.length < EXTENTS_MAX ? liveFiles(manifest, ranges) : undefined;
    if (live === undefined) {
      log.warn("A pack can't be compacted: its manifest does not name all of its files", { chunk });
      return undefined;
    }
    const isTold = live.every(({ placedMs }) => placedMs !== undefined);
    // Unknown is as old as can be: rescue takes any other version of the path before it.
    const { placedMs: chunkPlacedMs = 0 } = isTold ? {} : await this.#source.origin(pack);
    const files = live.map((file): PackedFile => ({ placedMs: chunkPlacedMs, ...known(file) }));
    return sourceOf(chunk, sizeBytes, files);
  }

  async #readManifest(pack: SparsePack): Promise<PackedFile[]> {
    const { sizeBytes } = pack;
    const end = blockCount(sizeBytes);
    const tailOf = async (bytes: number) => {
      const first = Math.max(0, Math.floor((sizeBytes - bytes) / BLOCK_BYTES));
      const blocks = await this.#source.read(pack, { first, end });
      return blocks.subarray(Math.max(0, blocks.length - bytes));
    };
    const length = manifestLength(await tailOf(MANIFEST_END_BYTES));
    if (length > sizeBytes) {
      throw new TydfsError("corrupt", `Cannot read pack "${pack.id}": its manifest is too long`);
    }
    return decodeManifest(await tailOf(length), sizeBytes);
  }

  /** Makes the new pack, and moves all that lives into it. */
  async #replace(plan: CompactionPlan, taken: readonly SparsePack[]): Promise<void> {
    const { reader, journal, clock, log, settings } = this.#options;
    const [first] = taken;
    if (first === undefined) return;
    const { goal } = first;
    const policy = this.#policies.of(first.policy);
    // A file that has its copies must not have fewer for being moved: a keeper may be lost then.
    const held = Math.max(...taken.map((pack) => this.#countHeld(pack, plan.sizeBytes)));
    const minCopies = Math.min(goal, Math.max(settings.min_copies, held));
    const wish = { goal, minCopies, policy };
    const { chunk: to, copies } = await this.#builder.make(plan, taken, wish);
    await failpoint("master.compact.stored");
    // Keepers may have gone meanwhile, more than one dares to believe.
    if (!this.#isSafe()) throw new TydfsError("unavailable", "Cannot move files: safe mode is on");
    if (taken.some(({ id, policy }) => (reader.chunk(id)?.policy ?? policy) !== policy)) {
      throw new TydfsError(
        "conflict",
        "Cannot move files: a rule wants some of them elsewhere now",
      );
    }
    // What was removed or copied meanwhile is seen by the one that moves.
    const { moves, sizeBytes } = plan;
    const atMs = clock.wallMs();
    const { moved } = await journal.submit({ kind: "pack.move", to, minCopies, moves, atMs });
    await failpoint("master.compact.moved");
    for (const { id } of taken) this.#known.delete(id);
    const freedBytes = taken.reduce((sum, pack) => sum + pack.sizeBytes, -sizeBytes);
    this.#done.packs += taken.length;
    this.#done.files += moved;
    this.#done.freedBytes += freedBytes;
    const left = taken.filter(({ id }) => (reader.chunk(id)?.refs ?? 0) > 0).length;
    log.debug("Compacted packs into one", {
      ...{ packs: taken.length, to, copies, moved, sizeBytes, freedBytes, left },
    });
  }

  /**
   * Copies of a pack on keepers that could have one of the new pack, too, now or when they are
   * heard again. Where there is no room the space that comes back is worth more.
   */
  #countHeld({ keepers }: SparsePack, sizeBytes: number): number {
    const { tables } = this.#options;
    return keepers.filter((number) => {
      const row = tables.keepers.find(number);
      if (row === undefined || (row.state !== "ALIVE" && row.state !== "SUSPECT")) return false;
      const isOpen = !row.readOnly && this.#roster.byNumber(number)?.draining === false;
      return isOpen && row.freeBytes >= sizeBytes;
    }).length;
  }

  /** It is not worth it, or can't be done: it stays until fewer of its bytes live. */
  #leave({ id, live }: SparsePack): void {
    this.#remember(id, { live, failures: 0, untilMs: Infinity });
  }

  /** The pause grows with each failure. */
  #fail({ id }: SparsePack): void {
    const { clock, random } = this.#options;
    const failures = (this.#known.get(id)?.failures ?? 0) + 1;
    const pauseMs = backoffMs(failures - 1, PAUSE, random);
    // Whatever lives less then, a fault does not pass sooner for it.
    this.#remember(id, { live: 0, failures, untilMs: clock.monotonicMs() + pauseMs });
  }

  /** When there is no room, what was learned first is forgotten: it is learned again. */
  #remember(id: string, known: Known): void {
    this.#known.delete(id);
    const [oldest] = this.#known.size >= KNOWN_MAX ? this.#known.keys() : [];
    if (oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(id, known);
  }
}

/** A file of a manifest without what it leaves open. */
function known({ placedMs, ...file }: PackedFile): PackedFile {
  return placedMs === undefined ? file : { ...file, placedMs };
}

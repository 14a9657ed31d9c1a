/**
 * Removes what nobody needs: uploads that were left, trash whose time is over, and the replicas of
 * chunks that nothing refers to, after their grace (those that the catalog never knew have a longer
 * one). Each run does a bounded part. Replicas on keepers that are away wait for them.
 */
import type { ChunkRecord, OrphanCursor } from "../catalog/chunk_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import { noteFailure } from "./failures.ts";
import { DELETE_MAX, type RemovalOptions, removeReplicas } from "./removals.ts";
import type { Roster } from "./roster.ts";

export interface SweeperOptions extends RemovalOptions {
  settings: Settings;
  reader: Pick<
    CatalogReader,
    "orphans" | "strays" | "tombstones" | "trashDue" | "uploadsIdleSince" | "uploadsPausedSince"
  >;
  roster: Roster;
}

const UPLOADS_MAX = 100;
const PURGE_MAX = 200;
const ORPHANS_MAX = DELETE_MAX;
/**
 * A removed chunk stays on record for longer than any ticket for it is in force: a late report must
 * not take it for a new one.
 */
const TOMBSTONE_MS = 6 * 60 * 60_000;

export class Sweeper {
  readonly #options: SweeperOptions;
  readonly #startWallMs: number;
  readonly #startMs: number;
  #after: OrphanCursor | undefined;
  #afterStray: OrphanCursor | undefined;

  constructor(options: SweeperOptions) {
    this.#options = options;
    this.#startWallMs = options.clock.wallMs();
    this.#startMs = options.clock.monotonicMs();
  }

  /**
   * Pauses uploads that were left, drops those that nobody has resumed, purges the trash: records
   * only, no replica is deleted by this.
   */
  async tidy(): Promise<void> {
    const { reader, settings, journal, clock, log } = this.#options;
    const nowMs = this.#cautiousMs();
    // One may be heard again while it waits for its turn: then it stays.
    const abort = (upload: string, keep: boolean, beforeMs: number) =>
      journal.submit({ kind: "upload.abort", upload, keep, beforeMs, atMs: clock.wallMs() });
    const silentSinceMs = nowMs - settings.upload_lease;
    for (const { id, path } of reader.uploadsIdleSince(silentSinceMs, UPLOADS_MAX)) {
      const { kept } = await abort(id, true, silentSinceMs);
      const done = kept ? "Keeping what it has stored" : "Dropped it";
      log.info(`An upload was left. ${done}`, { upload: id, path });
    }
    const leftSinceMs = nowMs - settings.upload_ttl;
    for (const { id, path } of reader.uploadsPausedSince(leftSinceMs, UPLOADS_MAX)) {
      await abort(id, false, leftSinceMs);
      log.info("Dropped an upload that nobody has resumed", { upload: id, path });
    }
    const beforeMs = nowMs - settings.trash_ttl;
    if (!reader.trashDue(beforeMs)) return;
    const atMs = clock.wallMs();
    await journal.submit({ kind: "trash.purge", beforeMs, limit: PURGE_MAX, atMs });
  }

  /** Has one page of unreferenced chunks deleted. Only in a settled cluster: see `decideSafety`. */
  async sweep(): Promise<void> {
    const { reader, settings, journal } = this.#options;
    const beforeMs = this.#cautiousMs() - settings.grace;
    const page = reader.orphans(beforeMs, ORPHANS_MAX, this.#after);
    this.#after = page.length === ORPHANS_MAX ? page.at(-1) : undefined;
    if (page.length > 0) await this.#remove(page, beforeMs);
    await this.#sweepStrays();
    const chunks = reader.tombstones(beforeMs - TOMBSTONE_MS, ORPHANS_MAX);
    if (chunks.length === 0) return;
    await journal.submit({ kind: "chunk.forget", chunks, beforeMs: beforeMs - TOMBSTONE_MS });
  }

  /** Chunks that the catalog never knew are kept for longer: it may be the one that is too old. */
  async #sweepStrays(): Promise<void> {
    const { reader, settings } = this.#options;
    const beforeMs = this.#cautiousMs() - settings.unknown_grace;
    const page = reader.strays(beforeMs, ORPHANS_MAX, this.#afterStray);
    this.#afterStray = page.length === ORPHANS_MAX ? page.at(-1) : undefined;
    if (page.length > 0) await this.#remove(page, beforeMs);
  }

  /** Condemns chunks first: one that has found a use since it was read is not touched. */
  async #remove(page: readonly ChunkRecord[], beforeMs: number): Promise<void> {
    const chunks = page.map(({ id }) => id);
    const { journal } = this.#options;
    const { condemned } = await journal.submit({ kind: "chunk.condemn", chunks, beforeMs });
    const ids = new Set(condemned);
    const removals = [...this.#groupByKeeper(page.filter(({ id }) => ids.has(id)))].map(
      async ([number, chunks]) => {
        const keeper = this.#options.roster.byNumber(number);
        if (keeper !== undefined) await removeReplicas(this.#options, keeper, chunks);
      },
    );
    await Promise.all(removals);
  }

  /** Runs both parts; what fails is logged, and done by a later run. */
  async run(mayDelete: boolean): Promise<void> {
    const { log, signal } = this.#options;
    try {
      await this.tidy();
      if (mayDelete) await this.sweep();
    } catch (error) {
      if (!signal.aborted) noteFailure(log, "Cannot sweep", error);
    }
  }

  /** The chunks of a page by keepers that can be told now. */
  #groupByKeeper(page: readonly ChunkRecord[]): Map<number, string[]> {
    const chunksByKeeper = new Map<number, string[]>();
    for (const { id, keepers } of page) {
      for (const number of keepers) {
        if (!this.#options.keepers.alive(number)) continue;
        const chunks = chunksByKeeper.get(number);
        if (chunks === undefined) chunksByKeeper.set(number, [id]);
        else chunks.push(id);
      }
    }
    return chunksByKeeper;
  }

  /**
   * Wall time, but never ahead of what has really passed since the start: a clock that jumps
   * forward deletes nothing early.
   */
  #cautiousMs(): number {
    const { clock } = this.#options;
    const passedMs = clock.monotonicMs() - this.#startMs;
    return Math.min(clock.wallMs(), Math.floor(this.#startWallMs + passedMs));
  }
}

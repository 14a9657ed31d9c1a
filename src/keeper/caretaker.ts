/**
 * What a keeper does by and by, beside its scrub: looks that its data directory is its own, sends
 * its inventory each period and after each scrub, and asks what of the things that it has put aside
 * may go, or is wanted back. In a thread that may wait for the disk.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { AsideFile } from "../chunks/attic.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import { hasCode } from "../wire/errors.ts";
import type { AsideChunk } from "../wire/report.ts";
import { ASIDE_MAX } from "../wire/report.ts";
import { sendInventory } from "./inventory_report.ts";
import type { MasterEpoch } from "./master_epoch.ts";
import type { Reporter } from "./reporter.ts";
import type { ScrubShare } from "./scrub_share.ts";

export interface CaretakerOptions {
  keeperId: string;
  store: ChunkStore;
  share: ScrubShare;
  reporter: Pick<Reporter, "inventory" | "aside" | "stored">;
  masterEpoch: Pick<MasterEpoch, "check">;
  /** Throws when the data directory is not this keeper's any more. */
  checkPremises: () => Promise<void>;
  clock: Clock;
  random: Random;
  log: Log;
  inventoryPeriodMs: number;
  signal: AbortSignal;
}

const LOOK_MS = 2_000;
/** Something new lies aside: soon asked about, then ever more seldom. */
const ASK_FIRST_MS = 4_000;
const ASK_MAX_MS = 60 * 60_000;
/** What is remembered as bad for good. */
const HOPELESS_MAX = 4_096;
/** After an inventory that could not be sent. */
const INVENTORY_RETRY_MS = 60_000;

export class Caretaker {
  readonly #options: CaretakerOptions;
  readonly #startWallMs: number;
  readonly #startMs: number;
  #passes: number;
  #aside = 0;
  #askMs: number;
  /** Files that were read once more in vain, and chunks that the master knows with other bytes. */
  readonly #hopeless = new Set<string>();
  #askEveryMs = ASK_FIRST_MS;
  #inventoryMs: number;

  constructor(options: CaretakerOptions) {
    const { clock, share, random, inventoryPeriodMs } = options;
    this.#options = options;
    this.#startWallMs = clock.wallMs();
    this.#startMs = clock.monotonicMs();
    this.#passes = share.passes;
    this.#askMs = this.#startMs;
    // Joining has sent one; keepers that were started together are not to send the next together.
    this.#inventoryMs = this.#startMs + inventoryPeriodMs * (0.5 + random.next() / 2);
  }

  /** Looks again and again; throws when the data directory is lost. */
  async run(): Promise<void> {
    const { clock, signal, checkPremises } = this.#options;
    const pauseMs = Math.min(LOOK_MS, this.#options.inventoryPeriodMs / 2);
    while (!signal.aborted) {
      await checkPremises();
      await this.look();
      await clock.sleep(pauseMs, signal).catch(() => {});
    }
  }

  /** Does what is due. */
  async look(): Promise<void> {
    const { share, store, clock } = this.#options;
    // A master that is not to be obeyed is told nothing, and may delete nothing.
    if (!share.obeying) return;
    const nowMs = clock.monotonicMs();
    const { passes } = share;
    if (passes !== this.#passes || nowMs >= this.#inventoryMs) {
      const isSent = await this.#sendInventory();
      if (isSent && passes !== this.#passes) this.#askMs = nowMs;
      this.#passes = passes;
    }
    if (store.aside !== this.#aside) {
      this.#aside = store.aside;
      this.#askEveryMs = ASK_FIRST_MS;
      this.#askMs = Math.min(this.#askMs, nowMs + ASK_FIRST_MS);
    }
    if (nowMs >= this.#askMs) await this.#clearAttic();
  }

  async #sendInventory(): Promise<boolean> {
    const { store, reporter, clock, random, log, inventoryPeriodMs } = this.#options;
    try {
      await sendInventory(store, reporter);
      this.#inventoryMs = clock.monotonicMs() + inventoryPeriodMs * (0.9 + random.next() / 5);
      return true;
    } catch (error) {
      log.warn("Cannot send the inventory", { error });
      const retryMs = Math.min(inventoryPeriodMs, INVENTORY_RETRY_MS);
      this.#inventoryMs = clock.monotonicMs() + retryMs;
      return false;
    }
  }

  /** Asks about all that lies aside, and deletes what may go. */
  async #clearAttic(): Promise<void> {
    const { store, clock, log } = this.#options;
    this.#askMs = clock.monotonicMs() + this.#askEveryMs;
    this.#askEveryMs = Math.min(2 * this.#askEveryMs, ASK_MAX_MS);
    try {
      const filesByChunk = groupByChunk(await store.attic.list());
      const chunks = [...filesByChunk.keys()];
      for (let at = 0; at < chunks.length; at += ASIDE_MAX) {
        await this.#clearPage(chunks.slice(at, at + ASIDE_MAX), filesByChunk);
      }
    } catch (error) {
      log.warn("Cannot ask about what lies aside", { error });
    }
  }

  async #clearPage(
    chunks: readonly string[],
    filesByChunk: ReadonlyMap<string, AsideFile[]>,
  ): Promise<void> {
    const { store, reporter, masterEpoch, log } = this.#options;
    const asked: AsideChunk[] = [];
    for (const chunk of chunks) {
      const held = await store.facts(chunk) !== undefined;
      asked.push({ chunk, ageMs: this.#ageOf(filesByChunk.get(chunk) ?? []), held });
    }
    const answer = await reporter.aside({ chunks: asked });
    await masterEpoch.check(answer.masterEpoch);
    for (const chunk of chunks.filter((chunk) => answer.wanted.includes(chunk))) {
      await this.#bringBack(chunk, filesByChunk.get(chunk) ?? []);
    }
    // Only what was asked about.
    const discard = chunks.filter((chunk) => answer.discard.includes(chunk));
    for (const chunk of discard) {
      for (const file of filesByChunk.get(chunk) ?? []) await store.attic.discard(file);
    }
    if (discard.length > 0) {
      log.info("Deleted what lay aside and is not needed", { chunks: discard.length });
    }
  }

  /**
   * Brings back a copy that is whole after all: a disk that failed for a moment, say. The master
   * knows best what its bytes are to be.
   */
  async #bringBack(chunk: string, files: readonly AsideFile[]): Promise<void> {
    const { store, reporter, keeperId, log } = this.#options;
    if (this.#hopeless.has(chunk)) return;
    for (const file of files.filter(({ name }) => !this.#hopeless.has(name))) {
      try {
        const facts = await store.restore(file);
        if (facts === undefined) {
          this.#giveUp(file.name);
          continue;
        }
        log.info("A copy that lay aside is whole, and in its place again", { chunk });
        const { sizeBytes, sums } = facts;
        await reporter.stored({ chunk, sizeBytes, sums, keepers: [keeperId], head: false });
        return;
      } catch (error) {
        log.warn("Cannot bring back a chunk that is wanted", { chunk, error });
        if (!hasCode(error, "corrupt", "conflict")) return;
        this.#giveUp(chunk);
        await store.quarantine(chunk);
      }
    }
  }

  #giveUp(name: string): void {
    if (this.#hopeless.size >= HOPELESS_MAX) this.#hopeless.clear();
    this.#hopeless.add(name);
  }

  /** The age of the newest file, by a clock that no jump makes go forward. */
  #ageOf(files: readonly AsideFile[]): number {
    const { clock } = this.#options;
    const passedMs = clock.monotonicMs() - this.#startMs;
    const nowMs = Math.min(clock.wallMs(), this.#startWallMs + passedMs);
    const newestMs = Math.max(...files.map(({ sinceMs }) => sinceMs ?? this.#startWallMs));
    return Math.max(0, Math.floor(nowMs - newestMs));
  }
}

function groupByChunk(files: readonly AsideFile[]): Map<string, AsideFile[]> {
  const filesByChunk = new Map<string, AsideFile[]>();
  for (const file of files) {
    const others = filesByChunk.get(file.chunk);
    if (others === undefined) filesByChunk.set(file.chunk, [file]);
    else others.push(file);
  }
  return filesByChunk;
}

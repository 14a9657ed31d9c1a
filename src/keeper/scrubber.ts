/**
 * The scrubber: reads every chunk again within a period, from the disk itself, and puts what is bad
 * aside. One pass follows the other, each in id order; a pass that was asked for goes as fast as
 * the disk does. Errors that may pass say nothing about a chunk.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { ChunkState, ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import type { Reporter } from "./reporter.ts";
import { END, fractionOf, handAt, PASS_SHARE, restMs } from "./scrub_pace.ts";
import type { ScrubRecord } from "./scrub_record.ts";
import { keepRecord, readRecord } from "./scrub_record.ts";
import type { ScrubShare } from "./scrub_share.ts";

export interface ScrubberOptions {
  store: Pick<ChunkStore, "ids" | "sizeOf" | "verify" | "quarantine" | "durable">;
  /** For the record of how far it is. */
  disk: Disk;
  share: ScrubShare;
  reporter: Pick<Reporter, "lostLater">;
  clock: Clock;
  log: Log;
  periodMs: number;
  /** 0: no limit. */
  bytesPerSecond: number;
  /** Streams that want the disk, too. */
  streams: () => number;
  signal: AbortSignal;
}

/** Looks whether the next chunks are due, and whether a pass is asked for. */
const STEP_MS = 1_000;
const STEPS_MIN = 100;
/** The record is kept this often at most, and only when the scrub has moved on by so much. */
const KEEP_MS = 5_000;
const KEEP_FRACTION = 0.001;
/** Sizes that are looked up before other work of this thread gets a turn. */
const LOOKS_PER_TURN = 64;
const TRIES = 3;
const RETRY_MS = 2_000;
/** What there is to read is counted again so often, for at most one part in so many of the time. */
const MEASURE_MS = 60_000;
const MEASURE_REST = 100;
/** A pass that has just been asked for is also the one that is asked for again. */
const SAME_REQUEST_MS = 10_000;

export class Scrubber {
  readonly #options: ScrubberOptions;
  #record: ScrubRecord;
  #served: number;
  #kept: { atMs: number; position: string; doneBytes: number };
  #beganMs = -Infinity;
  #measureAtMs = -Infinity;

  constructor(options: ScrubberOptions) {
    const { clock, share } = options;
    this.#options = options;
    this.#record = newPass(clock.wallMs(), { asked: false, passedMs: 0, totalBytes: 0 });
    this.#served = share.requests;
    this.#kept = { atMs: clock.monotonicMs(), position: "", doneBytes: 0 };
  }

  /** Scrubs until the signal ends it. */
  async run(): Promise<void> {
    const { disk, log, signal } = this.#options;
    const known = await readRecord(disk, log);
    if (known !== undefined) this.#record = known;
    else await this.#begin(false);
    try {
      while (!signal.aborted) await this.#pass();
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      await keepRecord(disk, log, this.#record);
    }
  }

  /** Goes on with the pass under way until it is over, or another is asked for. */
  async #pass(): Promise<void> {
    const { clock, periodMs, signal } = this.#options;
    const from = this.#record.position;
    const startMs = clock.monotonicMs();
    const { beganMs, asked } = this.#record;
    // A wall clock that has jumped changes the pace of one pass at most.
    const leftMs = beganMs + PASS_SHARE * periodMs - clock.wallMs();
    const spanMs = asked ? 0 : Math.min(PASS_SHARE * periodMs, Math.max(0, leftMs));
    const stepMs = Math.min(STEP_MS, periodMs / STEPS_MIN);
    for (;;) {
      const hand = handAt(from, spanMs, clock.monotonicMs() - startMs);
      const isDone = await this.#readUntil(hand);
      if (this.#isWanted()) return await this.#begin(true);
      if (isDone && hand === END) return await this.#finish();
      await this.#keepSometimes();
      await this.#measureSometimes();
      await clock.sleep(stepMs, signal);
    }
  }

  /** Reads the chunks up to `hand`; false when it broke off for a pass that was asked for. */
  async #readUntil(hand: string): Promise<boolean> {
    const { store, log, clock, signal } = this.#options;
    if (hand <= this.#record.position) return true;
    try {
      for await (const id of store.ids(this.#record.position)) {
        if (id > hand) break;
        await this.#look(id);
        this.#record.position = id;
        if (this.#isWanted()) return false;
        await this.#keepSometimes();
      }
    } catch (error) {
      if (signal.aborted) throw error;
      log.warn("Cannot scrub now", { error });
      await clock.sleep(RETRY_MS, signal);
      return false;
    }
    if (hand !== END) this.#record.position = hand;
    return true;
  }

  async #look(id: string): Promise<void> {
    const { store, reporter, log } = this.#options;
    const state = await this.#verify(id);
    if (state !== "corrupt") return;
    let isAside = true;
    try {
      if (!await store.quarantine(id)) return;
      log.error("The scrub found a chunk corrupt, and put it aside", { chunk: id });
    } catch (error) {
      // A disk that has turned read-only, say: others are to make a new copy all the same.
      isAside = false;
      log.error("The scrub found a chunk corrupt, and can't put it aside", { chunk: id, error });
    }
    const find = () => isAside ? store.durable(id) : Promise.resolve(undefined);
    reporter.lostLater(id, "corrupt", find);
  }

  /** Undefined when the chunk can't be read now: the next pass comes to it again. */
  async #verify(id: string): Promise<ChunkState | undefined> {
    const { store, log, clock, signal } = this.#options;
    for (let left = TRIES;; left--) {
      try {
        return await store.verify(id, this.#pacer());
      } catch (error) {
        signal.throwIfAborted();
        if (left <= 1) {
          log.warn("Cannot read a chunk to scrub it", { chunk: id, error });
          return undefined;
        }
        await clock.sleep(RETRY_MS, signal);
      }
    }
  }

  #pacer(): (bytes: number) => Promise<void> {
    const { clock, bytesPerSecond, streams, signal } = this.#options;
    let sinceMs = clock.monotonicMs();
    return async (bytes) => {
      const record = this.#record;
      record.doneBytes += bytes;
      record.totalBytes = Math.max(record.totalBytes, record.doneBytes);
      this.#publish();
      const limit = record.asked ? 0 : bytesPerSecond;
      const limits = { bytesPerSecond: limit, isWanted: streams() > 0 };
      const ms = restMs(bytes, clock.monotonicMs() - sinceMs, limits);
      signal.throwIfAborted();
      if (ms > 0) await clock.sleep(ms, signal);
      sinceMs = clock.monotonicMs();
    };
  }

  /** Somebody wants a pass that does not run yet. */
  #isWanted(): boolean {
    const { share, clock } = this.#options;
    const { requests } = share;
    if (requests === this.#served) return false;
    if (!this.#record.asked) return true;
    // One that came later than this pass has its own after it.
    if (clock.monotonicMs() - this.#beganMs < SAME_REQUEST_MS) this.#served = requests;
    return false;
  }

  async #begin(asked: boolean): Promise<void> {
    const { clock, share, disk, log } = this.#options;
    const { passedMs } = this.#record;
    if (asked) {
      this.#served = share.requests;
      log.info("A scrub begins that was asked for");
    }
    this.#beganMs = clock.monotonicMs();
    this.#record = newPass(clock.wallMs(), { asked, passedMs, totalBytes: 0 });
    this.#publish();
    this.#record.totalBytes = await this.#measure();
    this.#noteMeasured(this.#beganMs);
    this.#publish();
    await keepRecord(disk, log, this.#record);
    this.#noteKept();
  }

  async #finish(): Promise<void> {
    const { clock, share, log } = this.#options;
    const { asked, doneBytes } = this.#record;
    this.#record.passedMs = clock.wallMs();
    this.#publish();
    share.countPass();
    log.info("A scrub of all chunks is done", { bytes: doneBytes, asked });
    await this.#begin(share.requests !== this.#served);
  }

  /** What lands during a pass belongs to it, as far as the hand has not passed it. */
  async #measureSometimes(): Promise<void> {
    const { clock } = this.#options;
    const fromMs = clock.monotonicMs();
    if (fromMs < this.#measureAtMs) return;
    this.#record.totalBytes = Math.max(this.#record.doneBytes, await this.#measure());
    this.#noteMeasured(fromMs);
    this.#publish();
  }

  #noteMeasured(fromMs: number): void {
    const nowMs = this.#options.clock.monotonicMs();
    this.#measureAtMs = nowMs + Math.max(MEASURE_MS, MEASURE_REST * (nowMs - fromMs));
  }

  /** Bytes of all chunks. */
  async #measure(): Promise<number> {
    const { store, log, signal } = this.#options;
    let bytes = 0;
    let looks = 0;
    try {
      for await (const id of store.ids("")) {
        bytes += store.sizeOf(id) ?? 0;
        if (++looks % LOOKS_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
        signal.throwIfAborted();
      }
    } catch (error) {
      if (signal.aborted) throw error;
      log.warn("Cannot tell how much there is to scrub", { error });
    }
    return bytes;
  }

  async #keepSometimes(): Promise<void> {
    const { clock, disk, log } = this.#options;
    this.#publish();
    if (clock.monotonicMs() - this.#kept.atMs < KEEP_MS) return;
    const { position, doneBytes } = this.#record;
    const moved = fractionOf(position) - fractionOf(this.#kept.position);
    // An idle disk is left alone.
    if (doneBytes === this.#kept.doneBytes && moved < KEEP_FRACTION) return;
    await keepRecord(disk, log, this.#record);
    this.#noteKept();
  }

  #noteKept(): void {
    const { position, doneBytes } = this.#record;
    this.#kept = { atMs: this.#options.clock.monotonicMs(), position, doneBytes };
  }

  #publish(): void {
    const { share, periodMs } = this.#options;
    const { doneBytes, totalBytes, passedMs, beganMs } = this.#record;
    const dueMs = beganMs + periodMs;
    share.progress = { running: true, doneBytes, totalBytes, passedMs, beganMs, dueMs };
  }
}

function newPass(
  beganMs: number,
  facts: Pick<ScrubRecord, "asked" | "passedMs" | "totalBytes">,
): ScrubRecord {
  return { position: "", beganMs, doneBytes: 0, ...facts };
}

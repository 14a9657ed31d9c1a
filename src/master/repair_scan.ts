/**
 * Looks for chunks with too few live copies, pass by pass, each step over a bounded number of rows:
 * first those that are short on record, then those with copies where a rule forbids them, then
 * those with copies on keepers that are dead or are being emptied. Each chunk is judged and counted
 * once a pass.
 */
import type { Clock } from "../base/clock.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import { Ages } from "./ages.ts";
import type { RepairVerdict } from "./repair.ts";
import type { RepairJob } from "./repair_queue.ts";

export interface RepairScanOptions {
  clock: Clock;
  reader: Pick<CatalogReader, "shortChunks" | "misplacedChunks" | "chunksOfKeeper">;
  /** The numbers of the keepers that are dead now, and of those that are being emptied. */
  deadKeepers: () => number[];
  drainingKeepers: () => number[];
  judge: (chunk: ChunkRecord) => RepairVerdict;
  /** Whether nothing can be done now about the misplaced copies of a chunk. */
  isStranded: (chunk: ChunkRecord) => boolean;
  /** Whether a chunk has its goal of copies on keepers that stay, and are there. */
  isSafe: (chunk: ChunkRecord) => boolean;
  /** Whether any keeper could take a copy of the chunk, now or later. */
  hasRoom: (chunk: ChunkRecord) => boolean;
  /** Hears of each chunk that is to be copied; those with the lowest rank go first. */
  onRepair: (job: RepairJob) => void;
  /** Copies of a young chunk may still be on their way down its chain. */
  youngMs: number;
}

/** How far the emptying of a keeper is. */
export interface DrainCount {
  /** Chunks in use with fewer than their goal of copies on keepers that stay, and their bytes. */
  chunks: number;
  bytes: number;
  /** Of these: no other keeper can take a copy. */
  stuck: number;
}

/** What a whole pass has counted. */
export interface PassCounts {
  under: number;
  lost: number;
  /** Chunks below their goal with one live copy. */
  endangered: number;
  /** Chunks whose keepers are awaited, and the end of the first of these waits, in monotonic ms. */
  waiting: number;
  waitUntilMs: number;
  /** Chunks with misplaced copies on dead keepers only. */
  stranded: number;
  /** Chunks that are to be moved, but that no keeper can take. */
  blocked: number;
  /** Chunks that a copy can be made of, and the bytes to be copied. */
  due: number;
  dueBytes: number;
  /** By the number of the keeper that is being emptied. */
  drains: Map<number, DrainCount>;
  /** When the pass began, in monotonic ms. */
  startedMs: number;
}

const PAGE_ROWS = 512;
/** What is read in a pass, in this order; a number is a keeper's. */
type Source = "short" | "misplaced" | number;

/**
 * Moves wait behind all repairs: this is added to the copies that a chunk has, which are fewer.
 */
const MOVE_RANK = 1_000;
/** Short chunks whose age is known; more of them wait for a later pass. */
const AGES_MAX = 20_000;

/** What is known before the first pass. */
export const NONE: PassCounts = none(0, []);

export class RepairScan {
  readonly #options: RepairScanOptions;
  readonly #ages: Ages;
  /** What is still to be read in this pass. */
  #sources: Source[] = [];
  /** The keepers among these. */
  #keepers = new Set<number>();
  #afterNo = 0;
  #counts: PassCounts = NONE;

  constructor(options: RepairScanOptions) {
    this.#options = options;
    this.#ages = new Ages(options.clock, AGES_MAX);
  }

  /** Whether the next step begins a new pass. */
  get atStart(): boolean {
    return this.#sources.length === 0;
  }

  /** Judges about `rowsMax` chunks. Returns the counts when that ends a pass. */
  step(rowsMax: number): PassCounts | undefined {
    if (this.atStart) this.#begin();
    for (let rows = 0; rows < rowsMax; rows += PAGE_ROWS) {
      const source = this.#sources[0];
      if (source === undefined) break;
      const page = this.#read(source);
      for (const chunk of page) this.#visit(source, chunk);
      this.#afterNo = page.at(-1)?.no ?? 0;
      if (page.length === PAGE_ROWS) continue;
      this.#sources.shift();
      this.#afterNo = 0;
    }
    if (!this.atStart) return undefined;
    this.#ages.forget(this.#counts.startedMs);
    return this.#counts;
  }

  #begin(): void {
    const { clock, deadKeepers, drainingKeepers } = this.#options;
    const draining = drainingKeepers();
    this.#keepers = new Set([...deadKeepers(), ...draining]);
    const rising = [...this.#keepers].sort((left, right) => left - right);
    this.#sources = ["short", "misplaced", ...rising];
    this.#counts = none(clock.monotonicMs(), draining);
  }

  #read(source: Source): ChunkRecord[] {
    const { reader } = this.#options;
    if (source === "short") return reader.shortChunks(this.#afterNo, PAGE_ROWS);
    if (source === "misplaced") return reader.misplacedChunks(this.#afterNo, PAGE_ROWS);
    return reader.chunksOfKeeper(source, this.#afterNo, PAGE_ROWS);
  }

  #visit(source: Source, chunk: ChunkRecord): void {
    if (source !== "short" && this.#isCounted(source, chunk)) return;
    const { judge, isStranded } = this.#options;
    const counts = this.#counts;
    // Of a parted chunk the files that lie wrong are moved by themselves, if at all.
    if (chunk.misplaced > 0 && chunk.parted === 0 && isStranded(chunk)) counts.stranded++;
    this.#countDrains(chunk);
    const verdict = judge(chunk);
    if (verdict.kind === "whole") return;
    if (verdict.kind === "move") {
      const isMoved = this.#offer(chunk, verdict.live + MOVE_RANK, 1);
      if (!isMoved && chunk.misplaced > 0) counts.blocked++;
      return;
    }
    if (verdict.kind === "lost") {
      counts.lost++;
      return;
    }
    counts.under++;
    if (verdict.kind === "wait") {
      counts.waiting++;
      const untilMs = this.#options.clock.monotonicMs() + verdict.waitMs;
      counts.waitUntilMs = Math.min(counts.waitUntilMs, untilMs);
      return;
    }
    if (verdict.live === 1) counts.endangered++;
    const isYoung = source === "short" && this.#ages.see(chunk.id) < this.#options.youngMs;
    if (!isYoung) this.#offer(chunk, verdict.live, verdict.missing);
  }

  /** Whether any keeper can take a copy: without one, the chunk waits in no queue. */
  #offer(chunk: ChunkRecord, rank: number, copies: number): boolean {
    const { hasRoom, onRepair } = this.#options;
    if (!hasRoom(chunk)) return false;
    const sizeBytes = chunk.sizeBytes * copies;
    this.#counts.due++;
    this.#counts.dueBytes += sizeBytes;
    onRepair({ chunk: chunk.id, rank, sizeBytes });
    return true;
  }

  #countDrains(chunk: ChunkRecord): void {
    const { isSafe, hasRoom } = this.#options;
    const drains = chunk.keepers.flatMap((number) => this.#counts.drains.get(number) ?? []);
    if (drains.length === 0 || isSafe(chunk)) return;
    const stuck = hasRoom(chunk) ? 0 : 1;
    for (const drain of drains) {
      drain.chunks++;
      drain.bytes += chunk.sizeBytes;
      drain.stuck += stuck;
    }
  }

  /**
   * Whether this pass has met the chunk before, or need not: it is short on record, misplaced, held
   * by an earlier one of the keepers that are looked at, or unneeded.
   */
  #isCounted(source: "misplaced" | number, chunk: ChunkRecord): boolean {
    if (chunk.refs === 0 || chunk.copies < chunk.goal) return true;
    if (source === "misplaced") return false;
    if (chunk.misplaced > 0) return true;
    return chunk.keepers.some((number) => number < source && this.#keepers.has(number));
  }
}

function none(startedMs: number, draining: readonly number[]): PassCounts {
  const zeros = { under: 0, lost: 0, endangered: 0, waiting: 0, stranded: 0, blocked: 0 };
  const drains = new Map(draining.map((number) => [number, { chunks: 0, bytes: 0, stuck: 0 }]));
  return { ...zeros, due: 0, dueBytes: 0, waitUntilMs: Infinity, drains, startedMs };
}

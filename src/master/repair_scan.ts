/**
 * Looks for chunks with too few live copies, pass by pass, each step over a bounded number of rows:
 * first those that are short on record, then those with copies where a rule forbids them, then
 * those with copies on dead keepers. Each chunk is judged and counted once a pass.
 */
import type { Clock } from "../base/clock.ts";
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import { Ages } from "./ages.ts";
import type { RepairVerdict } from "./repair.ts";

export interface RepairScanOptions {
  clock: Clock;
  reader: Pick<CatalogReader, "shortChunks" | "misplacedChunks" | "chunksOfKeeper">;
  /** The numbers of the keepers that are dead now, rising. */
  deadKeepers: () => number[];
  judge: (chunk: ChunkRecord) => RepairVerdict;
  /** Whether nothing can be done now about the misplaced copies of a chunk. */
  isStranded: (chunk: ChunkRecord) => boolean;
  /**
   * Hears of each chunk that is to be copied; those with the lowest `rank` go first. Answers
   * whether any keeper could take it.
   */
  onRepair: (chunk: ChunkRecord, rank: number) => boolean;
  /** Copies of a young chunk may still be on their way down its chain. */
  youngMs: number;
}

/** What a whole pass has counted. */
export interface PassCounts {
  under: number;
  lost: number;
  /** Chunks with misplaced copies on dead keepers only. */
  stranded: number;
  /** Chunks that are to be moved, but that no keeper can take. */
  blocked: number;
  /** When the pass began, in monotonic ms. */
  startedMs: number;
}

const PAGE_ROWS = 512;
/** What is read in a pass, in this order; a number is a dead keeper's. */
type Source = "short" | "misplaced" | number;

/**
 * Moves wait behind all repairs: this is added to the copies that a chunk has, which are fewer.
 */
const MOVE_RANK = 1_000;
/** Short chunks whose age is known; more of them wait for a later pass. */
const AGES_MAX = 20_000;

/** What a pass has counted before it began. */
export const NONE: PassCounts = { under: 0, lost: 0, stranded: 0, blocked: 0, startedMs: 0 };

export class RepairScan {
  readonly #options: RepairScanOptions;
  readonly #ages: Ages;
  /** What is still to be read in this pass. */
  #sources: Source[] = [];
  #dead = new Set<number>();
  #afterNo = 0;
  #counts: PassCounts = { ...NONE };

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
    const { clock, deadKeepers } = this.#options;
    const dead = deadKeepers();
    this.#dead = new Set(dead);
    this.#sources = ["short", "misplaced", ...dead];
    this.#counts = { ...NONE, startedMs: clock.monotonicMs() };
  }

  #read(source: Source): ChunkRecord[] {
    const { reader } = this.#options;
    if (source === "short") return reader.shortChunks(this.#afterNo, PAGE_ROWS);
    if (source === "misplaced") return reader.misplacedChunks(this.#afterNo, PAGE_ROWS);
    return reader.chunksOfKeeper(source, this.#afterNo, PAGE_ROWS);
  }

  #visit(source: Source, chunk: ChunkRecord): void {
    if (source !== "short" && this.#isCounted(source, chunk)) return;
    const { judge, isStranded, onRepair, youngMs } = this.#options;
    if (chunk.misplaced > 0 && isStranded(chunk)) this.#counts.stranded++;
    const verdict = judge(chunk);
    if (verdict.kind === "whole") return;
    if (verdict.kind === "move") {
      if (!onRepair(chunk, verdict.live + MOVE_RANK)) this.#counts.blocked++;
      return;
    }
    if (verdict.kind === "lost") {
      this.#counts.lost++;
      return;
    }
    this.#counts.under++;
    const isYoung = source === "short" && this.#ages.see(chunk.id) < youngMs;
    if (verdict.kind === "repair" && !isYoung) onRepair(chunk, verdict.live);
  }

  /**
   * Whether this pass has met the chunk before, or need not: it is short on record, misplaced, held
   * by an earlier dead keeper, or unneeded.
   */
  #isCounted(source: "misplaced" | number, chunk: ChunkRecord): boolean {
    if (chunk.refs === 0 || chunk.copies < chunk.goal) return true;
    if (source === "misplaced") return false;
    if (chunk.misplaced > 0) return true;
    return chunk.keepers.some((number) => number < source && this.#dead.has(number));
  }
}

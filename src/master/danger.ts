/** How endangered chunks and files are, and where a page of an audit ends: pure decisions. */
import type { Danger, FileAtRisk } from "../wire/audit.ts";

/** Where an audit goes on: at a chunk, behind so many of its files. */
export interface AuditPlace {
  no: number;
  skip: number;
}

/** Cursors below this one count the steps of the catalog's own check. */
export const FIRST_CHUNK = 2 ** 20;
/** Files of one chunk that can be told apart; behind them its other files are passed over. */
const SKIP_MAX = FIRST_CHUNK - 1;

/** A place as one number, as it travels. Chunk numbers begin at 1. */
export function formatPlace({ no, skip }: AuditPlace): number {
  const next = skip > SKIP_MAX ? { no: no + 1, skip: 0 } : { no, skip };
  return next.no * FIRST_CHUNK + next.skip;
}

/** The place that a cursor means; the first chunk for those below `FIRST_CHUNK`. */
export function parsePlace(cursor: number): AuditPlace {
  if (cursor < FIRST_CHUNK) return { no: 1, skip: 0 };
  return { no: Math.floor(cursor / FIRST_CHUNK), skip: cursor % FIRST_CHUNK };
}

/** How a chunk fares with `live` copies; undefined when it has what it should. */
export function decideDanger(live: number, goal: number): Danger | undefined {
  if (live >= goal) return undefined;
  if (live === 0) return "lost";
  return live === 1 ? "endangered" : "short";
}

/** What the chunks of a file say about it. */
export type FileDanger = Pick<FileAtRisk, "danger" | "chunks" | "chunksTotal" | "copies" | "goal">;

const ORDER: readonly (Danger | undefined)[] = ["lost", "endangered", "short", undefined];

/** Weighs a file by its chunks, one after the other: the worst decide. */
export class FileScale {
  #danger: Danger | undefined;
  #chunks = 0;
  #chunksTotal = 0;
  #copies = Infinity;
  #goal = 0;

  add(live: number, goal: number): void {
    const danger = decideDanger(live, goal);
    this.#chunksTotal++;
    this.#copies = Math.min(this.#copies, live);
    this.#goal = Math.max(this.#goal, goal);
    if (danger === undefined) return;
    const isWorse = ORDER.indexOf(danger) < ORDER.indexOf(this.#danger);
    if (isWorse) [this.#danger, this.#chunks] = [danger, 0];
    if (danger === this.#danger) this.#chunks++;
  }

  /** What they say; undefined when all is well. */
  result(): FileDanger | undefined {
    if (this.#danger === undefined) return undefined;
    return {
      danger: this.#danger,
      chunks: this.#chunks,
      chunksTotal: this.#chunksTotal,
      copies: this.#copies,
      goal: this.#goal,
    };
  }
}

/**
 * The chunks that one look at the keepers takes in: as many as leave its answer small, were each
 * copy of them wrong.
 */
export function cutChunks<Chunk extends { keepers: readonly unknown[] }>(
  chunks: readonly Chunk[],
  findingsMax: number,
): Chunk[] {
  let findings = 0;
  const end = chunks.findIndex(({ keepers }) => (findings += keepers.length + 1) > findingsMax);
  return end < 0 ? [...chunks] : chunks.slice(0, Math.max(1, end));
}

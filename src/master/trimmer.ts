/**
 * Gives up copies that a chunk has too many, after a keeper's return for instance: one at a time,
 * only while enough others are on keepers that are surely there, and never before the surplus has
 * stood for a while.
 */
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import { Ages } from "./ages.ts";
import { chooseSurplus } from "./placement.ts";
import { type RemovalOptions, removeReplicas } from "./removals.ts";
import { decideSurplus } from "./repair.ts";
import type { Roster } from "./roster.ts";
import type { Slots } from "./slots.ts";

export interface TrimmerOptions extends RemovalOptions {
  reader: Pick<CatalogReader, "surplusChunks">;
  roster: Roster;
  slots: Slots;
  keepers: KeeperTable;
  /** A surplus that is younger than this stays. */
  settleMs: number;
}

const PAGE_ROWS = 256;
const VICTIMS_MAX = 4_096;

export class Trimmer {
  readonly #options: TrimmerOptions;
  readonly #ages: Ages;
  /**
   * Whose copy was chosen, by chunk, until that keeper has answered. After a time-out it may have
   * deleted its copy: to choose another keeper then would cost two.
   */
  readonly #victims = new Map<string, { number: number; pass: number }>();
  #pass = 0;
  #afterNo = 0;
  #passStartedMs: number;

  constructor(options: TrimmerOptions) {
    this.#options = options;
    this.#ages = new Ages(options.clock, VICTIMS_MAX);
    this.#passStartedMs = options.clock.monotonicMs();
  }

  /** Looks at one page of chunks. */
  async run(): Promise<void> {
    const { reader, roster } = this.#options;
    const page = reader.surplusChunks(this.#afterNo, PAGE_ROWS);
    const chunksByKeeper = new Map<number, string[]>();
    const freedByKeeper = new Map<number, number>();
    for (const chunk of page) {
      const victim = this.#chooseVictim(chunk, freedByKeeper);
      if (victim === undefined) continue;
      freedByKeeper.set(victim, (freedByKeeper.get(victim) ?? 0) + chunk.sizeBytes);
      const chunks = chunksByKeeper.get(victim) ?? [];
      chunksByKeeper.set(victim, [...chunks, chunk.id]);
    }
    for (const [number, chunks] of chunksByKeeper) {
      const keeper = roster.byNumber(number);
      if (keeper === undefined) continue;
      const gone = await removeReplicas(this.#options, keeper, chunks);
      for (const chunk of gone) this.#victims.delete(chunk);
    }
    this.#afterNo = page.at(-1)?.no ?? 0;
    if (page.length === PAGE_ROWS) return;
    this.#endPass();
  }

  /** Forgets chunks that this pass has not met: they have no surplus any more. */
  #endPass(): void {
    this.#afterNo = 0;
    this.#ages.forget(this.#passStartedMs);
    this.#passStartedMs = this.#options.clock.monotonicMs();
    for (const [chunk, { pass }] of this.#victims) {
      if (pass < this.#pass) this.#victims.delete(chunk);
    }
    this.#pass++;
  }

  /**
   * The keeper that is to delete its copy now, if any. What this run has chosen already counts as
   * free there, so that the burden is shared.
   */
  #chooseVictim(
    chunk: ChunkRecord,
    freedByKeeper: ReadonlyMap<number, number>,
  ): number | undefined {
    const { keepers, roster, slots, settleMs } = this.#options;
    const stateOf = (number: number) => keepers.find(number)?.state ?? "DEAD";
    const holders = chunk.keepers.map((number) => ({ number, state: stateOf(number) }));
    if (decideSurplus(chunk.goal, holders) === "keep") return undefined;
    if (this.#ages.see(chunk.id) < settleMs) return undefined;
    const earlier = this.#victims.get(chunk.id);
    if (earlier !== undefined && chunk.keepers.includes(earlier.number)) {
      earlier.pass = this.#pass;
      return stateOf(earlier.number) === "ALIVE" ? earlier.number : undefined;
    }
    if (earlier === undefined && this.#victims.size >= VICTIMS_MAX) return undefined;
    const candidates = holders.filter(({ state }) => state === "ALIVE").flatMap(({ number }) => {
      const keeper = roster.byNumber(number);
      if (keeper === undefined) return [];
      const candidate = slots.candidateOf(keeper);
      const freeBytes = candidate.freeBytes + (freedByKeeper.get(number) ?? 0);
      return [{ ...candidate, freeBytes }];
    });
    const number = chooseSurplus(candidates)?.number;
    if (number !== undefined) this.#victims.set(chunk.id, { number, pass: this.#pass });
    return number;
  }
}

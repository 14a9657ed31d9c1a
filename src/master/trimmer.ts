/**
 * Gives up copies that a chunk has too many, after a keeper's return or a move for instance: one at
 * a time, only while enough others are on keepers that are surely there, and never before the
 * surplus has stood for a while.
 */
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { CatalogReader, KeeperRecord } from "../catalog/reader.ts";
import { Ages } from "./ages.ts";
import { chooseSurplus } from "./placement.ts";
import type { Policies } from "./policies.ts";
import { type RemovalOptions, removeReplicas } from "./removals.ts";
import { decideSurplus } from "./repair.ts";
import type { Roster } from "./roster.ts";
import type { Slots } from "./slots.ts";

export interface TrimmerOptions extends RemovalOptions {
  reader: Pick<CatalogReader, "surplusChunks" | "heldByKeepers">;
  roster: Roster;
  slots: Slots;
  policies: Policies;
  /** Whether replicas may be deleted now: asked again before each deletion. */
  mayDelete: () => boolean;
  /** A surplus that is younger than this stays. */
  settleMs: number;
}

const PAGE_ROWS = 256;
const AGES_MAX = 4_096;

export class Trimmer {
  readonly #options: TrimmerOptions;
  readonly #ages: Ages;
  #afterNo = 0;
  #passStartedMs: number;

  constructor(options: TrimmerOptions) {
    this.#options = options;
    this.#ages = new Ages(options.clock, AGES_MAX);
    this.#passStartedMs = options.clock.monotonicMs();
  }

  /** Looks at one page of chunks. */
  async run(): Promise<void> {
    const { reader, roster } = this.#options;
    const page = reader.surplusChunks(this.#afterNo, PAGE_ROWS);
    const heldByKeeper = page.length === 0
      ? new Map<number, number>()
      : new Map(reader.heldByKeepers().map(({ number, bytes }) => [number, bytes]));
    const chunksByKeeper = new Map<number, string[]>();
    const freedByKeeper = new Map<number, number>();
    for (const chunk of page) {
      const victim = this.#chooseVictim(chunk, heldByKeeper, freedByKeeper);
      if (victim === undefined) continue;
      freedByKeeper.set(victim, (freedByKeeper.get(victim) ?? 0) + chunk.sizeBytes);
      const chunks = chunksByKeeper.get(victim) ?? [];
      chunksByKeeper.set(victim, [...chunks, chunk.id]);
    }
    for (const [number, chunks] of chunksByKeeper) {
      const keeper = roster.byNumber(number);
      if (keeper === undefined || !this.#options.mayDelete()) continue;
      await this.#release(keeper, chunks);
    }
    this.#afterNo = page.at(-1)?.no ?? 0;
    if (page.length === PAGE_ROWS) return;
    this.#endPass();
  }

  /**
   * Takes the copies off the record first, as far as enough others are there at that moment: a
   * deletion whose answer is lost then leaves a file too many, never a record without its file.
   */
  async #release(keeper: KeeperRecord, chunks: string[]): Promise<void> {
    const { journal, clock, roster, keepers } = this.#options;
    const alive = roster.all().filter(({ number }) => keepers.alive(number)).map(({ id }) => id);
    const { released } = await journal.submit({
      kind: "replica.release",
      ...{ keeper: keeper.id, chunks, alive, atMs: clock.wallMs() },
    });
    if (released.length > 0) await removeReplicas(this.#options, keeper, released);
  }

  /** Forgets chunks that this pass has not met: they have no surplus any more. */
  #endPass(): void {
    this.#afterNo = 0;
    this.#ages.forget(this.#passStartedMs);
    this.#passStartedMs = this.#options.clock.monotonicMs();
  }

  /**
   * The keeper that is to delete its copy now, if any. What this run has chosen already counts as
   * free there, so that the burden is shared.
   */
  #chooseVictim(
    chunk: ChunkRecord,
    heldByKeeper: ReadonlyMap<number, number>,
    freedByKeeper: ReadonlyMap<number, number>,
  ): number | undefined {
    const { keepers, roster, slots, policies, settleMs } = this.#options;
    const stateOf = (number: number) => keepers.find(number)?.state ?? "DEAD";
    const holders = chunk.keepers.map((number) => ({ number, state: stateOf(number) }));
    if (decideSurplus(chunk.goal, holders) === "keep") return undefined;
    if (this.#ages.see(chunk.id) < settleMs) return undefined;
    const candidates = holders.filter(({ state }) => state === "ALIVE").flatMap(({ number }) => {
      const keeper = roster.byNumber(number);
      if (keeper === undefined) return [];
      const candidate = slots.candidateOf(keeper);
      const freedBytes = freedByKeeper.get(number) ?? 0;
      const freeBytes = candidate.freeBytes + freedBytes;
      const heldBytes = Math.max(0, (heldByKeeper.get(number) ?? 0) - freedBytes);
      return [{ ...candidate, freeBytes, heldBytes }];
    });
    return chooseSurplus(candidates, policies.of(chunk.policy))?.number;
  }
}

/**
 * Finds packs that rules have parted, page by page, and says what is to be done about them next:
 * bring files of one kind out of several packs together, or have packs settled whose files agree.
 */
import type { Clock } from "../base/clock.ts";
import type { LoosePack, PackPlace } from "../catalog/pack_reader.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import { WISHES_MAX } from "../catalog/wish.ts";
import { Ages } from "./ages.ts";
import { KNOWN_MAX, type KnownPacks } from "./known_packs.ts";
import { type PartingPlan, planParting } from "./parting_plan.ts";

/** What is to be done next about parted packs. */
export interface PartingStep {
  /** Of these the files agree, as far as one can see. */
  agreed: LoosePack[];
  /** What the files want that are to be brought together; policy: its number. */
  wish: { goal: number; policy: number } | undefined;
  /** Where they lie. */
  picks: { pack: LoosePack; places: PackPlace[] }[];
}

/** Packs that are listed at once, and those of which all files are looked at for one step. */
const PAGE_ROWS = 256;
const LOOKED_AT_MAX = 16;

export class PartedPacks {
  readonly #reader: Pick<CatalogReader, "partedPacks" | "packedWishes">;
  readonly #known: KnownPacks;
  readonly #clock: Clock;
  readonly #ages: Ages;
  #afterNo = 0;
  #passStartMs: number;

  constructor(
    reader: Pick<CatalogReader, "partedPacks" | "packedWishes">,
    known: KnownPacks,
    clock: Clock,
  ) {
    this.#reader = reader;
    this.#known = known;
    this.#clock = clock;
    this.#ages = new Ages(clock, KNOWN_MAX);
    this.#passStartMs = clock.monotonicMs();
  }

  /**
   * What is to be done next; undefined when no pack of this page is due: all that have been parted
   * for less than `oldMs` may be in the hands of somebody who is still applying rules.
   */
  next(oldMs: number): PartingStep | undefined {
    const page = this.#reader.partedPacks(this.#afterNo, PAGE_ROWS);
    const due = page.filter((pack) => this.#ages.see(pack.id) >= oldMs && this.#known.isDue(pack));
    if (due.length === 0) {
      this.#turn(page);
      return undefined;
    }
    const step: PartingStep = { agreed: [], wish: undefined, picks: [] };
    for (const pack of due.slice(0, LOOKED_AT_MAX)) this.#add(step, pack);
    return step;
  }

  #add(step: PartingStep, pack: LoosePack): void {
    const plan = this.#plan(pack);
    if (plan.kind === "agreed") {
      step.agreed.push(pack);
      return;
    }
    const [first] = plan.groups;
    step.wish ??= first && { goal: first.goal, policy: first.policy };
    const { goal, policy } = step.wish ?? {};
    const group = plan.groups.find((each) => each.goal === goal && each.policy === policy);
    if (group !== undefined) step.picks.push({ pack, places: group.places });
  }

  #plan(pack: LoosePack): PartingPlan {
    const isWhole = pack.refs <= WISHES_MAX;
    return planParting(this.#reader.packedWishes(pack.no, WISHES_MAX), isWhole);
  }

  #turn(page: readonly LoosePack[]): void {
    this.#afterNo = page.length === PAGE_ROWS ? page.at(-1)?.no ?? 0 : 0;
    if (this.#afterNo > 0) return;
    this.#ages.forget(this.#passStartMs);
    this.#passStartMs = this.#clock.monotonicMs();
  }
}

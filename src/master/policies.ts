/** The policies that chunks name by number, kept in memory: what a number wants never changes. */
import type { PolicyFacts } from "../catalog/operation.ts";
import type { CatalogReader } from "../catalog/reader.ts";

const KEPT_MAX = 4_096;

export class Policies {
  readonly #reader: Pick<CatalogReader, "policy">;
  readonly #known = new Map<number, PolicyFacts>();

  constructor(reader: Pick<CatalogReader, "policy">) {
    this.#reader = reader;
  }

  /** What the policy of this number wants; undefined when it wants nothing. */
  of(number: number): PolicyFacts | undefined {
    if (number === 0) return undefined;
    const known = this.#known.get(number) ?? this.#reader.policy(number);
    if (known === undefined) return undefined;
    if (this.#known.size >= KEPT_MAX) this.#known.clear();
    this.#known.set(number, known);
    return known;
  }
}

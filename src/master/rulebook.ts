/**
 * The placement rules in force: those of the configuration file, then those that were added. Kept
 * in memory, ready to match, and read again only when they change.
 */
import { matcherOf } from "../base/pattern.ts";
import type { PolicyFacts } from "../catalog/operation.ts";
import type { CatalogReader } from "../catalog/reader.ts";
import type { RuleSetting } from "../config/rules.ts";
import { formatLabels } from "../wire/labels.ts";
import type { Rule } from "../wire/rule.ts";

/** The id of all rules of the file. */
export const FILE_RULE_ID = 0;

interface Entry {
  rule: Rule;
  matches: (path: string) => boolean;
}

export class Rulebook {
  readonly #reader: Pick<CatalogReader, "rules" | "rulesGeneration">;
  readonly #ofFile: readonly Entry[];
  #generation = -1;
  #entries: readonly Entry[] = [];

  constructor(
    ofFile: readonly RuleSetting[],
    reader: Pick<CatalogReader, "rules" | "rulesGeneration">,
  ) {
    this.#reader = reader;
    this.#ofFile = ofFile.map((rule) => entryOf({ ...rule, id: FILE_RULE_ID, source: "file" }));
  }

  /** All rules, in the order in which they are tried. */
  all(): Rule[] {
    this.#refresh();
    return this.#entries.map(({ rule }) => rule);
  }

  /** The rule that decides about a path: the first that matches it. */
  find(path: string): Rule | undefined {
    this.#refresh();
    return this.#match(path);
  }

  /** The rules that decide about many paths, in their order, all from one state of the rules. */
  findAll(paths: readonly string[]): (Rule | undefined)[] {
    this.#refresh();
    return paths.map((path) => this.#match(path));
  }

  #match(path: string): Rule | undefined {
    return this.#entries.find(({ matches }) => matches(path))?.rule;
  }

  #refresh(): void {
    const generation = this.#reader.rulesGeneration();
    if (generation === this.#generation) return;
    const added = this.#reader.rules().map((rule) => entryOf({ ...rule, source: "added" }));
    this.#entries = [...this.#ofFile, ...added];
    this.#generation = generation;
  }
}

/** What a rule wants of keepers; undefined when it wants nothing of them. */
export function policyOf(rule: Rule | undefined): PolicyFacts | undefined {
  if (rule === undefined) return undefined;
  const { require, prefer } = rule;
  const asks = Object.keys(require).length + Object.keys(prefer).length > 0;
  return asks ? { require, prefer } : undefined;
}

/** A policy as a key: equal for those that want the same. No label has a blank. */
export function policyText(policy: PolicyFacts | undefined): string {
  return policy === undefined
    ? ""
    : `${formatLabels(policy.require)} ${formatLabels(policy.prefer)}`;
}

function entryOf(rule: Rule): Entry {
  return { rule, matches: matcherOf(rule.pattern) };
}

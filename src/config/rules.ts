/**
 * The placement rules of `tydfs.toml`: its tables `[[rule]]`, in the order in which they are tried.
 * Errors name the file and the line.
 */
import { whyNotPattern } from "../base/pattern.ts";
import { didYouMean } from "../base/similar.ts";
import { ConfigError } from "./config_error.ts";
import { parseLabels } from "./labels.ts";

/** A rule as the file says it. */
export interface RuleSetting {
  pattern: string;
  require: Record<string, string>;
  prefer: Record<string, string>;
  copies?: number;
}

/** The key of the tables. */
export const RULE_KEY = "rule";

const KEYS = ["pattern", "require", "prefer", "copies"];
const COPIES_MAX = 16;
/** Rules in a file, and characters of all their patterns and labels, at most. */
const RULES_MAX = 1000;
const CHARACTERS_MAX = 200 * 1024;

/**
 * Parses the tables; `text` is that of the file at `path`, for the lines in errors. `settings` are
 * the keys that stand above them. Throws `ConfigError`.
 */
export function parseRules(
  tables: unknown,
  { text, path, settings }: { text: string; path: string; settings: ReadonlySet<string> },
): RuleSetting[] {
  const lines = text.split("\n");
  const refuse = (reason: string, index: number, key?: string) =>
    new ConfigError(`${reason} ("${path}", line ${lineOf(lines, index, key)})`);
  if (!Array.isArray(tables) || tables.some((table) => !isTable(table))) {
    throw refuse('Cannot use "rule": write each rule as a table [[rule]]', 0);
  }
  const rules = (tables as Record<string, unknown>[]).map((table, index) => {
    for (const key of Object.keys(table)) {
      if (KEYS.includes(key)) continue;
      const hint = settings.has(key)
        ? "; settings stand above the first [[rule]]"
        : didYouMean(key, KEYS);
      throw refuse(`Unknown key "${key}" of a rule${hint}`, index, key);
    }
    return parseRule(table, (reason, key) => refuse(reason, index, key));
  });
  checkTogether(rules, refuse);
  return rules;
}

function parseRule(
  table: Record<string, unknown>,
  refuse: (reason: string, key?: string) => ConfigError,
): RuleSetting {
  const { pattern, copies } = table;
  if (pattern === undefined) throw refuse("Cannot use a rule: it has no pattern");
  const why = typeof pattern === "string" ? whyNotPattern(pattern) : "it is no text";
  if (why !== undefined) {
    throw refuse(
      `Cannot use ${JSON.stringify(pattern)} as the pattern of a rule: ${why}`,
      "pattern",
    );
  }
  if (copies !== undefined && !isCopies(copies)) {
    const state = `it is no number from 1 to ${COPIES_MAX}`;
    throw refuse(`Cannot use ${JSON.stringify(copies)} for "copies" of a rule: ${state}`, "copies");
  }
  const rule: RuleSetting = {
    pattern: pattern as string,
    require: labelsOf(table, "require", refuse),
    prefer: labelsOf(table, "prefer", refuse),
    ...(copies === undefined ? {} : { copies: copies as number }),
  };
  const asks = [rule.require, rule.prefer].some((labels) => Object.keys(labels).length > 0);
  if (!asks && copies === undefined) {
    throw refuse(`Cannot use the rule for "${pattern}": it asks for no labels and no copies`);
  }
  return rule;
}

/** Labels as a table, or as text. */
function labelsOf(
  table: Record<string, unknown>,
  key: "require" | "prefer",
  refuse: (reason: string, key?: string) => ConfigError,
): Record<string, string> {
  const value = table[key];
  if (value === undefined) return {};
  const fail = (reason: string) =>
    refuse(`Cannot use ${JSON.stringify(value)} for "${key}" of a rule: ${reason}`, key);
  if (typeof value === "string") return parseLabels(value, fail);
  if (!isTable(value)) throw fail("it is neither a table nor KEY=VALUE,…");
  const pairs = Object.entries(value).map(([label, word]) => `${label}=${String(word)}`);
  if (pairs.some((pair) => pair.includes(","))) throw fail("a label has a comma");
  return parseLabels(pairs.join(","), fail);
}

function checkTogether(
  rules: readonly RuleSetting[],
  refuse: (reason: string, index: number, key?: string) => ConfigError,
): void {
  if (rules.length > RULES_MAX) {
    throw refuse(`Cannot use so many rules: ${RULES_MAX} are the most`, RULES_MAX);
  }
  if (JSON.stringify(rules).length > CHARACTERS_MAX) {
    throw refuse(
      `Cannot use so long rules: together they are over ${CHARACTERS_MAX} characters`,
      0,
    );
  }
  const patterns = new Set<string>();
  for (const [index, { pattern }] of rules.entries()) {
    if (patterns.has(pattern)) {
      throw refuse(`Cannot use a second rule for "${pattern}"`, index, "pattern");
    }
    patterns.add(pattern);
  }
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCopies(value: unknown): boolean {
  return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= COPIES_MAX;
}

/** The line of a key of the rule with this index, or where the rule begins. */
function lineOf(lines: readonly string[], index: number, key?: string): number {
  const isHead = (line: string) => /^\s*\[\[\s*["']?rule["']?\s*\]\]/.test(line);
  const heads = lines.flatMap((line, at) => isHead(line) ? [at] : []);
  const from = heads[index];
  // Written as `rule = [ … ]`: the line where that begins is the best that can be told.
  if (from === undefined) return lines.findIndex((line) => /^\s*["']?rule["']?\s*=/.test(line)) + 1;
  if (key === undefined) return from + 1;
  const name = `["']?${RegExp.escape(key)}["']?`;
  const pattern = new RegExp(`^\\s*(${name}\\s*[=.]|\\[\\s*rule\\s*\\.\\s*${name})`);
  const within = lines.slice(from, heads[index + 1]);
  return from + Math.max(0, within.findIndex((line) => pattern.test(line))) + 1;
}

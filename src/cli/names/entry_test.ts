/** What `find` looks for: a test of entries made from its flags. Pure. */
import { parseDuration, parseSize } from "../../base/bytes.ts";
import type { Entry } from "../../client/client.ts";
import { matcherOf } from "../../client/pattern.ts";
import { ConfigError } from "../../config/load.ts";
import { hasTime, kindOf } from "../format/format.ts";

/** The flags of `find` that choose; all that are given must hold. */
export interface FindFlags {
  name?: string | undefined;
  type?: string | undefined;
  size?: string | undefined;
  newer?: string | undefined;
  older?: string | undefined;
  owner?: string | undefined;
}

export type EntryTest = (entry: Entry) => boolean;

const KINDS: Record<string, ReturnType<typeof kindOf>> = { f: "file", d: "directory", l: "link" };

/** Makes a test. Throws `ConfigError` on a value that is none; ages count from `nowMs`. */
export function makeEntryTest(flags: FindFlags, nowMs: number): EntryTest {
  const { name, type, size, newer, older, owner } = flags;
  const tests: EntryTest[] = [];
  if (name !== undefined) {
    const matches = matcherOf(name);
    tests.push(({ path }) => matches(path));
  }
  if (type !== undefined) {
    const kind = KINDS[type];
    if (kind === undefined) throw wrong("type", type, "it is not f, d or l");
    tests.push((entry) => kindOf(entry) === kind);
  }
  if (size !== undefined) tests.push(sizeTest(size));
  if (newer !== undefined) {
    const sinceMs = parseMoment("newer", newer, nowMs);
    tests.push((entry) => hasTime(entry) && entry.mtimeMs >= sinceMs);
  }
  if (older !== undefined) {
    const beforeMs = parseMoment("older", older, nowMs);
    tests.push((entry) => hasTime(entry) && entry.mtimeMs < beforeMs);
  }
  if (owner !== undefined) tests.push((entry) => entry.owner === owner);
  return (entry) => tests.every((test) => test(entry));
}

/** A test of sizes; a directory has none. */
function sizeTest(text: string): EntryTest {
  const sign = text.startsWith("+") || text.startsWith("-") ? text.charAt(0) : "";
  const sizeBytes = parseSize(text.slice(sign.length));
  if (sizeBytes === undefined) throw wrong("size", text, "it is no size");
  return ({ kind, size }) => {
    if (kind === "directory") return false;
    if (sign === "+") return size > sizeBytes;
    return sign === "-" ? size < sizeBytes : size === sizeBytes;
  };
}

/**
 * A moment in ms since the epoch: so long ago, or a date (with a time, local unless it says so).
 */
function parseMoment(flag: string, text: string, nowMs: number): number {
  const ageMs = parseDuration(text);
  if (ageMs !== undefined) return nowMs - ageMs;
  // A date alone would be taken for one of Greenwich.
  const dateMs = Date.parse(/^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00` : text);
  if (!/^\d{4}-/.test(text) || Number.isNaN(dateMs)) {
    throw wrong(flag, text, "it is no age (7d) and no date (2024-12-31)");
  }
  return dateMs;
}

function wrong(flag: string, text: string, why: string): ConfigError {
  return new ConfigError(`Cannot use "${text}" for --${flag}: ${why}`);
}

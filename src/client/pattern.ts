/**
 * Shell patterns of remote paths: `*` and `?` within a part, `**` over parts, `[a-z]`, `{a,b}`. A
 * path that has such characters in its own name is found by its name first (`match.ts`).
 */
import { parsePath, ROOT } from "../wire/names.ts";

export { matcherOf } from "../base/pattern.ts";

const MAGIC = /[*?[{]/;

/** Whether a path has characters that patterns give a meaning. */
export function hasPattern(path: string): boolean {
  return MAGIC.test(path);
}

/** A pattern taken apart. */
export interface RemotePattern {
  /** The deepest directory that is surely above all that matches. */
  base: string;
  /** Whether it can match below the direct entries of `base`. */
  deep: boolean;
  matches(path: string): boolean;
}

/**
 * Takes a pattern of remote paths apart. Throws `usage` where it can't be a path. One that
 * matches a directory does not match what is below.
 */
export function parsePattern(text: string): RemotePattern {
  const pattern = parsePath(text);
  const parts = pattern.slice(1).split("/");
  const first = parts.findIndex(hasPattern);
  const fixed = first === -1 ? parts.slice(0, -1) : parts.slice(0, first);
  const glob = new Bun.Glob(pattern);
  return {
    base: ROOT + fixed.join("/"),
    deep: parts.length - fixed.length > 1 || pattern.includes("**"),
    // "*" alone would match the empty name that the root has.
    matches: (path) => path !== ROOT && glob.match(path),
  };
}

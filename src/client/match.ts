/** Finds what a remote path or pattern names. */
import { hasCode, TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import type { Entry, OperationOptions } from "./api.ts";
import type { TydfsClient } from "./client.ts";
import { hasPattern, parsePattern } from "./pattern.ts";

/**
 * The entries that `path` names, in byte order: the one that is there, or those that match it as a
 * pattern. A name with magic characters in it is found by its name. Throws `not-found` when there
 * is none.
 */
export async function* matchRemote(
  client: TydfsClient,
  path: string,
  options: OperationOptions = {},
): AsyncGenerator<Entry> {
  const exact = await client.stat(path, options).catch((error) => {
    if (hasCode(error, "not-found") && hasPattern(path)) return undefined;
    throw error;
  });
  if (exact !== undefined) return yield exact.entry;
  const { base, deep, matches } = parsePattern(path);
  let found = false;
  try {
    for await (const entry of client.list(base, { ...options, recursive: deep })) {
      if (!matches(entry.path)) continue;
      found = true;
      yield entry;
    }
  } catch (error) {
    if (!hasCode(error, "not-found") || found) throw error;
  }
  if (!found) {
    throw new TydfsError("not-found", `Cannot find ${quotePath(path)}: nothing matches it`);
  }
}

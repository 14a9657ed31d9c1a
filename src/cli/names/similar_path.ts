/** A name that is like one which was not found: looked for only where a command has failed. */
import { similarWord } from "../../base/similar.ts";
import type { TydfsClient } from "../../client/client.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import { joinPath, quotePath, ROOT, splitPath } from "../../wire/names.ts";

/** The user waits no longer for a suggestion. */
const LOOK_MS = 1_000;
/** Names that are compared: one page of a list. */
const NAMES_MAX = 1_000;
/** Directories that are tried, from the deepest up. */
const LEVELS_MAX = 3;

/** The error with "did you mean …?" when there is something like it; the same one otherwise. */
export async function suggestPath(
  client: TydfsClient,
  error: TydfsError,
  signal: AbortSignal,
): Promise<TydfsError> {
  const path = missingPath(error);
  if (path === undefined) return error;
  const look = AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]);
  // A second failure must not hide the first.
  const similar = await similarPath(client, path, look).catch(() => undefined);
  if (similar === undefined) return error;
  const { message, data, cause } = error;
  const asked = `${message}; did you mean ${quotePath(similar)}?`;
  return new TydfsError("not-found", asked, { data, cause });
}

/** The path that an error says is not there. */
export function missingPath(error: TydfsError): string | undefined {
  const quoted = /^Cannot [a-z ]+ ("(?:[^"\\]|\\.)*"): no such file or directory$/
    .exec(error.message)?.[1];
  // An overlong one was cut.
  if (quoted === undefined || quoted.endsWith('…"')) return undefined;
  return JSON.parse(quoted) as string;
}

async function similarPath(
  client: TydfsClient,
  path: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  const parts = splitPath(path);
  const highest = Math.max(0, parts.length - LEVELS_MAX);
  for (let depth = parts.length - 1; depth >= highest; depth--) {
    const directory = ROOT + parts.slice(0, depth).join("/");
    const names = await namesIn(client, directory, signal);
    if (names === undefined) continue;
    const similar = similarWord(parts[depth] ?? "", names);
    return similar === undefined ? undefined : joinPath(directory, similar);
  }
  return undefined;
}

/** Some names of a directory; undefined when it is not there either. */
async function namesIn(
  client: TydfsClient,
  directory: string,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  const names: string[] = [];
  const start = directory === ROOT ? 1 : directory.length + 1;
  try {
    for await (const entry of client.list(directory, { signal })) {
      names.push(entry.path.slice(start));
      if (names.length >= NAMES_MAX) break;
    }
    return names;
  } catch (error) {
    if (hasCode(error, "not-found")) return undefined;
    throw error;
  }
}

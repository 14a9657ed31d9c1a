/** Paths of a command line that lie in the trash, where each word may be a pattern. */
import type { TydfsClient } from "../../client/client.ts";
import { hasPattern, parsePattern } from "../../client/pattern.ts";
import { TydfsError } from "../../wire/errors.ts";
import { parentPath, parsePath, quotePath, ROOT } from "../../wire/names.ts";
import type { Session } from "../session.ts";

/** Paths that one command line may name; they are held in memory. */
const PATHS_MAX = 100_000;

interface Look {
  client: TydfsClient;
  signal: AbortSignal;
}

/**
 * What `words` name: a word that is no pattern stands for itself, another one for what was removed
 * and matches it, or lies in a directory that does. What it names comes once, in byte order of the
 * words. A word that names nothing is told, and the others are found.
 */
export async function findTrashed(
  session: Session,
  words: readonly string[],
  look: Look,
): Promise<{ paths: string[]; several: boolean }> {
  const paths = new Set<string>();
  await session.forEach(words, look.signal, async (word) => {
    for (const path of await pathsOf(word, look)) paths.add(path);
    if (paths.size > PATHS_MAX) {
      const message = `Cannot take more than ${PATHS_MAX} paths at once: name a directory, or a ` +
        "pattern that matches fewer";
      throw new TydfsError("limit", message);
    }
  });
  return { paths: [...paths], several: words.length > 1 || words.some(hasPattern) };
}

async function pathsOf(word: string, { client, signal }: Look): Promise<Iterable<string>> {
  const path = parsePath(word);
  if (!hasPattern(word)) return [path];
  // A name with magic characters in it is found by its name.
  for await (const _entry of client.operator.trash(path, { signal })) return [path];
  const { base, matches } = parsePattern(word);
  const found = new Set<string>();
  for await (const entry of client.operator.trash(base, { signal })) {
    const top = entry.replaced ? undefined : topMatch(entry.path, matches);
    if (top !== undefined) found.add(top);
    if (found.size > PATHS_MAX) break;
  }
  if (found.size > 0) return found;
  const state = "nothing that was removed matches it; tydfs trash ls shows what is in the trash";
  throw new TydfsError("not-found", `Cannot restore ${quotePath(path)}: ${state}`);
}

/** The highest of a path and the directories above it that matches. */
function topMatch(path: string, matches: (path: string) => boolean): string | undefined {
  let top: string | undefined;
  for (let here = path; here !== ROOT; here = parentPath(here)) if (matches(here)) top = here;
  return top;
}

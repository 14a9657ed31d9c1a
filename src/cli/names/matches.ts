/**
 * Remote paths of a command line, where each word may be a pattern: what they name, found before
 * anything is changed, so that a command never meets its own work in the list.
 */
import type { Entry, TydfsClient } from "../../client/client.ts";
import { matchRemote } from "../../client/match.ts";
import { hasPattern } from "../../client/pattern.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import type { Session } from "../session.ts";

/** Entries that one command line may name; they are held in memory. */
const MATCHES_MAX = 100_000;

/** What the words of a command line name. */
export interface Matches {
  entries: Entry[];
  /** More than one may be meant: there are several words, or one is a pattern. */
  several: boolean;
}

export interface MatchOptions {
  client: TydfsClient;
  signal: AbortSignal;
  /** What lies below another match is left out: it goes with it. */
  topmost: boolean;
  /** What is not there is no failure. */
  missingOk?: boolean;
}

/**
 * Finds what `words` name. A word that names nothing is told, and the others are found (see
 * `Session.forEach`).
 */
export async function findMatches(
  session: Session,
  words: readonly string[],
  options: MatchOptions,
): Promise<Matches> {
  const { client, signal, topmost, missingOk = false } = options;
  const entries: Entry[] = [];
  let several = words.length > 1;
  await session.forEach(words, signal, async (word) => {
    let above: string | undefined;
    try {
      for await (const entry of matchRemote(client, word, { signal })) {
        if (topmost && above !== undefined && entry.path.startsWith(above)) continue;
        above = entry.path === "/" ? "/" : `${entry.path}/`;
        if (entries.length >= MATCHES_MAX) throw tooMany();
        entries.push(entry);
      }
    } catch (error) {
      if (!missingOk || !hasCode(error, "not-found")) throw error;
    }
    several ||= hasPattern(word);
  });
  return { entries, several };
}

/** What `--json` prints of a command with a value for each thing: one value where one was named. */
export function jsonOf(values: readonly unknown[], { several }: { several: boolean }): string {
  return JSON.stringify(several ? values : values[0]);
}

function tooMany(): TydfsError {
  const message = `Cannot take more than ${MATCHES_MAX} paths at once: name a directory with -r, ` +
    "or a pattern that matches fewer";
  return new TydfsError("limit", message);
}

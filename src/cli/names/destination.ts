/** Where `cp` and `mv` put things: into a directory under their own names, or onto one new name. */
import type { Entry, TydfsClient } from "../../client/client.ts";
import { ConfigError } from "../../config/load.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import { baseName, joinPath, parsePath, quotePath } from "../../wire/names.ts";

/** What the last word of `cp` and `mv` stands for. */
export type Destination = { kind: "into"; directory: string } | { kind: "onto"; path: string };

/** Parts the sources from the destination. Throws `ConfigError` when there are not both. */
export function splitTarget(
  words: readonly string[],
  verb: "copy" | "move",
): { froms: string[]; to: string } {
  const to = words.at(-1);
  const froms = words.slice(0, -1);
  if (to === undefined || froms.length === 0) {
    throw new ConfigError(`Cannot ${verb} ${quotePath(words[0] ?? "")}: say where to, too`);
  }
  return { froms, to };
}

/**
 * Decides what `to` stands for, where `there` is what has that name now. Several things go into a
 * directory, which is made when it is missing. Throws `not-directory` when it is a file.
 */
export function planDestination(
  to: string,
  there: Entry["kind"] | undefined,
  several: boolean,
): Destination {
  const path = parsePath(to);
  if (there === "directory") return { kind: "into", directory: path };
  if (!several && !to.endsWith("/")) return { kind: "onto", path };
  if (there === undefined) return { kind: "into", directory: path };
  const message = `Cannot use ${quotePath(path)} as a directory: it is a file`;
  throw new TydfsError("not-directory", message);
}

/** Looks at `to`, and decides what it stands for. */
export async function findDestination(
  client: TydfsClient,
  to: string,
  { several, signal }: { several: boolean; signal: AbortSignal },
): Promise<Destination> {
  const there = await client.stat(to, { signal }).catch((error) => {
    if (hasCode(error, "not-found")) return undefined;
    throw error;
  });
  return planDestination(to, there?.entry.kind, several);
}

/** Hands out the new path of one source after the other, and none of them twice. */
export class Targets {
  readonly #destination: Destination;
  readonly #sources = new Map<string, string>();

  constructor(destination: Destination) {
    this.#destination = destination;
  }

  /** The new path of `from`. Throws `exists` when another source has it already. */
  pathOf(from: string): string {
    const destination = this.#destination;
    const path = destination.kind === "onto"
      ? destination.path
      : parsePath(joinPath(destination.directory, baseName(from)));
    const other = this.#sources.get(path);
    if (other !== undefined) {
      const state = `${quotePath(other)} has just gone there`;
      const message = `Cannot use ${quotePath(path)} for ${quotePath(from)}: ${state}`;
      throw new TydfsError("exists", message);
    }
    this.#sources.set(path, from);
    return path;
  }
}

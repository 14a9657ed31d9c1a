/** What the words of `get` name in the cluster, and which local path each of it becomes. */
import { TydfsError } from "../../wire/errors.ts";
import { baseName, parsePath, quotePath } from "../../wire/names.ts";
import type { Entry } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import { matchRemote } from "../match.ts";
import { hasPattern, parsePattern } from "../pattern.ts";
import type { GetRoot } from "./get.ts";

/** Paths that are remembered, to see when two sources would become one. */
const TAKEN_MAX = 100_000;

export interface GetRootsOptions {
  /** Sources go into the root under their own names; else the only one becomes the root. */
  into: boolean;
  /** The name of the only source, when it is a file that does not keep its own. */
  name?: string;
  /** Directories, too. */
  recursive: boolean;
  signal: AbortSignal;
  onTrouble: (error: TydfsError) => void;
}

/** Finds what is to be got. What is wrong with one word is told, and the next one follows. */
export async function* findGetRoots(
  client: TydfsClient,
  remotes: readonly string[],
  options: GetRootsOptions,
): AsyncGenerator<GetRoot> {
  const { signal, onTrouble } = options;
  const taken = new Set<string>();
  for (const remote of remotes) {
    try {
      for await (const root of rootsOf(client, remote, options)) {
        if (remotes.length > 1 && root.withFacts) {
          if (taken.has(root.path)) onTrouble(twiceError(root));
          if (taken.has(root.path)) continue;
          if (taken.size < TAKEN_MAX) taken.add(root.path);
        }
        yield root;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TydfsError) || remotes.length === 1) throw error;
      onTrouble(error);
    }
  }
}

async function* rootsOf(
  client: TydfsClient,
  remote: string,
  options: GetRootsOptions,
): AsyncGenerator<GetRoot> {
  const { recursive, signal, onTrouble, into, name } = options;
  // What is in a directory, not the directory itself.
  const inner = /\/\.\/*$/.test(remote);
  const path = inner ? remote.replace(/\.\/*$/, "") : remote;
  const exact = parsePath(path);
  let tree: string | undefined;
  for await (const entry of matchRemote(client, path, { signal })) {
    // All that is below a directory comes with it.
    if (tree !== undefined && entry.path.startsWith(tree)) continue;
    const named = entry.path === exact;
    if (entry.kind === "directory") {
      if (!recursive) {
        const error = directoryError(entry, !named);
        if (named) throw error;
        // A pattern over directories is not about them.
        if (!path.includes("**")) onTrouble(error);
        continue;
      }
      tree = entry.path === "/" ? "/" : `${entry.path}/`;
    }
    const own = named ? baseName(entry.path) : belowBase(path, entry.path);
    const isContents = inner || entry.path === "/";
    if (!into && entry.kind === "file") yield { entry, path: name ?? own, withFacts: true };
    else yield { entry, path: isContents || !into ? "" : own, withFacts: !isContents };
  }
}

/** The path of what matches, below the last directory that the pattern names without magic. */
function belowBase(pattern: string, path: string): string {
  if (!hasPattern(pattern)) return baseName(path);
  const { base } = parsePattern(pattern);
  return path.slice(base === "/" ? 1 : base.length + 1);
}

function directoryError({ path }: Entry, skipped: boolean): TydfsError {
  if (!skipped) {
    return new TydfsError(
      "is-directory",
      `Cannot get ${quotePath(path)}: it is a directory; use -r`,
    );
  }
  const message = `Left out ${quotePath(path)}: it is a directory; use -r`;
  return new TydfsError("is-directory", message, { data: { skipped: true } });
}

function twiceError({ entry, path }: GetRoot): TydfsError {
  const message = `Cannot get ${quotePath(entry.path)}: another source becomes ${
    quotePath(path)
  }, too`;
  return new TydfsError("conflict", message);
}

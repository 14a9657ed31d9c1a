/**
 * Copies a directory of the cluster with all that is below. Directories are made in the order of
 * the list, so that each is there, with its own mode and time, before what it holds; files follow
 * several at once. No byte moves.
 */
import { forEachLimited } from "../../base/limit.ts";
import { isUnanswered, TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { Entry } from "../api.ts";
import type { TydfsClient } from "../client.ts";

/** Files that are copied at once: each is one small request. */
const COPIES_MAX = 16;

/** What was copied. */
export interface CopyCounts {
  files: number;
  directories: number;
  sizeBytes: number;
}

/** What of a client it needs. */
export type CopyClient = Pick<TydfsClient, "list" | "makeDirectory" | "copy">;

export interface CopyTreeOptions {
  signal: AbortSignal;
  /** Whether files that are there are replaced; otherwise each is a failure. */
  replace: boolean;
  /** Only look what there is to copy. */
  dryRun: boolean;
  /** Told of each entry that could not be copied; the others are. */
  onFailure: (error: unknown) => void;
}

/**
 * Copies the directory `from` so that it becomes `to`; one that is there is filled up. Throws
 * `invalid` when `to` lies in `from`, what keeps the list from being read, and that nobody answers.
 */
export async function copyTree(
  client: CopyClient,
  from: Entry,
  to: string,
  options: CopyTreeOptions,
): Promise<CopyCounts> {
  const { signal, replace, dryRun, onFailure } = options;
  const counts: CopyCounts = { files: 0, directories: 0, sizeBytes: 0 };
  if (to === from.path || to.startsWith(withSlash(from.path))) {
    const state = "a directory can't be copied into itself";
    const message = `Cannot copy ${quotePath(from.path)} to ${quotePath(to)}: ${state}`;
    throw new TydfsError("invalid", message);
  }
  const targetOf = (path: string) => withSlash(to) + path.slice(withSlash(from.path).length);

  async function makeDirectory({ mode, mtimeMs }: Entry, path: string): Promise<void> {
    if (!dryRun) await client.makeDirectory(path, { parents: true, mode, mtimeMs, signal });
    counts.directories++;
  }

  async function* files(): AsyncGenerator<Entry> {
    let refused: string | undefined;
    for await (const entry of client.list(from.path, { recursive: true, signal })) {
      // What lies below a directory that can't be made fails for that one reason.
      if (refused !== undefined && entry.path.startsWith(withSlash(refused))) continue;
      if (entry.kind === "file") {
        yield entry;
        continue;
      }
      try {
        await makeDirectory(entry, targetOf(entry.path));
      } catch (error) {
        signal.throwIfAborted();
        if (isUnanswered(error)) throw stoppedError(error, counts);
        onFailure(error);
        refused = entry.path;
      }
    }
  }

  await makeDirectory(from, to);
  await forEachLimited(files(), COPIES_MAX, async ({ path, size }) => {
    try {
      if (!dryRun) await client.copy(path, targetOf(path), { replace, signal, exact: true });
      counts.files++;
      counts.sizeBytes += size;
    } catch (error) {
      signal.throwIfAborted();
      if (isUnanswered(error)) throw stoppedError(error, counts);
      onFailure(error);
    }
  });
  return counts;
}

function stoppedError({ code, message }: TydfsError, { files, directories }: CopyCounts) {
  const done = `until then ${files} files and ${directories} directories were copied`;
  return new TydfsError(code, `${message}; ${done}`);
}

function withSlash(path: string): string {
  return path === "/" ? path : `${path}/`;
}

/** Finds the jobs of `put -r` and `get -r`: everything below the sources is copied. */
import { basename, dirname } from "node:path";
import type { Random } from "../base/random.ts";
import { systemRandom } from "../base/random.ts";
import type { TydfsError } from "../wire/errors.ts";
import { baseName, joinPath } from "../wire/names.ts";
import type { Entry, GetOptions, PutOptions } from "./api.ts";
import type { TydfsClient } from "./client.ts";
import type { TreeFilter } from "./filter.ts";
import type { Job } from "./job_runner.ts";
import { walkTree } from "./local_tree.ts";
import { resolveTarget } from "./local_files.ts";
import { LocalWriter } from "./local_writer.ts";
import { OpenDirectories } from "./open_directories.ts";
import { listTree, treeEntry } from "./remote_tree.ts";
import { factsOf, LocalJobs, RemoteJobs } from "./tree_jobs.ts";

/** What becomes of symbolic links. */
export type LinkRule = "follow" | "keep" | "skip";

export interface FindOptions {
  signal: AbortSignal;
  filter: TreeFilter;
  links: LinkRule;
  /** Nothing is changed, not even times of directories. */
  dryRun: boolean;
  /** Hears of what can't be read or written; the rest goes on. */
  onTrouble: (error: TydfsError) => void;
}

/** A local file or directory, and the remote path that it becomes. */
export interface PutRoot {
  local: string;
  remote: string;
  /** Whether the remote directory gets mode and time of the local one, too. */
  withFacts: boolean;
}

/** The jobs that put `roots` with all that is below. */
export async function* findPuts(
  client: TydfsClient,
  roots: readonly PutRoot[],
  options: FindOptions & { put: PutOptions },
): AsyncGenerator<Job> {
  const { put, onTrouble } = options;
  for (const { local, remote, withFacts } of roots) {
    const jobs = new RemoteJobs(client, { local, remote, put });
    try {
      for await (const entry of walkTree(local, options)) {
        if (entry.kind !== "directory") yield jobs.copy(entry);
        else if (entry.path !== "" || withFacts) yield jobs.directory(entry);
      }
    } catch (error) {
      options.signal.throwIfAborted();
      onTrouble(error as TydfsError);
    }
  }
}

/** Something in the cluster, and the local path that it becomes, below the writer's root. */
export interface GetRoot {
  entry: Entry;
  path: string;
  withFacts: boolean;
}

/** The jobs that get `roots` with all that is below. */
export async function* findGets(
  client: TydfsClient,
  roots: AsyncIterable<GetRoot>,
  options: FindOptions & { writer: LocalWriter; get: GetOptions },
): AsyncGenerator<Job> {
  for await (const root of roots) {
    if (root.entry.kind === "directory") yield* findBelow(client, root, options);
    else {
      const entry = treeEntry(root.entry, root.path);
      const { writer, get, links } = options;
      const jobs = new LocalJobs(client, { writer, get, remoteOf: () => root.entry.path });
      if (entry.kind !== "link" || links === "keep") yield jobs.copy(entry);
    }
  }
}

async function* findBelow(
  client: TydfsClient,
  root: GetRoot,
  options: FindOptions & { writer: LocalWriter; get: GetOptions },
): AsyncGenerator<Job> {
  const { writer, get, filter, links, signal, onTrouble } = options;
  const remote = root.entry.path;
  const inner = (path: string) => root.path === "" ? path : path.slice(root.path.length + 1);
  const remoteOf = (path: string) => joinPath(remote, inner(path));
  const jobs = new LocalJobs(client, { writer, get, remoteOf });
  const open = new OpenDirectories(async (entry) => {
    if (options.dryRun || entry.path === root.path && !root.withFacts) return;
    await writer.setFacts(entry.path, factsOf(entry)).catch(onTrouble);
  });
  const top = treeEntry(root.entry, root.path);
  await open.enter(top);
  yield await open.holding(top.path, jobs.directory(top));
  for await (const found of listTree(client, remote, { filter, links: links === "keep", signal })) {
    const entry = { ...found, path: root.path === "" ? found.path : `${root.path}/${found.path}` };
    if (entry.kind === "directory") {
      await open.enter(entry);
      yield await open.holding(entry.path, jobs.directory(entry));
    } else {
      yield await open.holding(entry.path, jobs.copy(entry));
    }
  }
  await open.leaveAll();
}

/** Makes the local symbolic link that `entry` is: into `local`, where that is a directory. */
export async function getLink(
  client: TydfsClient,
  entry: Entry,
  { local, signal, random = systemRandom }: {
    local: string;
    signal: AbortSignal;
    random?: Random;
  },
): Promise<{ local: string; target: string }> {
  const place = await resolveTarget(local, baseName(entry.path));
  const target = await client.readLink(entry.path, { signal });
  const writer = new LocalWriter(dirname(place), random);
  return { local: await writer.makeLink(basename(place), target, entry.mtimeMs), target };
}

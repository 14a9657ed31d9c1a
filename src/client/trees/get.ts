/**
 * Finds the jobs of `get -r`: everything below the sources is copied, but for what is there
 * already. So an interrupted get goes on where it was when it is given again.
 */
import { basename, dirname } from "node:path";
import type { Random } from "../../base/random.ts";
import { systemRandom } from "../../base/random.ts";
import type { TydfsError } from "../../wire/errors.ts";
import { baseName, joinPath } from "../../wire/names.ts";
import type { Entry, GetOptions } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import type { TreeFilter } from "./filter.ts";
import type { Job } from "./job_runner.ts";
import type { LinkRule } from "./local_tree.ts";
import { lookHere } from "./local_tree.ts";
import { resolveTarget } from "../local_files.ts";
import { LocalWriter } from "./local_writer.ts";
import { OpenDirectories } from "./open_directories.ts";
import { listTree, treeEntry } from "./remote_tree.ts";
import { localChecksum, treeEntryOf } from "./sync_sides.ts";
import type { MadeLink } from "./jobs.ts";
import { factsOf, LocalJobs } from "./jobs.ts";
import type { TreeEntry } from "./merge.ts";
import { comparisonJob } from "./sync.ts";

export interface FindOptions {
  signal: AbortSignal;
  filter: TreeFilter;
  links: LinkRule;
  /** Nothing is changed, not even times of directories. */
  dryRun: boolean;
  /** Hears of what can't be read or written; the rest goes on. */
  onTrouble: (error: TydfsError) => void;
}

export interface FindGetsOptions extends FindOptions {
  writer: LocalWriter;
  get: GetOptions;
  /** Also what is there already with the same size and time. */
  anew: boolean;
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
  options: FindGetsOptions,
): AsyncGenerator<Job> {
  for await (const root of roots) {
    if (root.entry.kind === "directory") yield* findBelow(client, root, options);
    else {
      const entry = treeEntry(root.entry, root.path);
      const { writer, get, links } = options;
      const jobs = new LocalJobs(client, { writer, get, remoteOf: () => root.entry.path });
      if (entry.kind !== "link" || links === "keep") {
        yield missingJob(entry, jobs, { ...options, isNew: false });
      }
    }
  }
}

async function* findBelow(
  client: TydfsClient,
  root: GetRoot,
  options: FindGetsOptions,
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
  // The outermost directory that is not there yet: nothing below it can be, whatever comes.
  let missing: string | undefined;
  const directoryJob = (entry: TreeEntry): Job => {
    const job = jobs.directory(entry);
    if (missing !== undefined && isBelow(entry.path, missing)) return job;
    const there = lookHere(writer.place(entry.path));
    missing = there === undefined ? entry.path : undefined;
    // Its mode and time come when all in it is there.
    return there?.kind === "directory" ? { ...job, decide: () => Promise.resolve(undefined) } : job;
  };
  const top = treeEntry(root.entry, root.path);
  await open.enter(top);
  yield await open.holding(top.path, directoryJob(top));
  for await (const found of listTree(client, remote, { filter, links: links === "keep", signal })) {
    const entry = { ...found, path: root.path === "" ? found.path : `${root.path}/${found.path}` };
    if (entry.kind === "directory") {
      await open.enter(entry);
      yield await open.holding(entry.path, directoryJob(entry));
    } else {
      const isNew = missing !== undefined && isBelow(entry.path, missing);
      const job = missingJob(entry, jobs, { ...options, isNew });
      yield await open.holding(entry.path, job);
    }
  }
  await open.leaveAll();
}

function isBelow(path: string, directory: string): boolean {
  return directory === "" || path.startsWith(`${directory}/`);
}

/** A job that copies what is not there yet. */
function missingJob(
  entry: TreeEntry,
  jobs: LocalJobs,
  { writer, anew, isNew }: FindGetsOptions & { isNew: boolean },
): Job {
  const copy = jobs.copy(entry);
  if (anew || isNew) return copy;
  const localChecksumOf = (path: string) => localChecksum(writer.place(path));
  const decide = async (signal: AbortSignal) => {
    const there = lookHere(writer.place(entry.path));
    if (there?.kind !== entry.kind) return copy;
    const sides = { jobs, localChecksum: localChecksumOf };
    const pair = { source: entry, target: treeEntryOf(there) };
    const job = comparisonJob(sides, pair, { byChecksum: false });
    return job?.decide === undefined ? job : await job.decide(signal);
  };
  return { ...copy, decide };
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
): Promise<MadeLink> {
  const place = await resolveTarget(local, baseName(entry.path));
  const target = await client.readLink(entry.path, { signal });
  const writer = new LocalWriter(dirname(place), random);
  return { local: await writer.makeLink(basename(place), target, entry.mtimeMs), target };
}

/**
 * Finds the jobs of `put -r`: everything below the sources is copied, but for what is there
 * already. So an interrupted put goes on where it was when it is given again.
 */
import { hasCode, TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { PutOptions } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import { PutBundler } from "../packs/bundler.ts";
import type { Job } from "./job_runner.ts";
import { lookAt } from "./local_tree.ts";
import { localChecksum, localTree, remoteTree, treeEntryOf } from "./sync_sides.ts";
import type { FindOptions } from "./get.ts";
import { RemoteJobs } from "./jobs.ts";
import type { TreeEntry } from "./merge.ts";
import { mergeTrees, sameFacts } from "./merge.ts";
import { treeEntry } from "./remote_tree.ts";
import { comparisonJob } from "./sync.ts";

/** A local file or directory, and the remote path that it becomes. */
export interface PutRoot {
  local: string;
  remote: string;
  /** Whether the remote directory gets mode and time of the local one, too. */
  withFacts: boolean;
}

export interface FindPutsOptions extends FindOptions {
  put: PutOptions;
  /** Also what the cluster has already with the same size and time. */
  anew: boolean;
  /** Hears of each entry that needs nothing. */
  onSame: () => void;
}

/** The jobs that put `roots` with all that is below. */
export async function* findPuts(
  client: TydfsClient,
  roots: readonly PutRoot[],
  options: FindPutsOptions,
): AsyncGenerator<Job> {
  // One for all, so that also the small files of several roots may go together.
  const bundler = new PutBundler(client, options.put);
  for (const root of roots) {
    try {
      const top = await lookAt(root.local);
      const jobs = new RemoteJobs(client, { ...root, put: options.put, bundler });
      if (top === undefined) throw specialError(root.local);
      if (top.kind !== "directory") {
        yield jobs.copy(top);
        continue;
      }
      if (root.withFacts) yield* findRoot(client, treeEntryOf(top), { ...options, jobs, root });
      yield* findBelow(client, root, { ...options, jobs });
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof TydfsError)) throw error;
      options.onTrouble(error);
    }
  }
}

/** The directory that a tree becomes; looked at before anything can be put into it. */
async function* findRoot(
  client: TydfsClient,
  source: TreeEntry,
  options: FindPutsOptions & { jobs: RemoteJobs; root: PutRoot },
): AsyncGenerator<Job> {
  const { jobs, root, signal, onSame } = options;
  const there = await client.stat(root.remote, { signal }).catch((error) => {
    if (hasCode(error, "not-found")) return undefined;
    throw error;
  });
  if (there?.entry.kind !== "directory") return yield jobs.directory(source);
  if (root.remote === "/" || sameFacts(source, treeEntry(there.entry, ""))) onSame();
  else yield jobs.facts(source);
}

async function* findBelow(
  client: TydfsClient,
  { local, remote }: PutRoot,
  options: FindPutsOptions & { jobs: RemoteJobs },
): AsyncGenerator<Job> {
  const { jobs, anew, onSame } = options;
  const sides = { jobs, localChecksum: (path: string) => localChecksum(`${local}/${path}`) };
  const there = anew ? nothing() : remoteTree(client, remote, options);
  for await (const pair of mergeTrees(localTree(local, options), there)) {
    if (pair.kind === "target") continue;
    const { source } = pair;
    if (pair.kind !== "both") {
      yield source.kind === "directory" ? jobs.directory(source) : jobs.copy(source);
      continue;
    }
    const job = comparisonJob(sides, pair, { byChecksum: false });
    if (job === undefined) onSame();
    else yield job;
  }
}

/** One that is named is missed, unlike one that lies in a tree. */
function specialError(local: string): TydfsError {
  const message = `Cannot put ${quotePath(local)}: it is neither a file nor a directory; ` +
    "put a named pipe by itself";
  return new TydfsError("local", message);
}

async function* nothing(): AsyncGenerator<never> {}

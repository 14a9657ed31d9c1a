/**
 * Finds the jobs of `put -r`: everything below the sources is copied, but for what is there
 * already. So an interrupted put goes on where it was when it is given again.
 */
import { hasCode, TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import type { PutOptions } from "./api.ts";
import type { TydfsClient } from "./client.ts";
import type { Job } from "./job_runner.ts";
import { lookAt } from "./local_tree.ts";
import { treeEntry } from "./remote_tree.ts";
import { localChecksum, localTree, remoteTree } from "./sync_sides.ts";
import type { FindOptions } from "./tree_get.ts";
import { RemoteJobs } from "./tree_jobs.ts";
import type { TreeEntry } from "./tree_merge.ts";
import { mergeTrees, sameFacts } from "./tree_merge.ts";
import { comparisonJob } from "./tree_sync.ts";

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
  for (const root of roots) {
    try {
      const top = await lookAt(root.local);
      const jobs = new RemoteJobs(client, { ...root, put: options.put });
      if (top === undefined) throw specialError(root.local);
      if (top.kind !== "directory") {
        yield jobs.copy(top);
        continue;
      }
      if (root.withFacts) {
        const job = await topJob(client, { ...root, top, jobs }, options);
        if (job === undefined) options.onSame();
        else yield job;
      }
      yield* findBelow(client, root, { ...options, jobs });
    } catch (error) {
      options.signal.throwIfAborted();
      if (!(error instanceof TydfsError)) throw error;
      options.onTrouble(error);
    }
  }
}

/** What is to be done with the remote directory itself; nothing where it is as it should be. */
async function topJob(
  client: TydfsClient,
  { remote, top, jobs }: { remote: string; top: TreeEntry; jobs: RemoteJobs },
  { anew, signal }: FindPutsOptions,
): Promise<Job | undefined> {
  const found = anew ? undefined : await client.stat(remote, { signal }).catch((error) => {
    if (hasCode(error, "not-found")) return undefined;
    throw error;
  });
  if (found?.entry.kind !== "directory" || remote === "/") return jobs.directory(top);
  return sameFacts(top, treeEntry(found.entry, top.path)) ? undefined : jobs.facts(top);
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

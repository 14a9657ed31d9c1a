/** The two sides of a sync: a local tree and one of the cluster, in either direction. */
import type { Random } from "../../base/random.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import { joinPath, quotePath } from "../../wire/names.ts";
import { CHUNK_BYTES_MAX, fileChecksum } from "../../wire/sums.ts";
import type { TydfsClient } from "../client.ts";
import { PutBundler } from "../packs/bundler.ts";
import type { TreeFilter } from "./filter.ts";
import { TAKE_ALL } from "./filter.ts";
import { LocalSource } from "../local_files.ts";
import type { LinkRule, LocalEntry, WalkOptions } from "./local_tree.ts";
import { walkTree } from "./local_tree.ts";
import { LocalWriter } from "./local_writer.ts";
import { OpenDirectories } from "./open_directories.ts";
import { listTree, treeEntry } from "./remote_tree.ts";
import { FileSource } from "../source.ts";
import { factsOf, LocalJobs, RemoteJobs } from "./jobs.ts";
import type { TreeEntry } from "./merge.ts";
import { sameFacts } from "./merge.ts";
import type { SyncSides } from "./sync.ts";

export interface SidesOptions {
  local: string;
  remote: string;
  filter: TreeFilter;
  links: LinkRule;
  /** Nothing is changed, not even times of directories. */
  dryRun: boolean;
  signal: AbortSignal;
  random: Random;
  onTrouble: (error: TydfsError) => void;
}

/** The cluster's tree becomes like the local one. */
export function sidesUp(client: TydfsClient, options: SidesOptions): SyncSides {
  const { local, remote, links } = options;
  return {
    sourceName: local,
    targetName: remote,
    begin: async () => {
      const { signal } = options;
      const root = treeEntryOf(await rootOf(local, options));
      if (options.dryRun) return;
      const facts = factsOf(root);
      const { made } = await client.makeDirectory(remote, { ...facts, parents: true, signal });
      if (made || remote === "/") return;
      const { entry } = await client.stat(remote, { signal });
      if (!sameFacts(root, treeEntry(entry, ""))) await client.set(remote, facts, { signal });
    },
    source: () => localTree(local, options),
    target: () => remoteTree(client, remote, options),
    jobs: new RemoteJobs(client, { local, remote, bundler: new PutBundler(client) }),
    localChecksum: (path) => localChecksum(`${local}/${path}`),
    removesWhole: options.filter === TAKE_ALL && links !== "skip",
  };
}

/** The local tree becomes like the cluster's. */
export function sidesDown(client: TydfsClient, options: SidesOptions): SyncSides {
  const { local, remote, filter, links, dryRun, signal, random, onTrouble } = options;
  const writer = new LocalWriter(local, random);
  const open = new OpenDirectories(async (entry, touched) => {
    if ((touched || entry.path === "") && !dryRun) {
      await writer.setFacts(entry.path, factsOf(entry)).catch(onTrouble);
    }
  });
  return {
    sourceName: remote,
    targetName: local,
    begin: async () => {
      const { entry } = await client.stat(remote, { signal });
      if (entry.kind !== "directory") throw noDirectory(remote);
      if (dryRun) return;
      const root = treeEntry(entry, "");
      writer.makeDirectory("");
      // Its mode and time come at the end, as those of all others: its mode may forbid what comes.
      await open.enter(root);
    },
    source: () => listTree(client, remote, { filter, links: links !== "skip", signal }),
    target: () => localTarget(options),
    jobs: new LocalJobs(client, { writer, remoteOf: (path) => joinPath(remote, path) }),
    localChecksum: (path) => localChecksum(writer.place(path)),
    open,
    removesWhole: false,
  };
}

/** What is below a local directory. Throws `not-directory` on a file. */
export async function* localTree(root: string, options: WalkOptions): AsyncGenerator<TreeEntry> {
  for await (const entry of walkTree(root, options)) {
    if (entry.path !== "") yield treeEntryOf(entry);
    else if (entry.kind !== "directory") throw noDirectory(root);
  }
}

async function rootOf(root: string, options: WalkOptions): Promise<LocalEntry> {
  for await (const entry of walkTree(root, options)) {
    if (entry.kind === "directory") return entry;
    break;
  }
  throw noDirectory(root);
}

function noDirectory(path: string): TydfsError {
  const message = `Cannot sync ${quotePath(path)}: it is a file; use put or get`;
  return new TydfsError("not-directory", message);
}

/** What is below a directory of the cluster; nothing when there is none. */
export async function* remoteTree(
  client: TydfsClient,
  remote: string,
  { filter, links, signal }: Pick<SidesOptions, "filter" | "links" | "signal">,
): AsyncGenerator<TreeEntry> {
  try {
    yield* listTree(client, remote, { filter, links: links !== "skip", signal });
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
}

/** In the target links are always what they are: nothing is looked at beyond them. */
async function* localTarget(options: SidesOptions): AsyncGenerator<TreeEntry> {
  const links = options.links === "skip" ? "skip" : "keep";
  const onTrouble = (error: TydfsError) => {
    // Sockets and the like are neither written nor removed.
    if (error.data["skipped"] !== true) options.onTrouble(error);
  };
  try {
    yield* localTree(options.local, { ...options, links, onTrouble });
  } catch (error) {
    const cause = (error as { cause?: { code?: unknown } }).cause;
    if (cause?.code !== "ENOENT") throw error;
  }
}

/** A local entry as one of a tree. */
export function treeEntryOf(entry: LocalEntry): TreeEntry {
  const { path, kind, sizeBytes, mtimeMs, mode, target } = entry;
  return { path, kind, sizeBytes, mtimeMs, mode, ...(target === undefined ? {} : { target }) };
}

/** The checksum that a local file would have in the cluster. */
export async function localChecksum(local: string): Promise<string> {
  const file = await LocalSource.open(local);
  try {
    const sums: Uint8Array[] = [];
    const source = new FileSource(file);
    const { signal } = new AbortController();
    for await (const chunk of source.chunks(CHUNK_BYTES_MAX, signal)) sums.push(await chunk.sums());
    await source.check();
    return fileChecksum(sums);
  } finally {
    await file.close();
  }
}

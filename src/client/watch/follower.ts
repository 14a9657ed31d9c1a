/**
 * Follows one path at a time into the cluster: compares the disk with what was sent, and sends,
 * renames, removes or leaves alone. It looks at the disk itself, right before it acts; whoever
 * calls it only says where.
 */
import { must } from "../../base/assert.ts";
import { MIB } from "../../base/bytes.ts";
import { hasCode } from "../../wire/errors.ts";
import { joinPath, parsePath } from "../../wire/names.ts";
import { fileChecksum } from "../../wire/sums.ts";
import type { Entry, ProgressListener, PutOptions } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import { LocalSource } from "../local_files.ts";
import type { LocalEntry } from "../local_tree.ts";
import { FileSource } from "../source.ts";
import type { WatchedDisk } from "./disk.ts";
import type { WatchListener } from "./event.ts";
import type { KnownEntry } from "./plan.ts";
import { compareEntry, directoriesAbove, isSameFile, knownOf, sameLook } from "./plan.ts";
import type { Sighting } from "./settling.ts";
import type { WatchState } from "./state.ts";

const CHECKSUM_CHUNK_BYTES = 64 * MIB;

/** What of the client a watch needs. */
export type WatchClient = Pick<
  TydfsClient,
  "put" | "putLink" | "rename" | "remove" | "makeDirectory" | "set" | "stat" | "list"
>;

export interface FollowerOptions {
  /** The remote directory. */
  remote: string;
  /** Whether what is removed here is removed there. */
  deletes: boolean;
  trustInodes: boolean;
  put: Pick<PutOptions, "replicas" | "minCopies">;
  onProgress?: ProgressListener;
}

export interface FollowerParts {
  client: WatchClient;
  disk: WatchedDisk;
  state: WatchState;
  onEvent: WatchListener;
  /** Whether the root is still the directory that it was; without it nothing is removed. */
  rootIsThere: () => Promise<boolean>;
}

/**
 * `done`; `unsettled`: the path was or is changing, look again; `root-lost`: there is nothing to
 * look at. Further paths may need a look, too.
 */
export interface FollowOutcome {
  kind: "done" | "unsettled" | "root-lost";
  again: Sighting[];
}

const DONE: FollowOutcome = { kind: "done", again: [] };

export class Follower {
  readonly #parts: FollowerParts;
  readonly #options: FollowerOptions;

  constructor(parts: FollowerParts, options: FollowerOptions) {
    this.#parts = parts;
    this.#options = options;
  }

  /**
   * Brings one path in step, if it is as it was seen. `decided` is called when it is known whether
   * it was moved here. Throws what the client throws.
   */
  async follow(
    { path, seen }: Sighting,
    { signal, decided }: { signal: AbortSignal; decided: () => void },
  ): Promise<FollowOutcome> {
    const { disk, state } = this.#parts;
    const look = await disk.look(path);
    if (look.kind === "ignored") {
      state.forget(path);
      return DONE;
    }
    const now = look.kind === "there" ? look.entry : undefined;
    if (!sameLook(seen, now)) return unsettled(path, now);
    if (now === undefined) return await this.#vanish(path, signal);
    return await this.#appear(now, signal, decided);
  }

  async #appear(
    entry: LocalEntry,
    signal: AbortSignal,
    decided: () => void,
  ): Promise<FollowOutcome> {
    const { state } = this.#parts;
    const known = state.find(entry.path);
    switch (compareEntry(entry, known, this.#options)) {
      case "none":
        return DONE;
      case "identity":
        state.save(knownOf(entry, must(known, entry.path)));
        return DONE;
      case "facts":
        if (await this.#update(entry, must(known, entry.path), signal)) return DONE;
        break;
      case "maybe":
        if (await this.#hasSameBytes(entry, must(known, entry.path))) {
          if (await this.#update(entry, must(known, entry.path), signal)) return DONE;
        }
        break;
      case "kind":
        if (!await this.#clearWay(must(known, entry.path), signal)) return DONE;
        break;
      case "content":
      case "new":
    }
    if (await this.#moveHere(entry, signal)) return DONE;
    decided();
    if (entry.kind === "directory") return await this.#make(entry, signal);
    return await this.#send(entry, signal);
  }

  async #send(entry: LocalEntry, signal: AbortSignal): Promise<FollowOutcome> {
    const { client, disk, state, onEvent } = this.#parts;
    const { put, onProgress } = this.#options;
    const { path, local, kind, mtimeMs, target } = entry;
    const remote = this.#remote(path);
    const options = { ...put, signal, ...(onProgress && { onProgress }) };
    const result = kind === "link"
      ? await client.putLink(target ?? "", remote, { ...options, mtimeMs })
      : await client.put(local, remote, options);
    state.save(knownOf(entry, result));
    onEvent({ kind: "sent", ...result, local });
    // What was sent is what was seen only if it is the same still.
    const after = await disk.look(path);
    const now = after.kind === "there" ? after.entry : undefined;
    return sameLook(entry, now) ? DONE : unsettled(path, now);
  }

  async #make(entry: LocalEntry, signal: AbortSignal): Promise<FollowOutcome> {
    const { client, disk, state, onEvent } = this.#parts;
    // Where only includes decide, a directory comes with what is sent from it.
    if (disk.rules.keepsEmpty) {
      const { mode } = entry;
      const remote = this.#remote(entry.path);
      const { made } = await client.makeDirectory(remote, { parents: true, mode, signal });
      if (made) onEvent({ kind: "made", path: remote });
      // A file that came first has brought it, with the mode that directories have.
      else if ((await this.#find(remote, signal))?.mode !== mode) {
        await client.set(remote, { mode }, { signal });
      }
    }
    state.save(knownOf(entry, { version: 0, checksum: "" }));
    return DONE;
  }

  /** Tells the cluster another mode and time; false when its file is not what was sent. */
  async #update(entry: LocalEntry, known: KnownEntry, signal: AbortSignal): Promise<boolean> {
    const { client, state, onEvent } = this.#parts;
    const { mode, kind } = entry;
    const remote = this.#remote(entry.path);
    const there = await this.#find(remote, signal);
    if (there === undefined || !isSent(there, known)) return false;
    const facts = kind === "directory" ? { mode } : { mode, mtimeMs: entry.mtimeMs };
    if (there.mode !== mode || (kind !== "directory" && there.mtimeMs !== entry.mtimeMs)) {
      await client.set(remote, facts, { signal });
      onEvent({ kind: "updated", path: remote });
    }
    state.save(knownOf(entry, known));
    return true;
  }

  async #hasSameBytes(entry: LocalEntry, known: KnownEntry): Promise<boolean> {
    const file = await LocalSource.open(entry.local);
    try {
      const sums: Uint8Array[] = [];
      const never = new AbortController().signal;
      for await (const chunk of new FileSource(file).chunks(CHECKSUM_CHUNK_BYTES, never)) {
        sums.push(await chunk.sums());
      }
      return fileChecksum(sums) === known.checksum;
    } finally {
      await file.close();
    }
  }

  /** Removes what was sent under a name that something of another kind has now. */
  async #clearWay(known: KnownEntry, signal: AbortSignal): Promise<boolean> {
    const { client, state } = this.#parts;
    if (known.kind === "directory") {
      // A directory goes when all in it has gone; without --delete nothing does, and the put says
      // what is in its way.
      if (!this.#options.deletes) return true;
      if (state.hasBelow(known.path)) return false;
    }
    const remote = this.#remote(known.path);
    const there = await this.#find(remote, signal);
    if (there !== undefined && isSent(there, known)) await client.remove(remote, { signal });
    state.forget(known.path);
    return true;
  }

  /** Moves in the cluster what was moved here; false when nothing was, or it has to be sent. */
  async #moveHere(entry: LocalEntry, signal: AbortSignal): Promise<boolean> {
    for (const from of this.#parts.state.findByInode(entry.inode)) {
      if (from.path === entry.path || !isSameFile(entry, from)) continue;
      if (await this.#isThere(from)) continue;
      if (entry.kind === "directory" && !await this.#holdsSame(from, entry)) continue;
      if (await this.#rename(from, entry, signal)) return true;
    }
    return false;
  }

  async #rename(from: KnownEntry, entry: LocalEntry, signal: AbortSignal): Promise<boolean> {
    const { client, state } = this.#parts;
    const source = this.#remote(from.path);
    const target = this.#remote(entry.path);
    const atTarget = await this.#find(target, signal);
    const atSource = await this.#find(source, signal);
    const isDirectory = entry.kind === "directory";
    if (atSource !== undefined && isSent(atSource, from)) {
      // A directory there would take it in rather than be replaced.
      if (atTarget !== undefined && (isDirectory || atTarget.kind === "directory")) return false;
      await client.rename(source, target, { replace: true, signal });
    } else if (isDirectory || atTarget === undefined || !isSent(atTarget, from)) {
      return false;
    }
    // Else it was moved already, and only the answer was lost.
    state.move(from.path, entry.path);
    state.save(knownOf(entry, from));
    const kind = isDirectory ? "directory" : "file";
    this.#parts.onEvent({ kind: "renamed", path: target, from: source, entry: kind });
    return true;
  }

  /** Whether an entry still has the name under which it was sent. */
  async #isThere(known: KnownEntry): Promise<boolean> {
    const look = await this.#parts.disk.look(known.path);
    return look.kind === "ignored" || (look.kind === "there" && isSameFile(look.entry, known));
  }

  /**
   * Whether a directory has in it all that was directly in a known one. The number of a removed
   * directory's inode is soon given to a new one, so that it alone tells nothing.
   */
  async #holdsSame(from: KnownEntry, entry: LocalEntry): Promise<boolean> {
    let found = false;
    for (const child of this.#parts.state.below(from.path)) {
      const name = child.path.slice(from.path.length + 1);
      if (name.includes("/")) continue;
      const look = await this.#parts.disk.look(`${entry.path}/${name}`);
      if (look.kind !== "there" || !isSameFile(look.entry, child)) return false;
      found = true;
    }
    return found;
  }

  async #vanish(path: string, signal: AbortSignal): Promise<FollowOutcome> {
    const { state, onEvent } = this.#parts;
    const known = state.find(path);
    if (known === undefined || !this.#options.deletes) return DONE;
    const isDirectory = known.kind === "directory";
    // Its turn comes when the last that is known in it is gone.
    if (isDirectory && state.hasBelow(path)) return DONE;
    if (!await this.#parts.rootIsThere()) return { kind: "root-lost", again: [] };
    if (await this.#isUnmounted(known)) return DONE;
    const remote = this.#remote(path);
    const there = await this.#find(remote, signal);
    if (there !== undefined) {
      const kept = await this.#remove(there, known, signal);
      if (kept !== undefined) onEvent({ kind: "kept", path: remote, reason: kept });
      else onEvent({ kind: "removed", path: remote, entry: isDirectory ? "directory" : "file" });
    }
    state.forget(path);
    return { kind: "done", again: await this.#emptied(path) };
  }

  /** Removes a remote entry that is still what was sent; returns why it is kept. */
  async #remove(
    there: Entry,
    known: KnownEntry,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (!isSent(there, known)) return "it was replaced by someone else";
    try {
      await this.#parts.client.remove(there.path, { signal });
      return undefined;
    } catch (error) {
      if (hasCode(error, "not-found")) return undefined;
      if (hasCode(error, "not-empty")) return "it has entries that this watch has not sent";
      throw error;
    }
  }

  /** The directory above a path that was removed, when it is to go next. */
  async #emptied(path: string): Promise<Sighting[]> {
    const { disk, state } = this.#parts;
    const above = directoriesAbove(path).at(-1);
    if (above === undefined || state.find(above) === undefined) return [];
    if (state.hasBelow(above)) return [];
    const look = await disk.look(above);
    if (look.kind === "there" && look.entry.kind === "directory") return [];
    return [{ path: above, seen: look.kind === "there" ? look.entry : undefined }];
  }

  /** Whether a path is missing because the disk that it lay on, below the root, is. */
  async #isUnmounted(known: KnownEntry): Promise<boolean> {
    const { disk } = this.#parts;
    const root = await disk.identity();
    if (root === undefined || known.device === root.device) return false;
    return await disk.deviceAbove(known.path) === root.device;
  }

  /** What is at a remote path. */
  async #find(remote: string, signal: AbortSignal): Promise<Entry | undefined> {
    try {
      return (await this.#parts.client.stat(remote, { signal })).entry;
    } catch (error) {
      if (hasCode(error, "not-found")) return undefined;
      throw error;
    }
  }

  #remote(path: string): string {
    return parsePath(joinPath(this.#options.remote, path));
  }
}

/** Whether a remote entry is what was sent. */
function isSent(there: Entry, known: KnownEntry): boolean {
  if (known.kind === "directory") return there.kind === "directory";
  return there.kind === "file" && there.version === known.version;
}

function unsettled(path: string, seen: LocalEntry | undefined): FollowOutcome {
  return { kind: "unsettled", again: [{ path, seen }] };
}

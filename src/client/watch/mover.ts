/**
 * Follows renames: what has the inode, size and time of something that was sent, and is not there
 * any more under its old name, is moved in the cluster. No bytes are sent; where anything is
 * doubtful, it is no rename.
 */
import { Limiter } from "../../base/limit.ts";
import type { LocalEntry } from "../trees/local_tree.ts";
import type { WatchedDisk } from "./disk.ts";
import type { WatchListener } from "./event.ts";
import type { KnownEntry } from "./plan.ts";
import { isSameFile } from "./plan.ts";
import type { RemoteSide } from "./remote_side.ts";
import { isSent } from "./remote_side.ts";
import type { Sighting } from "./settling.ts";
import type { WatchState } from "./state.ts";

/** Paths in a moved directory that are looked at again; the next scan finds the others. */
const REVIEW_MAX = 10_000;

export interface MoverParts {
  remote: RemoteSide;
  disk: WatchedDisk;
  state: WatchState;
  onEvent: WatchListener;
}

export class Mover {
  readonly #parts: MoverParts;
  /** One decision at a time: two that look at each other's paths would both be wrong. */
  readonly #turns = new Limiter(1);
  /** Paths that are being replaced in the cluster: they are no sources any more. */
  readonly #replacing = new Set<string>();

  constructor(parts: MoverParts) {
    this.#parts = parts;
  }

  /**
   * Moves in the cluster what was moved to `entry`; returns what it was. Else calls `replace`, and
   * while that runs the path is no source for others.
   */
  async moveOr<T>(
    entry: LocalEntry,
    signal: AbortSignal,
    replace: () => Promise<T>,
  ): Promise<{ from: KnownEntry } | { replaced: T }> {
    const { state } = this.#parts;
    const { path, inode } = entry;
    const decide = async () => {
      const from = await this.#moveHere(entry, signal);
      if (from === undefined) this.#replacing.add(path);
      return from;
    };
    // What nothing is known of is nobody's source, and has none.
    const isPlain = state.find(path) === undefined && state.findByInode(inode).length === 0;
    const from = isPlain ? undefined : await this.#turns.run(decide);
    if (from !== undefined) return { from };
    try {
      return { replaced: await replace() };
    } finally {
      this.#replacing.delete(path);
    }
  }

  /** What needs a look after a move: what has the old name now, and what has not come along. */
  async review(from: KnownEntry, to: LocalEntry): Promise<Sighting[]> {
    const { disk, state } = this.#parts;
    const again: Sighting[] = [];
    const atOldName = await disk.look(from.path);
    if (atOldName.kind === "there") again.push({ path: from.path, seen: atOldName.entry });
    if (from.mode !== to.mode) again.push({ path: to.path, seen: to });
    if (to.kind !== "directory") return again;
    for (const known of state.below(to.path)) {
      const look = await disk.look(known.path);
      const seen = look.kind === "there" ? look.entry : undefined;
      if (seen !== undefined && isSameFile(seen, known)) continue;
      again.push({ path: known.path, seen });
      if (again.length >= REVIEW_MAX) break;
    }
    return again;
  }

  async #moveHere(entry: LocalEntry, signal: AbortSignal): Promise<KnownEntry | undefined> {
    for (const from of this.#parts.state.findByInode(entry.inode)) {
      if (from.path === entry.path || !isSameFile(entry, from)) continue;
      if (this.#isReplaced(from.path) || await this.#isThere(from)) continue;
      if (entry.kind === "directory" && !await this.#holdsSame(from, entry)) continue;
      if (await this.#move(from, entry, signal)) return from;
    }
    return undefined;
  }

  async #move(from: KnownEntry, entry: LocalEntry, signal: AbortSignal): Promise<boolean> {
    const { remote, state, onEvent } = this.#parts;
    const source = remote.pathOf(from.path);
    const target = remote.pathOf(entry.path);
    const atTarget = await remote.find(target, signal);
    const atSource = await remote.find(source, signal);
    const isDirectory = entry.kind === "directory";
    if (isSent(atSource, from)) {
      // A directory there would take it in rather than be replaced.
      if (atTarget !== undefined && (isDirectory || atTarget.kind === "directory")) return false;
      await remote.client.rename(source, target, { replace: true, signal });
      // Someone else may have put another file there between the look and the move.
      if (!isSent(await remote.find(target, signal), from)) {
        state.forget(from.path);
        return false;
      }
    } else if (isDirectory || !isSent(atTarget, from)) {
      return false;
    }
    // Else it was moved already, and only the answer was lost.
    state.move(from.path, entry.path);
    state.save({ ...from, path: entry.path });
    const kind = isDirectory ? "directory" : "file";
    onEvent({ kind: "renamed", path: target, from: source, entry: kind });
    return true;
  }

  #isReplaced(path: string): boolean {
    for (const other of this.#replacing) {
      if (other === path || other.startsWith(`${path}/`)) return true;
    }
    return false;
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
}

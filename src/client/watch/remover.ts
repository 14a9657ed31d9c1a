/**
 * Follows removals: only of what was sent, is still there as it was sent, and is surely gone here.
 * A directory goes last, when nothing is known in it.
 */
import { hasCode } from "../../wire/errors.ts";
import type { Entry } from "../api.ts";
import type { WatchedDisk } from "./disk.ts";
import type { WatchListener } from "./event.ts";
import type { KnownEntry } from "./plan.ts";
import { directoriesAbove } from "./plan.ts";
import type { RemoteSide } from "./remote_side.ts";
import { isSent } from "./remote_side.ts";
import type { Sighting } from "./settling.ts";
import type { WatchState } from "./state.ts";

export interface RemoverParts {
  remote: RemoteSide;
  disk: WatchedDisk;
  state: WatchState;
  onEvent: WatchListener;
  /** Whether the root is still the directory that it was; without it nothing is removed. */
  rootIsThere: () => Promise<boolean>;
}

export class Remover {
  readonly #parts: RemoverParts;

  constructor(parts: RemoverParts) {
    this.#parts = parts;
  }

  /** Removes what was sent of a path that is gone; false when the root is gone, too. */
  async follow(path: string, signal: AbortSignal): Promise<boolean> {
    const { state, remote, onEvent, rootIsThere } = this.#parts;
    const known = state.find(path);
    if (known === undefined) return true;
    const isDirectory = known.kind === "directory";
    // Its turn comes when the last that is known in it is gone.
    if (isDirectory && state.hasBelow(path)) return true;
    if (!await rootIsThere()) return false;
    if (await this.#isUnmounted(known)) return true;
    const there = await remote.find(remote.pathOf(path), signal);
    if (there !== undefined) {
      const reason = await this.#remove(there, known, signal);
      if (reason !== undefined) onEvent({ kind: "kept", path: there.path, reason });
      else {
        const entry = isDirectory ? "directory" : "file";
        onEvent({ kind: "removed", path: there.path, entry });
      }
    }
    state.forget(path);
    return true;
  }

  /**
   * Removes what was sent under a name that something of another kind has now; false when that is a
   * directory in which something is still known.
   */
  async clearWay(known: KnownEntry, signal: AbortSignal): Promise<boolean> {
    const { remote, state } = this.#parts;
    if (known.kind === "directory" && state.hasBelow(known.path)) return false;
    const there = await remote.find(remote.pathOf(known.path), signal);
    if (isSent(there, known)) await remote.client.remove(there.path, { signal });
    state.forget(known.path);
    return true;
  }

  /** The directory above a path that has gone, when it is to go next. */
  async emptied(path: string): Promise<Sighting[]> {
    const { disk, state } = this.#parts;
    const above = directoriesAbove(path).at(-1);
    if (above === undefined || state.find(above) === undefined) return [];
    if (state.hasBelow(above)) return [];
    const look = await disk.look(above);
    if (look.kind === "there" && look.entry.kind === "directory") return [];
    return [{ path: above, seen: look.kind === "there" ? look.entry : undefined }];
  }

  /** Removes a remote entry; returns why it is kept. */
  async #remove(
    there: Entry,
    known: KnownEntry,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    if (!isSent(there, known)) return "it was replaced by someone else";
    try {
      await this.#parts.remote.client.remove(there.path, { signal });
      return undefined;
    } catch (error) {
      if (hasCode(error, "not-found")) return undefined;
      if (hasCode(error, "not-empty")) return "it has entries that this watch has not sent";
      throw error;
    }
  }

  /** Whether a path is missing because the disk that it lay on, below the root, is. */
  async #isUnmounted(known: KnownEntry): Promise<boolean> {
    const { disk } = this.#parts;
    const root = await disk.identity();
    if (root === undefined || known.device === root.device) return false;
    return await disk.deviceAbove(known.path) === root.device;
  }
}

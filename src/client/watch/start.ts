/**
 * A watch from a directory's name to its end: what it stands on is opened, and closed whatever
 * happens.
 */
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { parsePath } from "../../wire/names.ts";
import type { TreeFilter } from "../trees/filter.ts";
import type { LinkRule } from "../trees/local_tree.ts";
import { WatchedDisk } from "./disk.ts";
import type { WatchListener } from "./event.ts";
import type { WatchClient } from "./remote_side.ts";
import { listenForHints } from "./hints.ts";
import { WatchState } from "./state.ts";
import type { WatcherOptions, WatchResult } from "./watcher.ts";
import { Watcher } from "./watcher.ts";

export interface WatchOptions extends WatcherOptions {
  /** The local directory. */
  directory: string;
  filter: TreeFilter;
  links: LinkRule;
  /** The state database, given the watched directory's real path and the remote path. */
  statePath: (root: string, remote: string) => string;
  /** End when what is there is sent. */
  once: boolean;
  onEvent: WatchListener;
  signal: AbortSignal;
}

/**
 * Watches a directory until the signal aborts, and then throws its reason; with `once` it returns
 * when what is there is sent.
 */
export async function watchDirectory(
  client: WatchClient,
  options: WatchOptions,
): Promise<WatchResult> {
  const { directory, filter, links, once, onEvent, signal } = options;
  const remote = parsePath(options.remote);
  const disk = await WatchedDisk.open(directory, { filter, links });
  const state = WatchState.open(options.statePath(disk.root, remote), {
    onLost: (reason, movedTo) => onEvent({ kind: "state-lost", reason, movedTo }),
  });
  try {
    const parts = { client, disk, state, onEvent, listenForHints };
    const effects = { clock: systemClock, random: systemRandom };
    const watcher = await Watcher.make({ ...parts, ...effects }, { ...options, remote }, signal);
    if (once) return await watcher.runOnce(signal);
    await watcher.run(signal);
    return { files: state.countFiles(), failures: [], unsettled: 0 };
  } finally {
    state.close();
  }
}

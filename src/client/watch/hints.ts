/**
 * Hints of what has changed below a directory: the one door to the system's notifications. They say
 * where to look, never what is there; any may be missing, doubled, or wrong.
 *
 * Bun's own recursive watch was chosen over chokidar 5 after trying both on 10,000 files in 1,000
 * directories: ready in 11 ms against 388, 39 MB against 110 (67 against 918 after 40,000 more
 * files), and no lost file in directories that were made, moved in, or removed and made again,
 * where chokidar lost two. It tells of an overflowing queue by a hint without a name, of too many
 * directories by an error, and it follows no symbolic links.
 */
import { watch } from "node:fs";

export interface HintListener {
  /** A path below the directory; undefined: anything may have changed. */
  onHint: (path: string | undefined) => void;
  /** Hints will be missing from now on. */
  onTrouble: (reason: string) => void;
}

/** Hints that are being listened to. */
export interface Hints {
  stop(): void;
}

/** Listens for hints of all that is below `root`; never throws. */
export function listenForHints(root: string, { onHint, onTrouble }: HintListener): Hints {
  try {
    const watcher = watch(root, { recursive: true }, (_kind, name) => onHint(name ?? undefined));
    watcher.on("error", (error) => onTrouble(reasonOf(error)));
    return { stop: () => watcher.close() };
  } catch (error) {
    onTrouble(reasonOf(error));
    return { stop: () => {} };
  }
}

function reasonOf(error: unknown): string {
  const code = (error as { code?: unknown } | undefined)?.code;
  if (code === "ENOSPC") {
    return "the system watches no more directories; raise fs.inotify.max_user_watches";
  }
  if (code === "EMFILE") return "too many watches are open; raise fs.inotify.max_user_instances";
  return error instanceof Error ? error.message : String(error);
}

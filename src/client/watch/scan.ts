/**
 * A scan: the disk, what was sent, and (at the start) what is in the cluster, read side by side in
 * one order. It finds the paths that are worth a look and hands them on; it decides nothing else,
 * and holds a page of each.
 */
import type { TydfsError } from "../../wire/errors.ts";
import { isLinkMode, PERMISSION_BITS } from "../../wire/file.ts";
import { ROOT } from "../../wire/names.ts";
import type { Entry } from "../api.ts";
import type { LocalEntry } from "../trees/local_tree.ts";
import { compareBytes, keyOf } from "../trees/merge.ts";
import type { WatchedDisk } from "./disk.ts";
import type { KnownEntry } from "./plan.ts";
import { compareEntry, knownOf } from "./plan.ts";
import type { Sighting } from "./settling.ts";
import type { WatchState } from "./state.ts";

/** Rows that are saved in one transaction. */
const SAVE_ROWS = 500;
/** Missing paths that one scan hands on; the next one finds the others. */
export const MISSING_MAX = 100_000;

export interface ScanParts {
  disk: WatchedDisk;
  state: WatchState;
  /** Takes a path that is worth a look; resolves when there is room for the next. */
  offer: (sighting: Sighting) => Promise<void>;
}

export interface ScanOptions {
  /** Below which directory; empty: everything. */
  directory: string;
  /** What is in the cluster below the remote directory, in order; with its path. */
  remote?: { root: string; entries: AsyncIterable<Entry> };
  /** Whether what is missing is worth a look. */
  deletes: boolean;
  trustInodes: boolean;
  signal: AbortSignal;
  /** Hears of what can't be read. */
  onTrouble: (error: TydfsError) => void;
}

export interface ScanResult {
  /** Entries on the disk. */
  entries: number;
  /** Known paths that are not there. */
  missing: number;
  /** Those of them that are worth a look, at most `MISSING_MAX`; they were not handed on yet. */
  missingPaths: string[];
}

/** Scans; throws `local` when the directory can't be read, and what the listing throws. */
export async function scan(parts: ScanParts, options: ScanOptions): Promise<ScanResult> {
  const { disk, state } = parts;
  const { directory, remote, signal, onTrouble } = options;
  const onDisk = new Cursor(disk.walk(directory, { signal, onTrouble }));
  const known = new Cursor(state.below(directory));
  const there = new Cursor(remote?.entries ?? []);
  const prefix = remote === undefined || remote.root === ROOT ? ROOT : `${remote.root}/`;
  const result: ScanResult = { entries: 0, missing: 0, missingPaths: [] };
  const judge = new Judge(parts, options, result);
  try {
    for (;;) {
      const heads = [await onDisk.head(), await known.head(), await there.head()] as const;
      const keys = [
        heads[0] && keyOf(heads[0]),
        heads[1] && keyOf(heads[1]),
        heads[2] && keyOf(heads[2]).slice(prefix.length),
      ] as const;
      const first = leastOf(keys);
      if (first === undefined) break;
      const [entry, row, found] = [
        keys[0] === first ? onDisk.take() : undefined,
        keys[1] === first ? known.take() : undefined,
        keys[2] === first ? there.take() : undefined,
      ];
      await judge.judge(entry, row, found);
    }
  } finally {
    await onDisk.close();
    await there.close();
  }
  judge.save();
  return result;
}

/** Judges what stands beside each other; gathers rows to save. */
class Judge {
  readonly #parts: ScanParts;
  readonly #options: ScanOptions;
  readonly #result: ScanResult;
  #rows: KnownEntry[] = [];

  constructor(parts: ScanParts, options: ScanOptions, result: ScanResult) {
    this.#parts = parts;
    this.#options = options;
    this.#result = result;
  }

  async judge(
    entry: LocalEntry | undefined,
    known: KnownEntry | undefined,
    found: Entry | undefined,
  ): Promise<void> {
    if (entry === undefined) {
      if (known !== undefined) this.#miss(known);
      return;
    }
    this.#result.entries++;
    const row = this.#options.remote === undefined ? known : this.#reconcile(entry, known, found);
    const difference = compareEntry(entry, row, this.#options);
    if (difference === "none") return;
    await this.#parts.offer({ path: entry.path, seen: entry });
  }

  save(): void {
    this.#parts.state.save(...this.#rows);
    this.#rows = [];
  }

  /** What counts as sent, now that it is known what is in the cluster. */
  #reconcile(
    entry: LocalEntry,
    known: KnownEntry | undefined,
    found: Entry | undefined,
  ): KnownEntry | undefined {
    const isThere = found !== undefined && (entry.kind === "directory" ||
      (known !== undefined && known.version === found.version));
    if (isThere && known !== undefined) return known;
    const sameFacts = found !== undefined && (entry.kind === "directory" ||
      (found.size === entry.sizeBytes && found.mtimeMs === entry.mtimeMs &&
        isLinkMode(found.mode) === (entry.kind === "link")));
    if (sameFacts) {
      const row = { ...knownOf(entry, found), mode: found.mode & PERMISSION_BITS };
      this.#rows.push(row);
      if (this.#rows.length >= SAVE_ROWS) this.save();
      return row;
    }
    // What was sent is gone there, or was replaced: it is sent again.
    if (known !== undefined) this.#parts.state.forget(known.path);
    return undefined;
  }

  #miss(known: KnownEntry): void {
    const { disk, state } = this.#parts;
    if (!disk.rules.takes(known.path, known.kind)) return state.forget(known.path);
    this.#result.missing++;
    const { missingPaths } = this.#result;
    if (this.#options.deletes && missingPaths.length < MISSING_MAX) missingPaths.push(known.path);
  }
}

function leastOf(keys: readonly (string | undefined)[]): string | undefined {
  let least: string | undefined;
  for (const key of keys) {
    if (key !== undefined && (least === undefined || compareBytes(key, least) < 0)) least = key;
  }
  return least;
}

/** A sequence of which the next item can be looked at. */
class Cursor<T> {
  readonly #items: AsyncIterator<T> | Iterator<T>;
  #head: T | undefined;
  #ended = false;

  constructor(items: AsyncIterable<T> | Iterable<T>) {
    this.#items = Symbol.asyncIterator in items
      ? items[Symbol.asyncIterator]()
      : items[Symbol.iterator]();
  }

  async head(): Promise<T | undefined> {
    if (this.#head === undefined && !this.#ended) {
      const next = await this.#items.next();
      this.#ended = next.done === true;
      this.#head = next.done === true ? undefined : next.value;
    }
    return this.#head;
  }

  take(): T | undefined {
    const head = this.#head;
    this.#head = undefined;
    return head;
  }

  async close(): Promise<void> {
    await this.#items.return?.();
  }
}

/**
 * Looks at the disk: scans it, and looks where hints say. What differs from what was sent is left
 * to settle. A scan each so often makes good what hints have missed.
 */
import { basename, dirname } from "node:path/posix";
import type { Clock } from "../../base/clock.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import type { Entry } from "../api.ts";
import { orAbort } from "../crew.ts";
import { DirtyPaths } from "./dirty.ts";
import type { WatchedDisk } from "./disk.ts";
import type { WatchListener } from "./event.ts";
import type { WatchClient } from "./remote_side.ts";
import type { HintListener, Hints } from "./hints.ts";
import { IGNORE_FILE } from "./ignoring.ts";
import { compareEntry, directoriesAbove } from "./plan.ts";
import type { WatchedRoot } from "./root.ts";
import type { ScanResult } from "./scan.ts";
import { MISSING_MAX, scan } from "./scan.ts";
import type { Settling, Sighting } from "./settling.ts";
import type { WatchState } from "./state.ts";

/** Hints are gathered for so long before they are looked at. */
const GATHER_MS = 100;
/** Paths of hints that are remembered; beyond, everything is looked at. */
const DIRTY_MAX = 10_000;
/** A scan may take one part in so many of the time. */
const SCAN_SHARE = 5;
/** Troubles that were told; beyond, all are told again. */
const TOLD_MAX = 10_000;

export interface LookerOptions {
  /** The remote directory. */
  remote: string;
  deletes: boolean;
  trustInodes: boolean;
  rescanMs: number;
  pollMs: number;
  /** Why all is looked at each `pollMs`; undefined: hints say where to look. */
  poll: string | undefined;
}

export interface LookerParts {
  client: WatchClient;
  disk: WatchedDisk;
  state: WatchState;
  settling: Settling;
  root: WatchedRoot;
  clock: Clock;
  listenForHints: (root: string, listener: HintListener) => Hints;
  onEvent: WatchListener;
}

export class Looker {
  readonly #parts: LookerParts;
  readonly #options: LookerOptions;
  readonly #dirty = new DirtyPaths(DIRTY_MAX);
  readonly #told = new Set<string>();
  #hints: Hints | undefined;
  #poll: string | undefined;
  #rootLost = false;
  #lastScanMs = 0;
  #lastScanEndMs = 0;
  #wake = Promise.withResolvers<void>();

  constructor(parts: LookerParts, options: LookerOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#poll = options.poll;
  }

  /** Begins to listen for hints: before the first scan, so that none is missed after it. */
  start(): void {
    if (this.#poll !== undefined) this.#tellPolling();
    this.#listen();
  }

  stop(): void {
    this.#hints?.stop();
  }

  /** Something may have changed at a path below the root; undefined: anywhere. */
  hint(path: string | undefined): void {
    this.#dirty.add(path);
    this.#awake();
  }

  /** Somebody has found the root to be gone. */
  loseRoot(): void {
    this.#rootLost = true;
    this.#awake();
  }

  /**
   * Scans everything, against the cluster too: what is there as it is here counts as sent, what is
   * missing or other there is sent again.
   */
  async scanFirst(signal: AbortSignal): Promise<void> {
    const { client } = this.#parts;
    const root = this.#options.remote;
    await this.#scanAll(signal, { root, entries: listIfThere(client, root, signal) });
  }

  /** Looks around until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#untilWork(signal);
      try {
        if (this.#rootLost || !await this.#parts.root.isThere()) await this.#awaitRoot(signal);
        const paths = this.#isScanDue() ? "everything" : this.#dirty.take();
        if (paths === "everything") await this.#scanAll(signal);
        else await this.#lookAt(paths, signal);
      } catch (error) {
        signal.throwIfAborted();
        // The root can't be read: the next round finds out whether it is there.
        if (!hasCode(error, "local")) throw error;
        this.#tellTrouble(error);
        this.#dirty.add(undefined);
        await this.#parts.clock.sleep(GATHER_MS * 10, signal);
      }
    }
  }

  async #untilWork(signal: AbortSignal): Promise<void> {
    const { clock } = this.#parts;
    while (this.#dirty.empty && !this.#rootLost && !this.#isScanDue()) {
      const dueMs = this.#lastScanEndMs + this.#pauseMs() - clock.monotonicMs();
      const due = Promise.withResolvers<void>();
      const timer = clock.after(Math.max(dueMs, 0), due.resolve);
      await orAbort(Promise.race([this.#wake.promise, due.promise]), signal)
        .finally(() => timer.stop());
    }
    if (!this.#isScanDue()) await clock.sleep(GATHER_MS, signal);
  }

  #isScanDue(): boolean {
    return this.#parts.clock.monotonicMs() >= this.#lastScanEndMs + this.#pauseMs();
  }

  /** The time between two scans. */
  #pauseMs(): number {
    const { pollMs, rescanMs } = this.#options;
    const wantedMs = this.#poll === undefined ? rescanMs : pollMs;
    return Math.max(wantedMs, this.#lastScanMs * (SCAN_SHARE - 1));
  }

  async #scanAll(
    signal: AbortSignal,
    remote?: { root: string; entries: AsyncIterable<Entry> },
  ): Promise<void> {
    const { clock, root, disk } = this.#parts;
    const startMs = clock.monotonicMs();
    this.#dirty.take();
    disk.rules.refresh();
    const result = await this.#scan("", signal, remote);
    root.admit(result.missing, this.#options.deletes);
    await this.#offerMissing(result.missingPaths, signal);
    this.#lastScanEndMs = clock.monotonicMs();
    this.#lastScanMs = this.#lastScanEndMs - startMs;
  }

  #scan(
    directory: string,
    signal: AbortSignal,
    remote?: { root: string; entries: AsyncIterable<Entry> },
  ): Promise<ScanResult> {
    const { disk, state } = this.#parts;
    const { deletes, trustInodes } = this.#options;
    return scan({ disk, state, offer: (sighting) => this.#offer(sighting, signal) }, {
      directory,
      deletes,
      trustInodes,
      signal,
      onTrouble: (error) => this.#tellTrouble(error),
      ...(remote && { remote }),
    });
  }

  /** Looks at paths of hints; a directory is scanned, since hints from within may be missing. */
  async #lookAt(paths: readonly string[], signal: AbortSignal): Promise<void> {
    const { disk, state } = this.#parts;
    const scanned = new Set<string>();
    const missing: string[] = [];
    for (const path of paths) {
      if (directoriesAbove(path).some((above) => scanned.has(above))) continue;
      if (basename(path) === IGNORE_FILE) {
        disk.rules.refresh();
        const directory = dirname(path);
        if (directory === ".") return this.#dirty.add(undefined);
        missing.push(...(await this.#scanIfThere(directory, signal)));
        scanned.add(directory);
        continue;
      }
      const look = await disk.look(path).catch((error) => this.#tellTrouble(error));
      if (look === undefined) continue;
      if (look.kind !== "there") {
        missing.push(...this.#knownFrom(path));
        continue;
      }
      const { entry } = look;
      const difference = compareEntry(entry, state.find(path), this.#options);
      if (difference !== "none") await this.#offer({ path, seen: entry }, signal);
      if (entry.kind !== "directory") continue;
      missing.push(...(await this.#scanIfThere(path, signal)));
      scanned.add(path);
    }
    await this.#offerMissing(missing, signal);
  }

  /** A path, if it is known, behind what is known below it. */
  #knownFrom(path: string): string[] {
    const { state } = this.#parts;
    const paths: string[] = [];
    for (const row of state.below(path)) {
      if (paths.length >= MISSING_MAX) break;
      paths.push(row.path);
    }
    return state.find(path) === undefined ? paths : [...paths, path];
  }

  /** Scans a directory, unless it has gone meanwhile; returns what is missing in it. */
  async #scanIfThere(directory: string, signal: AbortSignal): Promise<string[]> {
    try {
      return (await this.#scan(directory, signal)).missingPaths;
    } catch (error) {
      if (!hasCode(error, "local")) throw error;
      // Gone, and then there is a hint of that, too; or it can't be read.
      this.#tellTrouble(error);
      return [];
    }
  }

  /** What is missing comes last: it may have appeared under another name. */
  async #offerMissing(missing: readonly string[], signal: AbortSignal): Promise<void> {
    for (const path of missing) await this.#offer({ path, seen: undefined }, signal);
    // There may be more.
    if (missing.length >= MISSING_MAX) this.#dirty.add(undefined);
  }

  async #offer(sighting: Sighting, signal: AbortSignal): Promise<void> {
    const { settling } = this.#parts;
    await settling.room(signal);
    settling.add(sighting);
  }

  /** The root is gone: nothing is looked at before it is there again. */
  async #awaitRoot(signal: AbortSignal): Promise<void> {
    const { root, disk, onEvent } = this.#parts;
    this.#hints?.stop();
    onEvent({ kind: "root-lost", reason: `"${disk.root}" is not there` });
    await root.untilBack(signal);
    this.#rootLost = false;
    onEvent({ kind: "root-back" });
    this.#listen();
    this.#dirty.add(undefined);
  }

  #listen(): void {
    const { listenForHints, disk } = this.#parts;
    this.#hints = listenForHints(disk.root, {
      onHint: (path) => this.hint(path),
      onTrouble: (reason) => {
        if (this.#poll !== undefined) return;
        this.#poll = reason;
        this.#tellPolling();
        this.#awake();
      },
    });
  }

  #tellPolling(): void {
    const { pollMs: everyMs } = this.#options;
    this.#parts.onEvent({ kind: "polling", everyMs, reason: this.#poll ?? "" });
  }

  #tellTrouble(error: unknown): void {
    if (!(error instanceof TydfsError)) throw error;
    if (this.#told.size >= TOLD_MAX) this.#told.clear();
    if (this.#told.has(error.message)) return;
    this.#told.add(error.message);
    this.#parts.onEvent({ kind: "trouble", error });
  }

  #awake(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }
}

/** All below a remote directory; nothing when there is none. */
async function* listIfThere(
  client: WatchClient,
  root: string,
  signal: AbortSignal,
): AsyncGenerator<Entry> {
  try {
    yield* client.list(root, { recursive: true, signal });
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
}

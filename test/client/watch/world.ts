/**
 * A directory on the disk, a remote in memory, and watches between them, on a clock that runs fast.
 */
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { seededRandom } from "../../../src/base/random.ts";
import { TAKE_ALL } from "../../../src/client/trees/filter.ts";
import type { WatchOptions } from "../../../src/client/watch/start.ts";
import { WatchedDisk } from "../../../src/client/watch/disk.ts";
import type { WatchEvent } from "../../../src/client/watch/event.ts";
import { listenForHints } from "../../../src/client/watch/hints.ts";
import { WatchState } from "../../../src/client/watch/state.ts";
import type { WatcherParts, WatchResult } from "../../../src/client/watch/watcher.ts";
import { Watcher } from "../../../src/client/watch/watcher.ts";
import { fastClock } from "../fake_bus.ts";
import { scratchDirectory } from "../scratch.ts";
import { FakeRemote } from "./fake_remote.ts";

const TIMES = 50;

export interface WorldOptions
  extends Partial<Omit<WatchOptions, "directory" | "remote" | "statePath" | "signal" | "onEvent">> {
  listenForHints?: WatcherParts["listenForHints"];
}

/** A watch that runs. */
export interface RunningWatch {
  events: WatchEvent[];
  /** Waits until `condition` holds; fails by name when it never does, or when the watch ends. */
  until: (what: string, condition: () => boolean) => Promise<void>;
  /** Stops it; rejects with what ended it before. */
  stop: () => Promise<void>;
}

export class WatchWorld implements Disposable {
  readonly #scratch = scratchDirectory();
  readonly remote = new FakeRemote();
  readonly root: string;
  readonly statePath: string;

  constructor() {
    this.root = this.#scratch.path("root");
    this.statePath = this.#scratch.path("state.db");
    mkdirSync(this.root);
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(name: string, text: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true });
    writeFileSync(this.path(name), text);
  }

  move(from: string, to: string): void {
    mkdirSync(dirname(this.path(to)), { recursive: true });
    renameSync(this.path(from), this.path(to));
  }

  remove(name: string): void {
    rmSync(this.path(name), { recursive: true, force: true });
  }

  /** All paths on the disk, as `FakeRemote.tree` has them. */
  tree(): Record<string, string> {
    const found: [string, string][] = [];
    const names = existsSync(this.root) ? readdirSync(this.root, { recursive: true }) : [];
    for (const name of names.map(String)) {
      const isDirectory = lstatSync(this.path(name)).isDirectory();
      found.push(
        isDirectory ? [`${name}/`, ""] : [name, readFileSync(this.path(name), "utf8")],
      );
    }
    return Object.fromEntries(found.sort());
  }

  /** Brings the remote in step once; returns the calls that changed something. */
  async once(options: WorldOptions = {}): Promise<string[]> {
    await this.result(options);
    return this.remote.calls.splice(0);
  }

  /** Brings the remote in step once. */
  async result(options: WorldOptions = {}): Promise<WatchResult & { events: WatchEvent[] }> {
    const events: WatchEvent[] = [];
    const signal = AbortSignal.timeout(20_000);
    const { watcher, state } = await this.#watcher(options, events, signal);
    try {
      return { ...await watcher.runOnce(signal), events };
    } finally {
      state.close();
    }
  }

  /** Starts a watch. */
  async start(options: WorldOptions = {}): Promise<RunningWatch> {
    const events: WatchEvent[] = [];
    const stopped = new AbortController();
    const { watcher, state } = await this.#watcher(options, events, stopped.signal);
    let ended: { error: unknown } | undefined;
    const run = watcher.run(stopped.signal).catch((error) => {
      ended = { error };
    }).finally(() => state.close());
    return {
      events,
      until: async (what, condition) => {
        const endMs = performance.now() + 15_000;
        while (!condition()) {
          if (ended !== undefined) {
            throw new Error(`The watch ended before: ${what}`, { cause: ended.error });
          }
          if (performance.now() > endMs) throw new Error(`Waited in vain: ${what}`);
          await Bun.sleep(2);
        }
      },
      stop: async () => {
        if (ended !== undefined) throw ended.error;
        stopped.abort(new Error("stopped"));
        await run;
      },
    };
  }

  [Symbol.dispose](): void {
    this.#scratch[Symbol.dispose]();
  }

  async #watcher(options: WorldOptions, events: WatchEvent[], signal: AbortSignal) {
    const { filter = TAKE_ALL, links = "keep", ...rest } = options;
    const disk = await WatchedDisk.open(this.root, { filter, links });
    const state = WatchState.open(this.statePath, {
      onLost: (reason, movedTo) => events.push({ kind: "state-lost", reason, movedTo }),
    });
    const making = Watcher.make(
      {
        client: this.remote,
        disk,
        state,
        clock: fastClock(TIMES),
        random: seededRandom(1),
        listenForHints: options.listenForHints ?? listenForHints,
        onEvent: (event) => void events.push(event),
      },
      {
        remote: "/w",
        settleMs: 500,
        rescanMs: 600_000,
        pollMs: 5_000,
        poll: false,
        deletes: true,
        transfers: 4,
        put: {},
        ...rest,
      },
      signal,
    );
    const watcher = await making.catch((error) => {
      state.close();
      throw error;
    });
    return { watcher, state };
  }
}

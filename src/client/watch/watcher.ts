/**
 * Keeps a remote directory in step with a local one: a looker finds what differs and lets it
 * settle, and several workers follow what has settled. A failure concerns its path, and is tried
 * again; only an absent master stops all, until it is back.
 */
import type { Clock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { hasCode, TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import { orAbort, runCrew } from "../crew.ts";
import { Presence, saysAway } from "../presence.ts";
import type { WatchedDisk } from "./disk.ts";
import type { WatchListener } from "./event.ts";
import { decideFailure, mayPassSoon } from "./failure.ts";
import type { FollowerOptions } from "./follower.ts";
import { Follower } from "./follower.ts";
import type { HintListener, Hints } from "./hints.ts";
import { Looker } from "./looker.ts";
import type { WatchClient } from "./remote_side.ts";
import { RemoteSide } from "./remote_side.ts";
import { WatchedRoot } from "./root.ts";
import type { Sighting } from "./settling.ts";
import { Settling } from "./settling.ts";
import type { WatchState } from "./state.ts";
import type { Member } from "./together.ts";
import { acceptSmall, Together, TOGETHER_MAX } from "./together.ts";

/** Paths that settle at once; a scan waits for room. */
const SETTLING_MAX = 4_096;
/** Longer than hints are gathered: what has gone may be told of before its new name is. */
const GONE_MS = 500;
/** Rounds in which what has failed is tried again by a watch that ends. */
const ONCE_ROUNDS = 4;
/** Paths whose failures are remembered. */
const FAILURES_MAX = 10_000;

export interface WatcherOptions extends Omit<FollowerOptions, "trustInodes"> {
  /** The remote directory. */
  remote: string;
  settleMs: number;
  /** Time between the scans that make good what hints have missed. */
  rescanMs: number;
  /** Time between scans where there are no hints, or not of all. */
  pollMs: number;
  /** Scan each `pollMs` though there may be hints. */
  poll: boolean;
  /** Files that are sent at once. */
  transfers: number;
}

export interface WatcherParts {
  client: WatchClient;
  disk: WatchedDisk;
  state: WatchState;
  clock: Clock;
  random: Random;
  listenForHints: (root: string, listener: HintListener) => Hints;
  onEvent: WatchListener;
}

/** What a watch that ends has come to. */
export interface WatchResult {
  /** Files in step. */
  files: number;
  /** The last error of each path that could not be brought in step. */
  failures: unknown[];
  /** Paths that were still changing. */
  unsettled: number;
}

export class Watcher {
  readonly #parts: WatcherParts;
  readonly #options: WatcherOptions;
  readonly #settling: Settling;
  readonly #presence: Presence;
  readonly #root: WatchedRoot;
  readonly #follower: Follower;
  readonly #looker: Looker;
  readonly #failures = new Map<string, { tries: number; error: unknown }>();
  #once = false;
  /** Paths that were brought in step. */
  #done = 0;

  private constructor(
    parts: WatcherParts,
    options: WatcherOptions,
    network: string | undefined,
  ) {
    const { client, disk, state, clock, random, listenForHints, onEvent } = parts;
    this.#parts = parts;
    this.#options = options;
    const { settleMs } = options;
    const settling = new Settling(clock, { settleMs, goneMs: GONE_MS, max: SETTLING_MAX });
    const root = new WatchedRoot(disk, state, clock);
    // The numbers of inodes on a network mount may be made up by the machine that mounts it.
    const trustInodes = network === undefined;
    const poll = options.poll
      ? "as it was asked for"
      : network && `changes on ${network} by others are not told`;
    this.#settling = settling;
    this.#root = root;
    this.#presence = new Presence({
      clock,
      random,
      probe: (signal) => client.stat("/", { signal }),
      onEvent,
    });
    this.#follower = new Follower(
      {
        remote: new RemoteSide(client, options.remote),
        disk,
        state,
        onEvent,
        rootIsThere: () => root.isThere(),
      },
      { ...options, trustInodes },
    );
    this.#looker = new Looker(
      { client, disk, state, settling, root, clock, listenForHints, onEvent },
      { ...options, trustInodes, poll },
    );
  }

  /** Makes a watcher. Throws `not-directory` when the remote directory is a file. */
  static async make(
    parts: WatcherParts,
    options: WatcherOptions,
    signal: AbortSignal,
  ): Promise<Watcher> {
    const { client, disk } = parts;
    const { remote } = options;
    const there = await client.stat(remote, { signal }).catch((error) => {
      if (!hasCode(error, "not-found")) throw error;
    });
    if (there?.entry.kind === "file") {
      const message = `Cannot watch for ${quotePath(remote)}: it is a file, not a directory`;
      throw new TydfsError("not-directory", message);
    }
    return new Watcher(parts, options, await disk.networkKind());
  }

  /** Watches until the signal aborts; throws its reason, or what can't be borne. */
  async run(signal: AbortSignal): Promise<void> {
    await this.#withCrew(signal, async (own) => {
      this.#looker.start();
      await this.#scanFirst(own);
      const inStep = this.#settling.mark().then(() => {
        const files = this.#parts.state.countFiles();
        this.#parts.onEvent({ kind: "watching", files, failed: this.#failures.size });
      });
      await Promise.all([inStep, this.#looker.run(own)]);
    });
  }

  /** Brings the remote directory in step once. Throws when the master is away. */
  async runOnce(signal: AbortSignal): Promise<WatchResult> {
    this.#once = true;
    await this.#withCrew(signal, async (own) => {
      await this.#looker.scanFirst(own);
      for (let round = 1;; round++) {
        const before = this.#done;
        await orAbort(this.#settling.mark(), own);
        const idle = this.#done === before && round >= ONCE_ROUNDS;
        if (this.#settling.size === 0 || idle) break;
      }
    });
    const failures = [...this.#failures.values()].map(({ error }) => error);
    const files = this.#parts.state.countFiles();
    return { files, failures, unsettled: this.#settling.size };
  }

  /** Runs `lead` beside the workers; they go home when it is over. */
  async #withCrew(
    signal: AbortSignal,
    lead: (signal: AbortSignal) => Promise<void>,
  ): Promise<void> {
    if (!await this.#root.arrive()) {
      const message = `Cannot watch ${quotePath(this.#parts.disk.root)}: it is not there`;
      throw new TydfsError("local", message);
    }
    let led = false;
    try {
      await runCrew(this.#options.transfers + 1, signal, async (own) => {
        if (led) return await this.#work(own);
        led = true;
        try {
          await lead(own);
        } finally {
          this.#settling.close();
        }
      });
    } finally {
      this.#looker.stop();
    }
  }

  async #scanFirst(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        return await this.#looker.scanFirst(signal);
      } catch (error) {
        signal.throwIfAborted();
        if (!saysAway(error)) throw error;
        await this.#presence.wait(error, signal);
      }
    }
  }

  async #work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const sighting = await this.#settling.take(signal);
      if (sighting === undefined) return;
      const accept = acceptSmall();
      const more = accept(sighting) ? this.#settling.takeMore(TOGETHER_MAX - 1, accept) : [];
      if (more.length === 0) await this.#workOn(sighting, signal);
      else await this.#workTogether([sighting, ...more], signal);
    }
  }

  /** Follows small files at once, so that what is sent of them goes together. */
  async #workTogether(sightings: readonly Sighting[], signal: AbortSignal): Promise<void> {
    const { put, transfers } = this.#options;
    const options = { ...put, transfers, signal };
    const together = new Together(this.#parts.client, sightings.length, options);
    await runAll(sightings, async (sighting) => {
      const member = together.member();
      try {
        await this.#workOn(sighting, signal, member);
      } finally {
        member.leave();
      }
    });
  }

  async #workOn(sighting: Sighting, signal: AbortSignal, together?: Member): Promise<void> {
    try {
      await this.#settling.turn(sighting);
      await this.#follow(sighting, signal, together);
    } finally {
      this.#settling.done(sighting.path);
    }
  }

  async #follow(sighting: Sighting, signal: AbortSignal, together?: Member): Promise<void> {
    const { path } = sighting;
    for (;;) {
      await this.#presence.untilBack();
      try {
        const decided = () => this.#settling.decided(path);
        const { kind, again } = await this.#follower.follow(sighting, {
          signal,
          decided,
          together,
        });
        if (kind === "root-lost") this.#looker.loseRoot();
        if (kind === "done") this.#done++;
        this.#failures.delete(path);
        for (const further of again) {
          if (kind === "unsettled" && further.seen === undefined) this.#lookFor(further.path);
          else this.#settling.add(further);
        }
        return;
      } catch (error) {
        signal.throwIfAborted();
        if (!await this.#bear(sighting, error, signal)) return;
      }
    }
  }

  /**
   * A path has gone under a worker's hands. It may have another name, of which there is a hint: the
   * looker sees both, in the right order. A watch that ends leaves it to the next one.
   */
  #lookFor(path: string): void {
    if (!this.#once) this.#looker.hint(path);
  }

  /** Bears a failure; true when the work is to be tried again now. */
  async #bear(sighting: Sighting, error: unknown, signal: AbortSignal): Promise<boolean> {
    const { path } = sighting;
    const before = this.#failures.get(path);
    const tries = before?.tries ?? 0;
    const verdict = decideFailure(error, tries);
    if (verdict.kind === "settle") {
      this.#settling.add(sighting);
      return false;
    }
    if (verdict.kind === "wait") {
      if (this.#once) throw error;
      await this.#presence.wait(error, signal);
      return true;
    }
    if (this.#failures.size >= FAILURES_MAX) this.#failures.clear();
    this.#failures.set(path, { tries: tries + 1, error });
    const soon = this.#once && mayPassSoon(error) && tries + 1 < ONCE_ROUNDS;
    // What was told is not told again at each try.
    const isNews = before === undefined || wordsOf(before.error) !== wordsOf(error);
    if (isNews && !soon) {
      const retryMs = this.#once ? undefined : verdict.ms;
      this.#parts.onEvent({ kind: "failed", path, error, retryMs });
    }
    if (soon) this.#settling.add(sighting);
    else if (!this.#once) this.#settling.hold(sighting, verdict.ms);
    return false;
  }
}

/** Does all at once, waits for all, and throws the first failure. */
async function runAll<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const ends = await Promise.allSettled(items.map(work));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

function wordsOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

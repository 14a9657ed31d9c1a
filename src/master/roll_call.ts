/**
 * The roll call of a master that has lost its catalog: hears which keepers are there by what they
 * send until they are taken in, and asks each what its archive holds. Nobody is answered: keepers
 * go on to ask until there is a catalog again. One that only beats has never lost NATS, which runs
 * elsewhere then, and is asked to introduce itself.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { commandArchive } from "../wire/archive.ts";
import type { ArchiveFile } from "../wire/archive.ts";
import type { Bus, Subscription } from "../wire/bus.ts";
import { call, listen } from "../wire/bus.ts";
import { decode } from "../wire/codec.ts";
import { commandRegister } from "../wire/command.ts";
import { Heartbeat } from "../wire/heartbeat.ts";
import type { JoinedRequest } from "../wire/report.ts";
import { reportJoined } from "../wire/report.ts";
import type { Subjects } from "../wire/subjects.ts";
import { RecentSet } from "./recent.ts";

/** A keeper that has told what its archive holds. */
export interface HeardKeeper {
  id: string;
  name: string;
  host: string;
  ports: number[];
  files: readonly ArchiveFile[];
  /** The newest master that it has obeyed. */
  masterEpoch: number;
}

export interface RollCallOptions {
  bus: Bus;
  subjects: Subjects;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

/** A keeper may have to read whole snapshots before it can tell their sums. */
const ARCHIVE_MS = 60_000;
const POLL_MS = 100;
const WAITING_LOG_MS = 10_000;
/** A keeper that beats is asked for its introduction once in this time. */
const WAKE_PERIOD_MS = 5_000;
const WAKE_MS = 5_000;
/** Keepers that are heard, at most: more than a cluster has. */
const HEARD_MAX = 4096;

export class RollCall {
  readonly #options: RollCallOptions;
  readonly #heard = new Map<string, HeardKeeper>();
  readonly #asking = new Set<string>();
  /** Keepers that were asked in vain: nobody waits for them, but they are asked again. */
  readonly #silent = new Set<string>();
  readonly #woken: RecentSet;
  #subscriptions: Subscription[] = [];
  #lastNewMs = 0;

  constructor(options: RollCallOptions) {
    this.#options = options;
    const limits = { periodMs: WAKE_PERIOD_MS, max: HEARD_MAX };
    this.#woken = new RecentSet(options.clock, limits);
  }

  /** Begins to listen. */
  start(): void {
    const { bus, subjects, log } = this.#options;
    const subject = subjects.report("*", reportJoined.name);
    const introductions = bus.subscribe(subject, {}, async ({ payload }) => {
      try {
        await this.#hear(decode(reportJoined.request, payload, "a keeper's introduction"));
      } catch (error) {
        log.warn("A keeper does not tell what its archive holds", { error });
      }
    });
    const onFailure = (_subject: string, error: unknown) =>
      log.warn("A keeper that beats does not introduce itself", { error });
    const beats = listen(
      bus,
      subjects.heartbeat("*"),
      Heartbeat,
      onFailure,
      ({ keeper, leaving }) => leaving ? undefined : this.#wake(keeper),
    );
    this.#subscriptions = [introductions, beats];
  }

  async stop(): Promise<void> {
    await Promise.all(this.#subscriptions.map((subscription) => subscription.stop()));
  }

  /** The keepers that have answered so far. */
  get heard(): HeardKeeper[] {
    return [...this.#heard.values()];
  }

  /** Waits until keepers have answered, and then until no further one has for `quietMs`. */
  async untilQuiet(quietMs: number): Promise<void> {
    const { clock, log, signal } = this.#options;
    let loggedMs = clock.monotonicMs();
    for (;;) {
      const nowMs = clock.monotonicMs();
      const asking = [...this.#asking].some((id) => !this.#silent.has(id));
      const isBusy = this.#heard.size === 0 || asking;
      if (!isBusy && nowMs - this.#lastNewMs >= quietMs) return;
      if (this.#heard.size === 0 && nowMs - loggedMs >= WAITING_LOG_MS) {
        log.warn("Still waiting for a keeper: it must run, with this cluster's URL and port");
        loggedMs = nowMs;
      }
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** Waits until all of these keepers have answered, no longer than `withinMs`. */
  async untilHeard(ids: readonly string[], withinMs: number): Promise<void> {
    const { clock, signal } = this.#options;
    const endMs = clock.monotonicMs() + withinMs;
    while (ids.some((id) => !this.#heard.has(id)) && clock.monotonicMs() < endMs) {
      await clock.sleep(POLL_MS, signal);
    }
  }

  /** Has a keeper introduce itself, in the name of the newest master that it knows. */
  async #wake(id: string): Promise<void> {
    const { bus, subjects, signal } = this.#options;
    if (this.#heard.has(id) || this.#asking.has(id) || !this.#woken.add(id)) return;
    const within = { timeoutMs: WAKE_MS, signal };
    const asked = subjects.command(id, commandArchive.name);
    const { masterEpoch: epoch } = await call(bus, asked, commandArchive, {}, within);
    await call(bus, subjects.command(id, commandRegister.name), commandRegister, { epoch }, within);
  }

  async #hear(request: JoinedRequest): Promise<void> {
    const { bus, subjects, clock, log, signal } = this.#options;
    const { keeper: id, name, host, ports } = request;
    if (this.#heard.has(id) || this.#asking.has(id) || this.#heard.size >= HEARD_MAX) return;
    this.#asking.add(id);
    try {
      const subject = subjects.command(id, commandArchive.name);
      const within = { timeoutMs: ARCHIVE_MS, signal };
      const { files, masterEpoch } = await call(bus, subject, commandArchive, {}, within);
      this.#heard.set(id, { id, name, host, ports, files, masterEpoch });
      this.#lastNewMs = clock.monotonicMs();
      log.info("A keeper is here", { keeper: name, files: files.length });
    } catch (error) {
      this.#silent.add(id);
      throw error;
    } finally {
      this.#asking.delete(id);
    }
  }
}

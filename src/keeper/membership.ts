/**
 * Membership: how a keeper makes itself known to the master, and again after every loss of the
 * connection or whenever the master asks; each time its inventory follows. Goes on until it
 * succeeds, is refused for good, or the keeper stops. A master on another catalog, or an older one,
 * than this keeper has obeyed gets no inventory: it would count as garbage what it does not know.
 */
import type { Clock } from "../base/clock.ts";
import { backoffMs } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { hasCode, mayPass } from "../wire/errors.ts";
import type { JoinedReply, JoinedRequest } from "../wire/report.ts";
import { reportJoined } from "../wire/report.ts";
import type { Subjects } from "../wire/subjects.ts";
import { sendInventory } from "./inventory_report.ts";
import type { MasterEpoch } from "./master_epoch.ts";
import { MASTER_EPOCH_FILE } from "./master_epoch.ts";
import type { Reporter } from "./reporter.ts";

/** What a keeper says of itself; its space is looked up each time. */
export type Introduction = Omit<JoinedRequest, "totalBytes" | "freeBytes">;

export interface MembershipOptions {
  introduction: Introduction;
  bus: Bus;
  subjects: Subjects;
  store: ChunkStore;
  reporter: Reporter;
  masterEpoch: MasterEpoch;
  clock: Clock;
  random: Random;
  log: Log;
  signal: AbortSignal;
  /** The master has taken the keeper in; one that is not `current` is only to be served reads. */
  onJoined: (reply: JoinedReply, current: boolean) => void | Promise<void>;
  /** The master will never take it in, as it is. */
  onRefused: (error: unknown) => void;
}

const TRY_MS = 5_000;
const PAUSE = { firstMs: 200, maxMs: 2_000 };

export class Membership {
  readonly #options: MembershipOptions;
  #running: Promise<void> | undefined;
  #again = false;
  /** Ends the tries of the inventory under way, when there is to be another introduction. */
  #retries = new AbortController();

  constructor(options: MembershipOptions) {
    this.#options = options;
  }

  /**
   * Registers and sends the inventory. When that is under way already, it is done once more after
   * it; an inventory that nobody takes is given up for that.
   */
  join(): Promise<void> {
    this.#again = true;
    this.#retries.abort();
    this.#running ??= this.#joinAll().finally(() => this.#running = undefined);
    return this.#running;
  }

  async #joinAll(): Promise<void> {
    const { onRefused, signal, log } = this.#options;
    try {
      while (this.#again && !signal.aborted) {
        this.#again = false;
        this.#retries = new AbortController();
        if (!await this.#untilDone("register", () => this.#register())) continue;
        // A master that knows this keeper no more takes no inventory: introductions come first.
        const isStale = () => this.#again;
        await this.#untilDone("send the inventory", () => this.#inventory(), isStale)
          .catch((error) => {
            if (!signal.aborted) log.error("The master does not take the inventory", { error });
          });
      }
    } catch (error) {
      if (!signal.aborted) onRefused(error);
    }
  }

  /** Whether the master that has answered is one to obey. */
  async #register(): Promise<boolean> {
    const { bus, subjects, introduction, store, onJoined, log } = this.#options;
    const subject = subjects.report(introduction.keeper, reportJoined.name);
    const request = { ...introduction, ...await store.space() };
    const reply = await call(bus, subject, reportJoined, request, { timeoutMs: TRY_MS });
    log.info("Joined the cluster", { number: reply.number, masterEpoch: reply.masterEpoch });
    const current = await this.#isCurrent(reply);
    await onJoined(reply, current);
    return current;
  }

  async #isCurrent({ masterEpoch: epoch, catalog }: JoinedReply): Promise<boolean> {
    const { masterEpoch, log } = this.#options;
    try {
      await masterEpoch.check(epoch, catalog);
      return true;
    } catch (error) {
      if (!hasCode(error, "stale-epoch")) throw error;
      const { catalog: known } = masterEpoch;
      const isOther = known !== undefined && known !== catalog;
      const what = isOther ? "another one than" : "older than what";
      const message = `The master's catalog is ${what} this keeper has obeyed: ` +
        "no command of it is obeyed, only reads are served; restore the newer catalog, " +
        "rebuild it from the keepers with tydfs master --recover, " +
        `or, to accept this one, stop the keeper, delete DATA/${MASTER_EPOCH_FILE} (DATA is ` +
        "its data directory), and start it again";
      const obeyed = masterEpoch.newest;
      log.error(message, { masterEpoch: epoch, obeyed, catalog, known });
      return false;
    }
  }

  async #inventory(): Promise<void> {
    const { store, reporter, log } = this.#options;
    await sendInventory(store, reporter, this.#retries.signal);
    log.info("Sent the inventory", { chunks: store.chunks });
  }

  /** Tries again until it is done, or (undefined) not worth it any more. */
  async #untilDone<T>(
    what: string,
    task: () => Promise<T>,
    isStale = () => false,
  ): Promise<T | undefined> {
    const { clock, random, log, signal } = this.#options;
    for (let attempt = 0;; attempt++) {
      try {
        return await task();
      } catch (error) {
        if (isStale()) return undefined;
        if (!mayPass(error)) throw error;
        log.warn(`Cannot ${what} yet`, { error });
        await clock.sleep(backoffMs(attempt, PAUSE, random), signal);
      }
    }
  }
}

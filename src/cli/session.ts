/**
 * What a command runs in: console, environment, common flags, and a client that is connected for as
 * long as it runs.
 */
import { userInfo } from "node:os";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { formatDuration } from "../base/bytes.ts";
import { systemClock, withTimeout } from "../base/clock.ts";
import { silentLog, stderrLog } from "../base/log.ts";
import type { ClientSettings, TydfsClient, WaitNotice } from "../client/client.ts";
import { HOW_TO_NAME_ONE } from "../config/connection.ts";
import { ConfigError, doubtfulVariables } from "../config/load.ts";
import type { Settings } from "../config/options.ts";
import { hasCode, isUnanswered, TydfsError } from "../wire/errors.ts";
import { exitStatusOf, reportFailure } from "./exit.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Output } from "./output.ts";
import type { InheritedFlags } from "./settings_flags.ts";
import { clientSettingsOf } from "./settings_flags.ts";

const CLOSE_MS = 1_000;
/** A wait for a master that is over before this is told on a terminal only. */
const SHORT_WAIT_MS = 5_000;

export type Environment = Record<string, string | undefined>;

/** What a client command is given. */
export interface ClientSession {
  client: TydfsClient;
  signal: AbortSignal;
  output: Output;
  json: boolean;
  quiet: boolean;
  /** The settings, with the URL of the cluster that was joined. */
  settings: Settings;
}

/** Who makes connections, and ends them. */
export interface Connector {
  join(settings: JoinSettings): Promise<TydfsClient>;
  leave(client: TydfsClient): Promise<void>;
}

export type JoinSettings = ClientSettings & { url: string };

export interface SessionOptions {
  /** A connection for each command unless given. */
  connector?: Connector;
  /** Ctrl-C ends the command, and not the program. */
  stays?: boolean;
  /** Flags that hold for each command that does not give them itself. */
  inherited?: InheritedFlags;
}

/** One run of the program, or one line of the shell. */
export class Session {
  readonly output: Output;
  readonly env: Environment;
  readonly #options: SessionOptions;
  /** The client of the command that runs. */
  #client: TydfsClient | undefined;
  /** The status with which the program ends unless an error says another. */
  exitStatus = 0;

  constructor(output: Output, env: Environment, options: SessionOptions = {}) {
    this.output = output;
    this.env = env;
    this.#options = options;
  }

  /** Ctrl-C ends the command only. */
  get stays(): boolean {
    return this.#options.stays === true;
  }

  /** Shows causes and stacks of errors. */
  get debug(): boolean {
    return (this.env["TYDFS_DEBUG"] ?? "") !== "";
  }

  /** Warns of variables that look like settings with a typing error. */
  warnOfEnvironment(command: CommandUnknownOpts): void {
    if (this.stays || commonFlags(command).quiet) return;
    for (const warning of doubtfulVariables(this.env)) this.output.message(`tydfs: ${warning}`);
  }

  /**
   * Connects, runs `work`, and leaves the cluster whatever happens. With `tellWaits` false nothing
   * is said while the client waits: a screen says it itself.
   */
  async withClient(
    command: CommandUnknownOpts,
    work: (session: ClientSession) => Promise<void>,
    options: { tellWaits?: boolean } = {},
  ): Promise<void> {
    const settings = clientSettingsOf(command, this.env, this.#options.inherited);
    const { output } = this;
    const { json, quiet } = commonFlags(command);
    const { connector = ownConnection } = this.#options;
    await untilInterrupted(async (signal) => {
      const silent = quiet || options.tellWaits === false;
      const client = await connector.join(this.joinSettings(settings, silent)).catch(whoseUrl);
      this.#client = client;
      try {
        await work({ client, signal, output, json, quiet, settings });
      } catch (error) {
        throw await this.#explain(error, signal);
      } finally {
        this.#client = undefined;
        await connector.leave(client);
      }
    }, { stays: this.stays });
  }

  /** What a client is made of. Throws `ConfigError` when no cluster is named. */
  joinSettings(settings: Settings, silent: boolean): JoinSettings {
    if (settings.url === "") {
      throw new ConfigError(`Cannot join a cluster: no URL is given; ${HOW_TO_NAME_ONE}`);
    }
    return {
      url: settings.url,
      owner: settings.as === "" ? loginName(this.env) : settings.as,
      waitMs: settings.wait,
      parallel: settings.parallel,
      log: this.debug ? stderrLog("client", { level: "debug", format: "text" }) : silentLog,
      onWait: (notice) => {
        // A script gets one line in the end; a person wants to know what goes on.
        const isShort = notice.code === "no-master" && notice.waitMs < SHORT_WAIT_MS;
        if (isShort && !this.output.messagesOnTerminal) return;
        if (!silent) this.output.message(`tydfs: ${waitWords(notice)}`);
      },
    };
  }

  /**
   * Works on each item; a failure is told and the next one follows, unless nobody answers any more.
   * The first failure's status is the program's.
   */
  async forEach<T>(
    items: readonly T[],
    signal: AbortSignal,
    work: (item: T) => Promise<void>,
  ): Promise<void> {
    for (const [index, item] of items.entries()) {
      try {
        await work(item);
      } catch (error) {
        if (signal.aborted || items.length === 1) throw error;
        if (isUnanswered(error)) throw stoppedAt(error, index, items.length);
        reportFailure(await this.#explain(error, signal), this.output, this.debug);
        this.exitStatus ||= exitStatusOf(error);
      }
    }
  }

  /** The error, with a similar name where one is not there. */
  async #explain(error: unknown, signal: AbortSignal): Promise<unknown> {
    if (this.#client === undefined || !hasCode(error, "not-found")) return error;
    const { suggestPath } = await import("./names/similar_path.ts");
    return await suggestPath(this.#client, error, signal);
  }
}

/** Tells how to find out where a URL comes from that leads nowhere. */
function whoseUrl(error: unknown): never {
  if (!hasCode(error, "usage", "no-master", "denied")) throw error;
  const { code, data, cause } = error;
  const message = `${error.message} (tydfs config show url tells where the URL comes from)`;
  throw new TydfsError(code, message, { data, cause });
}

/** Says how far a command has come. */
function stoppedAt(error: TydfsError, done: number, all: number): TydfsError {
  const { code, message, data } = error;
  const left = all - done - 1;
  const words = left === 0 ? "" : `; those after it, ${left}, were not tried`;
  const place = `at ${done + 1} of ${all}${words}`;
  return new TydfsError(code, `${message} (${place})`, { data, cause: error });
}

/** A connection of its own for each command. */
export const ownConnection: Connector = {
  async join(settings) {
    const { TydfsClient } = await import("../client/client.ts");
    return await TydfsClient.connect(settings);
  },
  async leave(client) {
    const late = () => new Error("no end");
    await withTimeout(systemClock, client.close(), CLOSE_MS, late).catch(() => {});
  },
};

/** The flags of output that every command has. */
export function commonFlags(command: CommandUnknownOpts): { json: boolean; quiet: boolean } {
  const parsed: Record<string, unknown> = command.optsWithGlobals();
  return { json: parsed["json"] === true, quiet: parsed["quiet"] === true };
}

/** What the user reads when the client begins to wait. */
export function waitWords({ code, waitMs }: WaitNotice): string {
  const upTo = `waiting up to ${formatDuration(waitMs)}`;
  if (code === "busy") return `All ports are busy: ${upTo}`;
  if (code === "no-keepers") return `Too few keepers are alive: ${upTo}`;
  return `No master answers: ${upTo}`;
}

/** The user's login name; containers may have none, and then it is the number of the user. */
function loginName(env: Environment): string {
  const name = env["USER"] ?? env["LOGNAME"] ?? "";
  return name === "" ? `uid-${userInfo().uid}` : name;
}

/**
 * What a command runs in: console, environment, common flags, and a client that is connected for as
 * long as it runs.
 */
import { userInfo } from "node:os";
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { formatDuration } from "../base/bytes.ts";
import { systemClock, withTimeout } from "../base/clock.ts";
import { silentLog, stderrLog } from "../base/log.ts";
import type { TydfsClient, WaitNotice } from "../client/client.ts";
import { ConfigError } from "../config/load.ts";
import { exitStatusOf, reportFailure } from "./exit.ts";
import { untilInterrupted } from "./interrupt.ts";
import type { Output } from "./output.ts";
import { settingsOf } from "./settings_flags.ts";

const CLOSE_MS = 1_000;

export type Environment = Record<string, string | undefined>;

/** What a client command is given. */
export interface ClientSession {
  client: TydfsClient;
  signal: AbortSignal;
  output: Output;
  json: boolean;
  quiet: boolean;
}

/** One run of the program. */
export class Session {
  readonly output: Output;
  readonly env: Environment;
  /** The status with which the program ends unless an error says another. */
  exitStatus = 0;

  constructor(output: Output, env: Environment) {
    this.output = output;
    this.env = env;
  }

  /** Shows causes and stacks of errors. */
  get debug(): boolean {
    return (this.env["TYDFS_DEBUG"] ?? "") !== "";
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
    const settings = settingsOf(command, this.env);
    if (settings.url === "") {
      throw new ConfigError(
        "Cannot join a cluster: set TYDFS_URL or give --url, as the master's join line says",
      );
    }
    const { output } = this;
    const { json, quiet } = commonFlags(command);
    const { TydfsClient } = await import("../client/client.ts");
    await untilInterrupted(async (signal) => {
      const client = await TydfsClient.connect({
        url: settings.url,
        owner: settings.as === "" ? loginName(this.env) : settings.as,
        waitMs: settings.wait,
        parallel: settings.parallel,
        log: this.debug ? stderrLog("client", { level: "debug", format: "text" }) : silentLog,
        onWait: (notice) => {
          if (!quiet && options.tellWaits !== false) output.message(`tydfs: ${waitWords(notice)}`);
        },
      });
      try {
        await work({ client, signal, output, json, quiet });
      } finally {
        const late = () => new Error("no end");
        await withTimeout(systemClock, client.close(), CLOSE_MS, late).catch(() => {});
      }
    });
  }

  /**
   * Works on each item; a failure is told and the next one follows. The first failure's status is
   * the program's.
   */
  async forEach<T>(
    items: readonly T[],
    signal: AbortSignal,
    work: (item: T) => Promise<void>,
  ): Promise<void> {
    for (const item of items) {
      try {
        await work(item);
      } catch (error) {
        if (signal.aborted || items.length === 1) throw error;
        reportFailure(error, this.output, this.debug);
        this.exitStatus ||= exitStatusOf(error);
      }
    }
  }
}

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

/** What both roles run in: a log as their settings say, and a notifier of the service manager. */
import { systemClock } from "../base/clock.ts";
import type { Log, LogLevel } from "../base/log.ts";
import { stderrLog } from "../base/log.ts";
import type { Notifier } from "../base/notifier.ts";
import type { Settings } from "../config/options.ts";
import { TydfsError } from "../wire/errors.ts";
import { exitStatusOf, failureWords } from "./exit.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";

const FAILED_STATUS = 1;

export interface RoleParts {
  log: Log;
  notifier: Notifier;
}

/** Makes the logger of a role; `auto` means text for people and JSON for everything else. */
export function roleLog(role: string, settings: Settings, output: Output): Log {
  const text = settings.log_format === "text" ||
    (settings.log_format === "auto" && output.messagesOnTerminal);
  return stderrLog(role, {
    level: settings.log_level as LogLevel,
    format: text ? "text" : "json",
  });
}

/**
 * Runs a role to its end. What keeps it from starting is a line of its log where programs read
 * that; people get the line that any command ends with.
 */
export async function runRole(
  session: Session,
  log: Log,
  run: (parts: RoleParts) => Promise<number>,
): Promise<void> {
  const { openNotifier } = await import("../base/notifier.ts");
  // Bun would print it in its own form, many lines long, and end the process with the same status.
  const onUncaught = (error: unknown) => {
    const stack = error instanceof Error ? error.stack : undefined;
    log.error(failureWords(error), { stack });
    process.exit(FAILED_STATUS);
  };
  process.on("uncaughtException", onUncaught).on("unhandledRejection", onUncaught);
  try {
    const notifier = openNotifier(session.env, { clock: systemClock, log });
    session.exitStatus = await run({ log, notifier });
  } catch (error) {
    if (!log.isJson) throw error;
    const known = error instanceof TydfsError ? { code: error.code, cause: error.cause } : {};
    log.error(failureWords(error), known);
    session.exitStatus = exitStatusOf(error);
  } finally {
    process.off("uncaughtException", onUncaught).off("unhandledRejection", onUncaught);
  }
}

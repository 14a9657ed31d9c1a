/** The log of a role, as its settings say. */
import type { Log, LogLevel } from "../base/log.ts";
import { stderrLog } from "../base/log.ts";
import type { Settings } from "../config/options.ts";
import type { Output } from "./output.ts";

/** Makes the logger of a role; `auto` means text for people and JSON for everything else. */
export function roleLog(role: string, settings: Settings, output: Output): Log {
  const text = settings.log_format === "text" ||
    (settings.log_format === "auto" && output.messagesOnTerminal);
  return stderrLog(role, {
    level: settings.log_level as LogLevel,
    format: text ? "text" : "json",
  });
}

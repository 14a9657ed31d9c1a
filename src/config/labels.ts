/** Labels as they are written on command lines and in files. */
import type { ConfigError } from "./config_error.ts";

/** Parses `KEY=VALUE,…`. Throws what `fail` makes of the reason. */
export function parseLabels(
  text: string,
  fail: (reason: string) => ConfigError,
): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
    const match = /^\s*([\w.-]{1,63})=([\w.-]{1,63})\s*$/.exec(pair);
    if (match === null) throw fail(`"${pair}" is not KEY=VALUE`);
    const [, key = "", value = ""] = match;
    if (key in labels) throw fail(`"${key}" is given twice`);
    labels[key] = value;
  }
  return labels;
}

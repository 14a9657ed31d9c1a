/** Where a user's own files lie, as the XDG base directory specification says: names only. */
import { join } from "node:path";

type Environment = Record<string, string | undefined>;

/** The directory of settings, `~/.config/tydfs`; undefined for a user without a home. */
export function configHome(env: Environment): string | undefined {
  return baseDirectory(env, "XDG_CONFIG_HOME", ".config");
}

/** The directory of what is remembered between runs, `~/.local/state/tydfs`. */
export function stateHome(env: Environment): string | undefined {
  return baseDirectory(env, "XDG_STATE_HOME", ".local/state");
}

function baseDirectory(env: Environment, name: string, below: string): string | undefined {
  const given = env[name] ?? "";
  // The specification has relative ones ignored.
  if (given.startsWith("/")) return join(given, "tydfs");
  const home = env["HOME"] ?? "";
  return home === "" ? undefined : join(home, below, "tydfs");
}

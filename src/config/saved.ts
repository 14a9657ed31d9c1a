/**
 * Saved connections: names for join URLs, in a file that only its user can read. They hold secrets:
 * nothing here prints one.
 */
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parse as parseToml, stringify as formatToml } from "smol-toml";
import { configHome } from "./home.ts";
import { ConfigError } from "./load.ts";

/** The saved connections of a user. */
export interface SavedClusters {
  /** The name of the one that is taken when none is chosen. */
  standard: string | undefined;
  urlByName: ReadonlyMap<string, string>;
}

const FILE_NAME = "clusters.toml";
const NAME_PATTERN = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const HEADER = "# Written by tydfs login and tydfs logout. Holds secrets: keep it to yourself.\n";

/** Where they are saved; undefined for a user without a home. */
export function savedPath(env: Record<string, string | undefined>): string | undefined {
  const home = configHome(env);
  return home === undefined ? undefined : join(home, FILE_NAME);
}

/** Reads them; none when there is no file. Throws `ConfigError` when it can't be understood. */
export function readSaved(path: string | undefined): SavedClusters {
  if (path === undefined || !existsSync(path)) return { standard: undefined, urlByName: new Map() };
  let table: Record<string, unknown>;
  try {
    table = parseToml(readFileSync(path, "utf8"));
  } catch (cause) {
    throw unreadable(path, cause instanceof Error ? cause.message.split("\n")[0] : String(cause));
  }
  const urlByName = new Map<string, string>();
  const clusters: unknown = table["clusters"] ?? {};
  if (!isTable(clusters)) throw unreadable(path, `"clusters" is no table`);
  for (const [name, entry] of Object.entries(clusters)) {
    const url = isTable(entry) ? entry["url"] : undefined;
    if (typeof url !== "string") throw unreadable(path, `"${name}" has no url`);
    urlByName.set(name, url);
  }
  const standard = table["default"];
  return {
    standard: typeof standard === "string" && urlByName.has(standard) ? standard : undefined,
    urlByName,
  };
}

/**
 * Writes them in one step, into a file that nobody else can read. Throws `ConfigError` when that
 * fails.
 */
export function writeSaved(path: string, saved: SavedClusters): void {
  const { standard, urlByName } = saved;
  const clusters = Object.fromEntries([...urlByName].map(([name, url]) => [name, { url }]));
  const table = { ...(standard === undefined ? {} : { default: standard }), clusters };
  const draft = `${path}.${process.pid}.tmp`;
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    writeFileSync(draft, HEADER + formatToml(table) + "\n", { mode: 0o600, flush: true });
    // The mode of creation is nothing to a draft that a crash has left.
    chmodSync(draft, 0o600);
    renameSync(draft, path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Cannot save the connection in "${path}": ${reason}`);
  }
}

/** Checks a name for a connection. Throws `ConfigError`. */
export function parseSavedName(name: string): string {
  if (NAME_PATTERN.test(name)) return name;
  throw new ConfigError(
    `Cannot use "${name}" as the name of a connection: ` +
      "it must be of letters, digits, dots, dashes and underscores, 63 at most",
  );
}

/** A join URL with its secret hidden. */
export function maskUrl(url: string): string {
  return url.replace(/^([a-z]+:\/\/[^:@/]*:)[^/]*@/i, "$1***@");
}

function isTable(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function unreadable(path: string, reason = ""): ConfigError {
  return new ConfigError(
    `Cannot read the saved connections in "${path}": ${reason}; mend the file, or remove it`,
  );
}

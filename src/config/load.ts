/**
 * Where settings come from: flags before environment before `tydfs.toml` before defaults. Malformed
 * values and unknown keys are errors that name the place. The one door to the environment and to
 * smol-toml.
 */
import { existsSync, readFileSync } from "node:fs";
import { parse as parseToml, TomlError } from "smol-toml";
import { join } from "node:path";
import { formatDuration, formatSize, parseDuration, parseSize } from "../base/bytes.ts";
import { didYouMean, similarWord } from "../base/similar.ts";
import { ConfigError } from "./config_error.ts";
import { configHome } from "./home.ts";
import { parseLabels } from "./labels.ts";
import {
  defaultHere,
  envName,
  flagName,
  type OptionKey,
  OPTIONS,
  type Settings,
} from "./options.ts";
import { parseRules, RULE_KEY, type RuleSetting } from "./rules.ts";

export { ConfigError } from "./config_error.ts";

/** The configuration file that is read when none is named. */
export const CONFIG_FILE_DEFAULT = "tydfs.toml";

/** Values as they may be written, for errors. */
const SUCH_AS: Readonly<Record<string, string>> = { number: "3", size: "64MiB", duration: "30s" };

/** Why a file can't be read, in words. */
const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: "there is no such file",
  EISDIR: "it is a directory",
  EACCES: "permission denied",
};

/** Variables that are no settings. */
const OTHER_VARIABLES = ["TYDFS_DEBUG", "TYDFS_FAILPOINTS"];

/**
 * The path of the configuration file that is read when none is named: that of the working
 * directory, else the user's own (`~/.config/tydfs/tydfs.toml`); undefined when there is neither.
 */
export function findConfigFile(env: Record<string, string | undefined>): string | undefined {
  const home = configHome(env);
  const places = [CONFIG_FILE_DEFAULT, ...(home ? [join(home, CONFIG_FILE_DEFAULT)] : [])];
  return places.find((path) => existsSync(path));
}

/** A warning for each variable of the environment that looks like a setting with a typing error. */
export function doubtfulVariables(env: Record<string, string | undefined>): string[] {
  const known = [...(Object.keys(OPTIONS) as OptionKey[]).map(envName), ...OTHER_VARIABLES];
  return Object.keys(env).filter((name) => name.startsWith("TYDFS_") && !known.includes(name))
    .flatMap((name) => {
      const similar = similarWord(name, known);
      if (similar === undefined) return [];
      return [`The environment has ${name}, which is no setting: did you mean ${similar}?`];
    });
}

export interface ConfigSources {
  /** Flags as they were given, by key. */
  flags: Partial<Record<OptionKey, string>>;
  env: Record<string, string | undefined>;
  /** The path of a `tydfs.toml`. */
  file?: string;
}

export type OriginKind = "flag" | "environment" | "file" | "saved" | "default";

/** Where a value came from. */
export interface Origin {
  kind: OriginKind;
  /** The same for people: `flag --wait`, `file "tydfs.toml", line 3`. */
  text: string;
  /** The value as it was written there. */
  written: string;
}

/** The settings, and for each where it came from. */
export interface LoadedConfig {
  settings: Settings;
  origin: Record<OptionKey, Origin>;
}

/**
 * Loads all settings. Throws `ConfigError` on the first that is malformed, out of bounds or
 * unknown.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const { values: file, rules } = sources.file === undefined
    ? { values: {}, rules: [] }
    : readConfigFile(sources.file);
  const settings: Record<string, unknown> = { rules };
  const origin: Partial<Record<OptionKey, Origin>> = {};
  for (const key of Object.keys(OPTIONS) as OptionKey[]) {
    const found = findValue(key, sources, file[key]);
    settings[key] = parseOption(key, found.written, found.text);
    origin[key] = found;
  }
  checkCopies(settings as Settings, origin as Record<OptionKey, Origin>);
  return { settings: settings as Settings, origin: origin as Record<OptionKey, Origin> };
}

/** Throws when more copies are to be waited for than are made; the default gives way. */
function checkCopies(
  { replicas, min_copies: needed }: Settings,
  { replicas: goal, min_copies: { kind, text } }: Record<OptionKey, Origin>,
): void {
  if (kind === "default" || needed <= replicas) return;
  throw new ConfigError(
    `Cannot use "${needed}" for "min_copies" (${text}): ` +
      `"replicas" is ${replicas} (${goal.text}), and no more copies are made`,
  );
}

/** The value of a setting, from the first place that has one. */
function findValue(
  key: OptionKey,
  { flags, env, file }: ConfigSources,
  inFile: FileValue = { text: "", line: 0 },
): Origin {
  const places: Origin[] = [
    { kind: "flag", text: `flag ${flagName(key)}`, written: flags[key] ?? "" },
    { kind: "environment", text: `environment ${envName(key)}`, written: env[envName(key)] ?? "" },
    { kind: "file", text: `file "${file}", line ${inFile.line}`, written: inFile.text },
  ];
  return places.find(({ written }) => written !== "") ??
    { kind: "default", text: "default", written: defaultHere(key) };
}

/** Parses one setting; `place` is named in the error. */
export function parseOption(key: OptionKey, text: string, place: string): unknown {
  const option = OPTIONS[key];
  const fail = (reason: string) =>
    new ConfigError(`Cannot use "${text}" for "${key}" (${place}): ${reason}`);
  switch (option.type) {
    case "text": {
      const words: readonly string[] | undefined = "words" in option ? option.words : undefined;
      if (words !== undefined && !words.includes(text)) {
        throw fail(`it must be one of ${words.join(", ")}${didYouMean(text, words)}`);
      }
      const bytesMax: number | undefined = "bytesMax" in option ? option.bytesMax : undefined;
      if (bytesMax !== undefined && Buffer.byteLength(text) > bytesMax) {
        throw fail(`it has over ${bytesMax} bytes`);
      }
      return text;
    }
    case "list":
      return text.split(",").map((item) => item.trim()).filter((item) => item !== "");
    case "labels":
      return parseLabels(text, fail);
    case "number":
      if (text === "") return undefined;
      return inBounds(key, /^\d+$/.test(text) ? Number(text) : undefined, fail, String);
    case "size":
      if (text === "") return undefined;
      return inBounds(key, parseSize(text), fail, formatSize);
    case "duration":
      return inBounds(key, parseDuration(text), fail, formatDuration);
  }
}

function inBounds(
  key: OptionKey,
  value: number | undefined,
  fail: (reason: string) => ConfigError,
  show: (value: number) => string,
): number {
  const option: { type: string; min?: number; max?: number; multiple?: number } = OPTIONS[key];
  if (value === undefined) throw fail(`it is no ${option.type}, such as ${SUCH_AS[option.type]}`);
  if (option.min !== undefined && value < option.min) {
    throw fail(`the least is ${show(option.min)}`);
  }
  if (option.max !== undefined && value > option.max) {
    throw fail(`the most is ${show(option.max)}`);
  }
  if (option.multiple !== undefined && value % option.multiple !== 0) {
    throw fail(`it is no multiple of ${show(option.multiple)}`);
  }
  return value;
}

/** What a `tydfs.toml` says. */
interface ConfigFile {
  values: Partial<Record<OptionKey, FileValue>>;
  rules: RuleSetting[];
}

/** A value in a file: as the text that it would be on the command line. */
interface FileValue {
  text: string;
  line: number;
}

/** Reads a `tydfs.toml`: flat but for its rules. */
function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    const reason = UNREADABLE[code ?? ""] ?? message;
    throw new ConfigError(`Cannot read the configuration "${path}": ${reason}`);
  }
  let table: Record<string, unknown>;
  try {
    table = parseToml(text);
  } catch (cause) {
    if (!(cause instanceof TomlError)) throw cause;
    const reason = cause.message.split("\n")[0];
    throw new ConfigError(`Cannot read "${path}", line ${cause.line}: ${reason}`);
  }
  const values: Partial<Record<OptionKey, FileValue>> = {};
  const { [RULE_KEY]: ruleTables, ...flat } = table;
  for (const [key, value] of Object.entries(flat)) {
    const line = lineOf(text, key);
    const place = `"${path}", line ${line}`;
    if (!Object.hasOwn(OPTIONS, key)) {
      const known = [...Object.keys(OPTIONS), RULE_KEY];
      const next = didYouMean(key, known) || "; tydfs config show lists the keys";
      throw new ConfigError(`Unknown key "${key}" in ${place}${next}`);
    }
    values[key as OptionKey] = { text: asText(value, place, key), line };
  }
  const settings = new Set(Object.keys(OPTIONS));
  const rules = ruleTables === undefined ? [] : parseRules(ruleTables, { text, path, settings });
  return { values, rules };
}

function asText(value: unknown, place: string, key: string): string {
  if (typeof value === "string" || typeof value === "number") return String(value);
  if (Array.isArray(value)) return value.map((item) => asText(item, place, key)).join(",");
  if (typeof value === "object" && value !== null) {
    return Object.entries(value).map(([label, word]) => `${label}=${String(word)}`).join(",");
  }
  throw new ConfigError(
    `Cannot use the value of "${key}" in ${place}: it must be text, a number, or a list of these`,
  );
}

function lineOf(text: string, key: string): number {
  const pattern = new RegExp(`^\\s*\\[?["']?${key}["']?\\s*[=\\].]`);
  return text.split("\n").findIndex((line) => pattern.test(line)) + 1;
}

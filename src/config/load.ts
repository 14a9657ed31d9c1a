/**
 * Where settings come from: flags before environment before `tydfs.toml` before defaults. Malformed
 * values and unknown keys are errors that name the place. The one door to the environment and to
 * smol-toml.
 */
import { existsSync, readFileSync } from "node:fs";
import { parse as parseToml, TomlError } from "smol-toml";
import { formatDuration, formatSize, parseDuration, parseSize } from "../base/bytes.ts";
import { ConfigError } from "./config_error.ts";
import { parseLabels } from "./labels.ts";
import { envName, flagName, type OptionKey, OPTIONS, type Settings } from "./options.ts";
import { parseRules, RULE_KEY, type RuleSetting } from "./rules.ts";

export { ConfigError } from "./config_error.ts";

/** The configuration file that is read when none is named. */
export const CONFIG_FILE_DEFAULT = "tydfs.toml";

/** The path of the configuration file in the working directory, if there is one. */
export function findConfigFile(): string | undefined {
  return existsSync(CONFIG_FILE_DEFAULT) ? CONFIG_FILE_DEFAULT : undefined;
}

export interface ConfigSources {
  /** Flags as they were given, by key. */
  flags: Partial<Record<OptionKey, string>>;
  env: Record<string, string | undefined>;
  /** The path of a `tydfs.toml`. */
  file?: string;
}

/** The settings, and for each where it came from (`flag`, `env`, `file`, `default`). */
export interface LoadedConfig {
  settings: Settings;
  origin: Record<OptionKey, string>;
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
  const origin: Record<string, string> = {};
  for (const key of Object.keys(OPTIONS) as OptionKey[]) {
    const found: [string | undefined, string][] = [
      [sources.flags[key], `flag ${flagName(key)}`],
      [sources.env[envName(key)], `environment ${envName(key)}`],
      [file[key], `file ${sources.file}`],
      [OPTIONS[key].default, "default"],
    ];
    const [text = "", place = ""] = found.find(([value]) => value !== undefined && value !== "") ??
      ["", "default"];
    settings[key] = parseOption(key, text, place);
    origin[key] = place;
  }
  return { settings: settings as Settings, origin: origin as Record<OptionKey, string> };
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
        throw fail(`it must be one of ${words.join(", ")}`);
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
  if (value === undefined) throw fail(`it is no ${option.type}`);
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
  /** Every value as the text it would be on the command line. */
  values: Partial<Record<OptionKey, string>>;
  rules: RuleSetting[];
}

/** Reads a `tydfs.toml`: flat but for its rules. */
function readConfigFile(path: string): ConfigFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
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
  const values: Partial<Record<OptionKey, string>> = {};
  const { [RULE_KEY]: ruleTables, ...flat } = table;
  for (const [key, value] of Object.entries(flat)) {
    if (!(key in OPTIONS)) {
      throw new ConfigError(`Unknown key "${key}" in "${path}", line ${lineOf(text, key)}`);
    }
    values[key as OptionKey] = asText(value, `"${path}", line ${lineOf(text, key)}`, key);
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
  throw new ConfigError(`Cannot use the value of "${key}" in ${place}`);
}

function lineOf(text: string, key: string): number {
  const pattern = new RegExp(`^\\s*\\[?["']?${key}["']?\\s*[=\\].]`);
  return text.split("\n").findIndex((line) => pattern.test(line)) + 1;
}

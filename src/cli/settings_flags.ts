/**
 * Flags of commands from the one table of settings, and the way back from parsed flags to settings.
 */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { chooseConnection } from "../config/connection.ts";
import type { LoadedConfig } from "../config/load.ts";
import { CONFIG_FILE_DEFAULT, findConfigFile, loadConfig } from "../config/load.ts";
import type { OptionKey, Settings } from "../config/options.ts";
import { defaultFor, envName, flagName, OPTIONS, sentenceFor } from "../config/options.ts";
import { readSaved, savedPath } from "../config/saved.ts";
import { COLOR_CHOICES } from "./color.ts";

/** Who takes a setting as a flag. */
export type SettingsUser = "master" | "keeper" | "client";

/** The keys of the settings that `user` takes. */
export function keysFor(user: SettingsUser | "anyone"): OptionKey[] {
  return (Object.keys(OPTIONS) as OptionKey[]).filter((key) =>
    user === "anyone" || (OPTIONS[key].for as readonly SettingsUser[]).includes(user)
  );
}

/**
 * Adds the flags of `user`'s settings to a command, `hidden` from its help or with default and
 * environment name.
 */
export function addSettings(
  command: CommandUnknownOpts,
  user: SettingsUser | "anyone",
  hidden: boolean,
): void {
  for (const key of keysFor(user)) {
    const { type, words }: { type: string; words?: readonly string[] } = OPTIONS[key];
    const role = user === "anyone" ? OPTIONS[key].for[0] : user;
    const standard = defaultFor(key, role);
    const sentence = sentenceFor(key, role);
    const value = words?.join("|") ?? type;
    const facts = standard === "" ? envName(key) : `default ${standard}; ${envName(key)}`;
    const option = new Option(`${flagName(key)} <${value}>`, `${sentence} (${facts})`)
      .helpGroup("Settings:");
    command.addOption(hidden ? option.hideHelp() : option);
  }
}

/** Adds the flag that names a configuration file. */
export function addConfigFlag(command: CommandUnknownOpts): void {
  command.addOption(configFlag());
}

/**
 * Adds the flags that every command has whose result is read by people or by scripts; no `json`
 * where the result is a file's bytes.
 */
export function addGlobals(
  command: CommandUnknownOpts,
  hidden: boolean,
  { json = true }: { json?: boolean } = {},
): void {
  const jsonFlag = new Option("--json", "Print one JSON value on stdout, and nothing else there");
  const globals = [
    ...(json ? [jsonFlag] : []),
    new Option("-q, --quiet", "Print no messages but errors"),
    new Option("--color <when>", "Use colours").choices(COLOR_CHOICES).default("auto"),
    configFlag(),
  ].map((option) => option.helpGroup("Common options:"));
  for (const option of globals) command.addOption(hidden ? option.hideHelp() : option);
}

/** What a command takes over from the one that it runs in: the flags of `tydfs shell`. */
export interface InheritedFlags {
  flags: Partial<Record<OptionKey, string>>;
  config: string | undefined;
}

type Environment = Record<string, string | undefined>;

/** The settings of a command as parsed. Throws `ConfigError`. */
export function settingsOf(command: CommandUnknownOpts, env: Environment): Settings {
  return loadSettings(command, env).settings;
}

/**
 * The same for a command that joins a cluster as a client: its `url` may be that of a saved
 * connection, and is empty when there is none at all.
 */
export function clientSettingsOf(
  command: CommandUnknownOpts,
  env: Environment,
  inherited?: InheritedFlags,
): Settings {
  return withConnection(loadSettings(command, env, inherited), env).settings;
}

/** Settings of a client with the URL that is in force. Throws `ConfigError`. */
export function withConnection(loaded: LoadedConfig, env: Environment): LoadedConfig {
  const { url, origin } = chooseConnection(loaded, () => readSaved(savedPath(env)));
  if (url === loaded.settings.url) return loaded;
  return { settings: { ...loaded.settings, url }, origin: { ...loaded.origin, url: origin } };
}

/** The settings of a command, and where each came from. Throws `ConfigError`. */
export function loadSettings(
  command: CommandUnknownOpts,
  env: Environment,
  inherited?: InheritedFlags,
): LoadedConfig {
  const own = givenFlags(command);
  const flags = { ...inherited?.flags, ...own.flags };
  if (own.flags.cluster !== undefined && own.flags.url === undefined) delete flags.url;
  const file = own.config ?? inherited?.config ?? findConfigFile(env);
  return loadConfig({ flags, env, ...(file === undefined ? {} : { file }) });
}

/** The settings that stand on the command line as flags. */
export function givenFlags(command: CommandUnknownOpts): InheritedFlags {
  const parsed: Record<string, unknown> = command.optsWithGlobals();
  const flags: Partial<Record<OptionKey, string>> = {};
  for (const key of Object.keys(OPTIONS) as OptionKey[]) {
    const value = parsed[attributeOf(key)];
    if (typeof value === "string") flags[key] = value;
  }
  const config = parsed["config"];
  return { flags, config: typeof config === "string" ? config : undefined };
}

function configFlag(): Option {
  const sentence = `Read settings from this file (default ${CONFIG_FILE_DEFAULT})`;
  return new Option("--config <file>", sentence);
}

/** commander's name of a flag: `minCopies` for `--min-copies`. */
function attributeOf(key: OptionKey): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * Flags of commands from the one table of settings, and the way back from parsed flags to settings.
 */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { CONFIG_FILE_DEFAULT, findConfigFile, loadConfig } from "../config/load.ts";
import type { OptionKey, Settings } from "../config/options.ts";
import { envName, flagName, OPTIONS } from "../config/options.ts";

/** Who takes a setting as a flag. */
export type SettingsUser = "master" | "keeper" | "client";

/** The keys of the settings that `user` takes. */
export function keysFor(user: SettingsUser): OptionKey[] {
  return (Object.keys(OPTIONS) as OptionKey[]).filter((key) =>
    (OPTIONS[key].for as readonly SettingsUser[]).includes(user)
  );
}

/**
 * Adds the flags of `user`'s settings to a command, `hidden` from its help or with default and
 * environment name.
 */
export function addSettings(
  command: CommandUnknownOpts,
  user: SettingsUser,
  hidden: boolean,
): void {
  for (const key of keysFor(user)) {
    const row: { type: string; default: string; sentence: string; words?: readonly string[] } =
      OPTIONS[key];
    const { type, sentence, words, default: standard } = row;
    const value = words?.join("|") ?? type;
    const facts = standard === "" ? envName(key) : `default ${standard}; ${envName(key)}`;
    const option = new Option(`${flagName(key)} <${value}>`, `${sentence} (${facts})`);
    command.addOption(hidden ? option.hideHelp() : option);
  }
}

/** Adds the flag that names a configuration file. */
export function addConfigFlag(command: CommandUnknownOpts): void {
  command.addOption(configFlag());
}

/** Adds the flags that every command has whose result is read by people or by scripts. */
export function addGlobals(command: CommandUnknownOpts, hidden: boolean): void {
  const globals = [
    new Option("--json", "Print one JSON value on stdout, and nothing else there"),
    new Option("-q, --quiet", "Print no messages but errors"),
    configFlag(),
  ];
  for (const option of globals) command.addOption(hidden ? option.hideHelp() : option);
}

/** The settings of a command as parsed. Throws `ConfigError`. */
export function settingsOf(
  command: CommandUnknownOpts,
  env: Record<string, string | undefined>,
): Settings {
  const parsed: Record<string, unknown> = command.optsWithGlobals();
  const flags: Partial<Record<OptionKey, string>> = {};
  for (const key of Object.keys(OPTIONS) as OptionKey[]) {
    const value = parsed[attributeOf(key)];
    if (typeof value === "string") flags[key] = value;
  }
  const given = parsed["config"];
  const file = typeof given === "string" ? given : findConfigFile();
  return loadConfig({ flags, env, ...(file === undefined ? {} : { file }) }).settings;
}

function configFlag(): Option {
  const sentence = `Read settings from this file (default ${CONFIG_FILE_DEFAULT})`;
  return new Option("--config <file>", sentence);
}

/** commander's name of a flag: `minCopies` for `--min-copies`. */
function attributeOf(key: OptionKey): string {
  return key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

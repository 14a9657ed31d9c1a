/** `tydfs config`: which settings are in force and where they come from; checks a file. */
import type { Command } from "@commander-js/extra-typings";
import { Option } from "@commander-js/extra-typings";
import { didYouMean } from "../base/similar.ts";
import type { LoadedConfig } from "../config/load.ts";
import { ConfigError, findConfigFile, loadConfig } from "../config/load.ts";
import type { OptionKey, Settings } from "../config/options.ts";
import { defaultFor, OPTIONS } from "../config/options.ts";
import { maskUrl } from "../config/saved.ts";
import type { Paint } from "./color.ts";
import { alignColumns, formatCount } from "./format/format.ts";
import { printable } from "./output.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import type { SettingsUser } from "./settings_flags.ts";
import {
  addGlobals,
  addSettings,
  keysFor,
  loadSettings,
  withConnection,
} from "./settings_flags.ts";

const ROLES = ["client", "keeper", "master"] as const;

const SHOW_TEXT = `
One line a setting: key, value, and where the value comes from: a flag (given
here as it would be to the command), the environment, a file with its line, a
saved connection, or the default. Secrets in URLs are hidden.

Examples:
  tydfs config show
  tydfs config show url
  tydfs config show --role master replicas chunk_size
  tydfs config show --json | jq -r .url.from
`;

const CHECK_TEXT = `
FILE is ./tydfs.toml, else ~/.config/tydfs/tydfs.toml, unless given. The first
mistake is told with its line, and the exit status is 2.

Examples:
  tydfs config check
  tydfs config check /etc/tydfs/tydfs.toml
`;

const GROUP_TEXT = `
Examples:
  tydfs config show
  tydfs config check tydfs.toml
`;

/** Declares the commands. */
export function addConfig(program: Command, session: Session): void {
  const group = program.command("config")
    .description("Show settings and where they come from; check a file")
    .helpCommand(false)
    .addHelpText("after", GROUP_TEXT);
  const show = group.command("show")
    .description("Show each setting that is in force, and where it comes from")
    .argument("[KEY...]", "Only these settings; all unless given")
    .addOption(new Option("--role <role>", "Whose settings").choices(ROLES).default("client"))
    .option("--show-secrets", "Show URLs as they are")
    .addHelpText("after", SHOW_TEXT)
    .action((keys, flags, self) => {
      const role = flags.role as SettingsUser;
      const loaded = loadSettings(self, session.env);
      const all = role === "client" ? withConnection(loaded, session.env) : loaded;
      const rows = chooseKeys(keys, role).map((key) =>
        settingRow(key, all, role, flags.showSecrets === true)
      );
      const { output } = session;
      if (commonFlags(self).json) {
        const facts = rows.map(({ key, value, from }) => [key, { value: value ?? null, from }]);
        return output.line(JSON.stringify(Object.fromEntries(facts)));
      }
      formatRows(rows, output.paint).forEach((line) => output.line(line));
    });
  addSettings(show, "anyone", true);
  addGlobals(show, false);
  const check = group.command("check")
    .description("Check a configuration file")
    .argument("[FILE]", "The file")
    .addHelpText("after", CHECK_TEXT)
    .action((given, _flags, self) => {
      const file = given ?? findConfigFile(session.env);
      if (file === undefined) {
        throw new ConfigError(
          "Cannot check the configuration: there is no tydfs.toml; name a file",
        );
      }
      const { origin } = loadConfig({ flags: {}, env: {}, file });
      const keys = Object.values(origin).filter(({ kind }) => kind === "file").length;
      const { json, quiet } = commonFlags(self);
      if (json) session.output.line(JSON.stringify({ file, keys }));
      else if (!quiet) {
        session.output.line(`"${printable(file)}" is right · ${formatCount(keys, "setting")}`);
      }
    });
  addGlobals(check, false);
}

interface SettingRow {
  key: OptionKey;
  /** As one would write it; numbers, lists and labels as they are, undefined when it is not set. */
  value: Settings[OptionKey] | undefined;
  from: string;
}

function chooseKeys(given: readonly string[], role: SettingsUser): OptionKey[] {
  const known = keysFor(role);
  if (given.length === 0) return known;
  return given.map((word) => {
    const key = word.replace(/^--/, "").replaceAll("-", "_");
    const found = known.find((each) => each === key);
    if (found !== undefined) return found;
    if (Object.hasOwn(OPTIONS, key)) {
      const roles = OPTIONS[key as OptionKey].for.join(", ");
      throw new ConfigError(
        `Cannot show "${word}": it is no setting of a ${role}, but of ${roles}; see --role`,
      );
    }
    const next = didYouMean(key, Object.keys(OPTIONS)) || "; tydfs config show lists all";
    throw new ConfigError(`Cannot show "${word}": there is no such setting${next}`);
  });
}

function settingRow(
  key: OptionKey,
  { settings, origin }: LoadedConfig,
  role: SettingsUser,
  showSecrets: boolean,
): SettingRow {
  const { kind, text: from, written } = origin[key];
  const unset = kind === "default" && defaultFor(key, role) === "";
  if (unset || written === "") return { key, value: undefined, from };
  const { type } = OPTIONS[key];
  if (type === "number" || type === "list" || type === "labels") {
    return { key, value: settings[key], from };
  }
  return { key, value: showSecrets ? written : maskUrl(written), from };
}

function formatRows(rows: readonly SettingRow[], paint: Paint): string[] {
  return alignColumns(
    rows.map(({ key, value, from }) => [key, shown(value), paint("faint", printable(from))]),
    [],
  );
}

function shown(value: SettingRow["value"]): string {
  if (value === undefined) return "-";
  if (Array.isArray(value)) return value.length === 0 ? "-" : printable(value.join(","));
  if (typeof value !== "object") return printable(String(value));
  const pairs = Object.entries(value).map(([label, word]) => `${label}=${word}`);
  return pairs.length === 0 ? "-" : pairs.join(",");
}

/** `tydfs login`: saves a cluster's URL under a name. */
import type { Command } from "@commander-js/extra-typings";
import { ConfigError } from "../config/load.ts";
import { maskUrl, parseSavedName, readSaved, savedPath, writeSaved } from "../config/saved.ts";
import { parseClusterUrl } from "../wire/url.ts";
import { alignColumns, formatCount } from "./format/format.ts";
import { printable } from "./output.ts";
import type { Environment, Session } from "./session.ts";
import { commonFlags, ownConnection } from "./session.ts";
import { addGlobals } from "./settings_flags.ts";

const STDIN = "-";
const URL_CHARS_MAX = 4096;

const EXAMPLES = `
The URL is the client's line that the master printed (join.client in its data
directory). It is checked by connecting, and saved in
~/.config/tydfs/clusters.toml, which only you can read. The first one that is
saved is the default; --cluster NAME or TYDFS_CLUSTER chooses another.

The URL holds a secret, and a shell remembers its command lines: without URL
it is asked for, and with - it is read from standard input.

Examples:
  tydfs login --name home
  tydfs login - --name lab < join.client
  tydfs login tydfs://client:SECRET@10.0.0.7:4222 --name barn --default
  tydfs login --list
`;

interface LoginFlags {
  name?: string;
  default?: true;
  check: boolean;
  list?: true;
}

/** Declares the command. */
export function addLogin(program: Command, session: Session): void {
  const command = program.command("login")
    .description("Save the URL of a cluster under a name")
    .argument("[URL]", "The cluster's URL for clients; - reads it from standard input")
    .option("--name <name>", "The name to save it under; the master's host unless given")
    .option("--default", "Take it when no cluster is named, in place of the one so far")
    .option("--no-check", "Save it without connecting first")
    .option("--list", "Show what is saved, with secrets hidden")
    .addHelpText("after", EXAMPLES)
    .action(async (given, flags, self) => {
      const { json, quiet } = commonFlags(self);
      if (flags.list === true) return listSaved(session, json);
      const line = await logIn(session, given, flags);
      if (!quiet) session.output.line(line);
    });
  addGlobals(command, false);
}

/** Where connections are saved. Throws `ConfigError` for a user without a home. */
export function mustHaveSavedPath(env: Environment): string {
  const path = savedPath(env);
  if (path !== undefined) return path;
  throw new ConfigError("Cannot tell where connections are saved: set HOME or XDG_CONFIG_HOME");
}

function listSaved({ env, output }: Session, json: boolean): void {
  const { standard, urlByName } = readSaved(mustHaveSavedPath(env));
  const saved = [...urlByName].map(([name, url]) => ({
    name,
    url: maskUrl(url),
    default: name === standard,
  }));
  if (json) return output.line(JSON.stringify(saved));
  if (saved.length === 0) output.message("No connection is saved yet");
  const rows = saved.map((each) => [
    each.name,
    printable(each.url) + (each.default ? "  (default)" : ""),
  ]);
  alignColumns(rows, []).forEach((line) => output.line(line));
}

async function logIn(
  session: Session,
  given: string | undefined,
  flags: LoginFlags,
): Promise<string> {
  const path = mustHaveSavedPath(session.env);
  const url = (given === undefined || given === STDIN ? await readUrl(given) : given).trim();
  const { role, host } = parseClusterUrl(url);
  if (role !== "client") {
    throw new ConfigError(
      `Cannot save this URL: it is for the role "${role}"; ` +
        "take the line for clients that the master printed (join.client in its data directory)",
    );
  }
  const name = parseSavedName(flags.name ?? host.replace(/[^A-Za-z0-9.-]/g, ""));
  const facts = flags.check ? await check(session, url) : "not checked";
  const { standard, urlByName } = readSaved(path);
  const saved = new Map(urlByName).set(name, url);
  const chosen = flags.default === true ? name : standard ?? name;
  writeSaved(path, { standard: chosen, urlByName: saved });
  const use = chosen === name ? "the default" : `choose it with --cluster ${name}`;
  return `saved "${name}" · ${maskUrl(url)} · ${facts} · ${use}`;
}

async function readUrl(given: string | undefined): Promise<string> {
  const { canAsk, readLine } = await import("./line_reader.ts");
  if (given === undefined && canAsk()) {
    const read = await readLine({ prompt: "URL of the cluster (not shown): ", hidden: true });
    if (read.kind === "line" && read.text.trim() !== "") return read.text;
    throw new ConfigError("Cannot log in: no URL was given; the master printed it for clients");
  }
  const { standardInput } = await import("../client/local_files.ts");
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of standardInput()) {
    text += decoder.decode(bytes, { stream: true });
    if (text.includes("\n") || text.length > URL_CHARS_MAX) break;
  }
  const url = text.split("\n")[0]?.trim() ?? "";
  if (url !== "" && url.length <= URL_CHARS_MAX) return url;
  throw new ConfigError("Cannot log in: standard input has no URL; its first line must be one");
}

/** Joins the cluster once; says what is there. */
async function check(session: Session, url: string): Promise<string> {
  const join = { url, owner: "", waitMs: 0, parallel: 1 };
  const { untilInterrupted } = await import("./interrupt.ts");
  return await untilInterrupted(async (signal) => {
    const client = await ownConnection.join(join);
    try {
      const { cluster, keepers } = await client.status({ signal });
      const alive = keepers.filter(({ state }) => state === "ALIVE").length;
      return `cluster ${cluster}, ${formatCount(alive, "keeper")} alive`;
    } finally {
      await ownConnection.leave(client);
    }
  }, { stays: session.stays });
}

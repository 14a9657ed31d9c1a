/** `tydfs get`: gets files and trees out of the cluster, or one file to standard output. */
import { basename, dirname } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import type { GetOptions, GetResult } from "../client/client.ts";
import type { Job } from "../client/trees/job_runner.ts";
import { hasPattern } from "../client/pattern.ts";
import type { MadeLink } from "../client/trees/jobs.ts";
import { ConfigError } from "../config/load.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { isLinkMode } from "../wire/file.ts";
import { quotePath } from "../wire/names.ts";
import { collecting, STREAM_COLLECT_BYTES } from "./transfer/collect.ts";
import { formatGet, getJson } from "./format/format.ts";
import { ProgressBar } from "./transfer/progress.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import type { TreeFlags } from "./transfer/flags.ts";
import { addTreeFlags, filterOf, GO_ON, treeFlags } from "./transfer/flags.ts";

const STDOUT = "-";

const EXAMPLES = `
Parts come from several keepers at once, and each block is checked against its
sum. A local file that is there is replaced when the download is whole, and
stays as it is otherwise. LOCAL is . unless given; a local directory (or a name
that ends with /) takes a file under its own name, and otherwise the file
becomes LOCAL. A tree becomes LOCAL, or goes into it where LOCAL is . or .. or
ends with /, whether it is there or not; several sources always go into it.
DIR/. is what is in DIR. Missing directories are made.

REMOTE may be a pattern: *, ? and [a-z] within a name, ** over directories,
{a,b}; quote it. What matches goes below LOCAL under the path that it has below
the last directory without a pattern. Trees keep modes, times, empty directories
and symbolic links. Nothing is ever written through a symbolic link below LOCAL.
What fails is listed at the end. With -r what is there already with the same
size and time is left (but for --ignore-times), so that the same command goes on
where an interrupted one was. With -r, --json prints one line for each event.

Examples:
  tydfs get /videos/video.mp4
  tydfs get /videos/video.mp4 ~/films/
  tydfs get '/videos/**/*.mp4' ~/films/        all that match
  tydfs get -r /archive/photos .               a tree, to ./photos
  tydfs get /photos.tar - | tar x
  tydfs get --parallel 8 --sync /videos/video.mp4 /mnt/usb/video.mp4
`;

interface GetRun {
  session: Session;
  connected: ClientSession;
  remotes: string[];
  local: string;
  flags: TreeFlags;
  get: GetOptions;
}

/** Declares the command. */
export function addGet(program: Command, session: Session): void {
  const command = program.command("get")
    .description("Get files or trees out of the cluster")
    .usage("[options] REMOTE... [LOCAL]")
    .argument("<REMOTE...>", "Paths or patterns in the cluster, and last where they go")
    .option("-r, --recursive", "Directories, with all that is below")
    .option("-I, --ignore-times", "With -r: also what is there with the same size and time")
    .option("--sync", "Wait until the local files are on their disk")
    .addHelpText("after", EXAMPLES);
  addTreeFlags(command, ["keep", "skip"]);
  command.action(async (words, options, self) => {
    const remotes = words.length > 1 ? words.slice(0, -1) : [...words];
    const local = words.length > 1 ? words.at(-1) ?? "." : ".";
    const flags = treeFlags(self);
    await filterOf(flags);
    const [remote = ""] = remotes;
    if (local === STDOUT && (remotes.length > 1 || flags.recursive)) {
      throw new ConfigError("Cannot get several files to standard output: use cat");
    }
    await session.withClient(self, async (connected) => {
      const get = { sync: options.sync === true };
      const run = { session, connected, remotes, local, flags, get };
      if (local === STDOUT) await getToStdout(connected, remote);
      else if (remotes.length > 1 || flags.recursive || flags.dryRun) await getSeveral(run);
      else if (hasPattern(remote) && !await isName(connected, remote)) await getSeveral(run);
      else await getAlone(run, remote);
    });
  });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Whether a word with magic characters is the name of something that is there. */
async function isName({ client, signal }: ClientSession, remote: string): Promise<boolean> {
  return await client.stat(remote, { signal }).then(() => true, (error) => {
    if (hasCode(error, "not-found")) return false;
    throw error;
  });
}

/** One file that is named by its path. */
async function getAlone({ connected, local, get }: GetRun, remote: string): Promise<void> {
  const { client, signal, output, json, quiet } = connected;
  const { entry } = await client.stat(remote, { signal });
  if (entry.kind === "directory") throw directoryError(remote);
  if (isLinkMode(entry.mode)) {
    const { getLink } = await import("../client/trees/get.ts");
    const made = await getLink(client, entry, { local, signal });
    const result = { path: entry.path, ...made };
    if (json) output.line(JSON.stringify(result));
    else if (!quiet) output.line(formatLink(result));
    return;
  }
  const progress = new ProgressBar(output, remote, json || quiet);
  const options = { ...get, signal, onProgress: collecting(progress.listener) };
  const result = await client.get(remote, local, options).finally(() => progress.end());
  if (json) output.line(JSON.stringify(getJson(result)));
  else if (!quiet) output.line(formatGet(result));
}

async function getToStdout(
  { client, signal, output, json, quiet }: ClientSession,
  remote: string,
): Promise<void> {
  const progress = new ProgressBar(output, remote, json || quiet);
  const onProgress = collecting(progress.listener, STREAM_COLLECT_BYTES);
  try {
    for await (const bytes of client.read(remote, { signal, onProgress })) {
      if (!await output.bytes(bytes)) return;
    }
  } finally {
    progress.end();
  }
}

/** Several files, what matches a pattern, or trees. */
async function getSeveral(run: GetRun): Promise<void> {
  const { session, connected, remotes, flags, get } = run;
  const { client, signal, output, json, quiet } = connected;
  const { findGets } = await import("../client/trees/get.ts");
  const { findGetRoots } = await import("../client/trees/get_roots.ts");
  const { LocalWriter } = await import("../client/trees/local_writer.ts");
  const { runJobs } = await import("../client/trees/job_runner.ts");
  const { runTree } = await import("./transfer/run.ts");
  const filter = await filterOf(flags);
  const place = await choosePlace(run);
  let printed = 0;
  const onDone = ({ kind, from }: Job, told: unknown) => {
    // Matches only: what is in a directory is not got without -r.
    const result = kind === "link" ? { path: from, ...told as MadeLink } : told as GetResult;
    const facts = "target" in result ? result : getJson(result);
    if (json) output.line(`${printed++ === 0 ? "[" : ","}${JSON.stringify(facts)}`);
    else if (!quiet) output.line("target" in result ? formatLink(result) : formatGet(result));
  };
  await runTree({
    ...{ session, connected, flags, words: { done: "got", will: "get" } },
    ...(flags.recursive ? {} : { onDone }),
    goOn: () => GO_ON,
    work: async (report, options) => {
      const { links, recursive, dryRun } = flags;
      const onTrouble = (error: TydfsError) => report.trouble("", error);
      const roots = findGetRoots(client, remotes, { ...place, recursive, signal, onTrouble });
      const writer = new LocalWriter(place.root, options.random);
      const anew = !recursive || flags.ignoreTimes;
      const all = { filter, links, dryRun, signal, onTrouble, writer, get, anew };
      await runJobs(findGets(client, roots, all), options);
    },
  });
  if (json && !flags.recursive && !flags.dryRun) output.line(printed === 0 ? "[]" : "]");
}

/** Where things go: a directory, and whether sources go into it under their own names. */
interface Place {
  root: string;
  into: boolean;
  /** The name of the one file that is got. */
  name?: string;
}

async function choosePlace({ connected, remotes, local }: GetRun): Promise<Place> {
  const { client, signal } = connected;
  const { lookAt } = await import("../client/trees/local_tree.ts");
  const there = await lookAt(local).catch((error) => {
    if ((error.cause as { code?: unknown } | undefined)?.code === "ENOENT") return "missing";
    throw error;
  });
  const isDirectory = typeof there === "object" && there.kind === "directory";
  if (/(^|\/)(\.\.?)?\/*$/.test(local)) return { root: local, into: true };
  const [remote = ""] = remotes;
  const kind = remotes.length > 1 ? "several" : await client.stat(bare(remote), { signal }).then(
    ({ entry }) => entry.kind,
    (error) => {
      if (hasCode(error, "not-found") && hasPattern(remote)) return "several";
      throw error;
    },
  );
  if (kind === "several") return { root: local, into: true };
  if (kind === "file") {
    if (isDirectory) return { root: local, into: true };
    return { root: dirname(local), into: false, name: basename(local) };
  }
  if (there !== "missing" && !isDirectory) {
    const message = `Cannot get a directory to ${quotePath(local)}: it is a file`;
    throw new TydfsError("not-directory", message);
  }
  return { root: local, into: false };
}

/** `DIR/.` is what is in DIR. */
function bare(remote: string): string {
  return remote.replace(/\/\.\/*$/, "/");
}

function formatLink({ path, target, local }: MadeLink & { path: string }): string {
  return `got ${quotePath(path)} · link to ${quotePath(target)} · ${quotePath(local)}`;
}

function directoryError(remote: string): TydfsError {
  return new TydfsError(
    "is-directory",
    `Cannot get ${quotePath(remote)}: it is a directory; use -r`,
  );
}

/** `tydfs put`: puts local files, trees, or standard input, into the cluster. */
import { basename, resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import type { PutOptions, PutResult } from "../client/client.ts";
import type { Job } from "../client/trees/job_runner.ts";
import type { PutRoot } from "../client/trees/put.ts";
import { ConfigError, parseOption } from "../config/load.ts";
import { flagName } from "../config/options.ts";
import { TydfsError } from "../wire/errors.ts";
import { joinPath, parsePath, quotePath } from "../wire/names.ts";
import { collecting, STREAM_COLLECT_BYTES } from "./transfer/collect.ts";
import { formatPut, putJson } from "./format/format.ts";
import { ProgressBar } from "./transfer/progress.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import type { TreeFlags } from "./transfer/flags.ts";
import { addTreeFlags, filterOf, GO_ON, treeFlags } from "./transfer/flags.ts";
import { askState, ReceiptBook, whyShort } from "./transfer/receipt.ts";
import type { TreeReport } from "./transfer/report.ts";

const STDIN = "-";

const EXAMPLES = `
A file is there for others when it is whole and its copies are durable, and not
before; a file that was there is replaced in one step. REMOTE is /NAME unless
given; a remote directory (or a name that ends with /) takes a file under its
own name, and otherwise the file becomes REMOTE. A tree becomes REMOTE, or goes
into it where REMOTE ends with /, whether it is there or not; several sources
always go into it. DIR/. is what is in DIR. Directories above are made.

A put ends with its receipt: the copies that are on disk (synced) of those that
are wanted, and the checksum; where there are fewer, why: the others are being
made, keepers are down, or there are too few of them.

Trees keep modes, times, empty directories and symbolic links; links that are
named on the command line are followed. Patterns: *.tmp is of names at any
depth, /a/*.mp4 of paths below LOCAL, cache/ of directories. Files are sent
several at once (--transfers); what fails is listed at the end. With -r what is
there already with the same size and time is left (but for --ignore-times), so
that the same command goes on where an interrupted one was; sync can also delete
and compare checksums. With -r, --json prints one line for each event.

Examples:
  tydfs put video.mp4                          to /video.mp4
  tydfs put video.mp4 /videos/holiday.mp4
  tydfs put *.mp4 /videos/                     several, into a directory
  tydfs put -r photos /archive/                a tree, to /archive/photos
  tydfs put -r --exclude '*.tmp' --dry-run photos /archive/
  tar c photos | tydfs put - /photos.tar       from standard input
`;

interface PutFlags {
  replicas?: string;
  minCopies?: string;
  replace: boolean;
}

interface PutRun {
  session: Session;
  connected: ClientSession;
  locals: string[];
  remote: string | undefined;
  flags: TreeFlags;
  put: PutOptions;
}

/** Declares the command. */
export function addPut(program: Command, session: Session): void {
  const command = program.command("put")
    .description("Put local files or trees into the cluster")
    .usage("[options] LOCAL... [REMOTE]")
    .argument("<LOCAL...>", "Local files (- is standard input), and last the remote path")
    .option("-r, --recursive", "Directories, with all that is below")
    .option("-I, --ignore-times", "With -r: also what is there with the same size and time")
    .option("--replicas <number>", "Copies to reach, in place of the cluster's own goal")
    .option("--min-copies <number>", "Copies on disk before success is told")
    .option("--no-replace", "Fail when there is such a file already")
    .addHelpText("after", EXAMPLES);
  addTreeFlags(command, ["keep", "follow", "skip"]);
  command.action(async (words, options, self) => {
    const { locals, remote } = parseWords(words);
    const put = putOptions(options as PutFlags);
    const flags = treeFlags(self);
    await filterOf(flags);
    await session.withClient(self, async (connected) => {
      const [local = ""] = locals;
      const alone = locals.length === 1 && !flags.recursive && !flags.dryRun;
      const run = { session, connected, locals, remote, flags, put };
      if (alone || local === STDIN) await putAlone(run, local);
      else await putSeveral(run);
    });
  });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Parts the locals from the remote path. Throws `ConfigError` on a wrong use of standard input. */
export function parseWords(words: readonly string[]): {
  locals: string[];
  remote: string | undefined;
} {
  const locals = words.length > 1 ? words.slice(0, -1) : [...words];
  const remote = words.length > 1 ? words.at(-1) : undefined;
  if (locals.includes(STDIN) && remote === undefined) {
    throw new ConfigError(
      "Cannot put standard input without a name: give a remote path, too",
    );
  }
  if (locals.includes(STDIN) && remote?.endsWith("/")) {
    const place = quotePath(remote);
    throw new ConfigError(
      `Cannot put standard input into ${place}: it has no name; give the whole path`,
    );
  }
  if (locals.includes(STDIN) && locals.length > 1) {
    throw new ConfigError("Cannot put standard input together with files: put it by itself");
  }
  return { locals, remote };
}

/** The name under which a source goes into a directory; none for what is in it (`DIR/.`). */
export function sourceName(local: string): string | undefined {
  if (/(^|\/)\.\/*$/.test(local)) return undefined;
  // Resolved, so that `..` has the name of the directory that it stands for.
  return basename(resolve(local));
}

function putOptions(flags: PutFlags): PutOptions {
  const replicas = copiesOf("replicas", flags.replicas);
  const minCopies = copiesOf("min_copies", flags.minCopies);
  if (replicas !== undefined && minCopies !== undefined && minCopies > replicas) {
    throw new ConfigError(
      `Cannot use --min-copies ${minCopies} with --replicas ${replicas}: ` +
        "no more copies can be waited for than are made",
    );
  }
  return {
    exclusive: !flags.replace,
    ...(replicas !== undefined && { replicas }),
    ...(minCopies !== undefined && { minCopies }),
  };
}

function copiesOf(key: "replicas" | "min_copies", text: string | undefined): number | undefined {
  return text === undefined
    ? undefined
    : parseOption(key, text, `flag ${flagName(key)}`) as number | undefined;
}

/** One file, or standard input. */
async function putAlone({ connected, remote, put }: PutRun, local: string): Promise<void> {
  const { client, signal, output, json, quiet } = connected;
  const name = basename(resolve(local));
  const path = remote === undefined
    ? `/${name}`
    : local === STDIN
    ? remote
    : await client.resolveRemote(remote, name, { signal });
  const progress = new ProgressBar(output, local, json || quiet);
  const everyBytes = local === STDIN ? STREAM_COLLECT_BYTES : undefined;
  const all = { ...put, signal, onProgress: collecting(progress.listener, everyBytes) };
  const work = async () => {
    if (local !== STDIN) return await client.put(local, path, all);
    const { standardInput } = await import("../client/local_files.ts");
    return await client.putStream(standardInput(), path, all);
  };
  const result = await work().finally(() => progress.end());
  if (quiet && !json) return;
  const isShort = result.copies < result.goal;
  const why = whyShort(result, isShort ? await askState(client, signal) : undefined);
  output.line(json ? JSON.stringify(putJson(result, why)) : formatPut(result, why));
}

/** Several files, or trees. */
async function putSeveral(run: PutRun): Promise<void> {
  const { session, connected, flags, put } = run;
  const { client, signal, output, json, quiet } = connected;
  const { findPuts } = await import("../client/trees/put.ts");
  const { runJobs } = await import("../client/trees/job_runner.ts");
  const { runTree } = await import("./transfer/run.ts");
  const results = new Map<string, PutResult>();
  const receipts = new ReceiptBook();
  const onDone = (job: Job, told: unknown) => {
    const result = told as PutResult;
    receipts.add(result);
    if (json) results.set(job.path, result);
    else if (!quiet) output.line(formatPut(result));
  };
  const filter = await filterOf(flags);
  let roots: PutRoot[] = [];
  await runTree({
    ...{ session, connected, flags, words: { done: "put", will: "put" } },
    ...(flags.recursive ? {} : { onDone }),
    goOn: () => GO_ON,
    work: async (report, options) => {
      roots = await findRoots(run, report);
      const { links, dryRun } = flags;
      const onTrouble = (error: TydfsError) => report.trouble("", error);
      const anew = !flags.recursive || flags.ignoreTimes;
      const onSame = () => report.tally.same++;
      const all = { filter, links, dryRun, signal, put, anew, onSame, onTrouble };
      const jobs = findPuts(client, roots, all);
      await runJobs(jobs, options);
    },
  });
  if (flags.recursive || flags.dryRun || (quiet && !json)) return;
  const { worst } = receipts;
  const state = worst === undefined ? undefined : await askState(client, signal);
  if (!json && worst !== undefined) output.message(`tydfs: ${receipts.words(state)}`);
  if (!json) return;
  const values = roots.flatMap(({ remote }) => results.get(remote) ?? []);
  output.line(JSON.stringify(values.map((result) => putJson(result, whyShort(result, state)))));
}

/** Looks at the sources, and where each goes; what is wrong with one is told. */
async function findRoots(run: PutRun, report: TreeReport): Promise<PutRoot[]> {
  const { connected: { signal }, locals, flags } = run;
  const { lookAt } = await import("../client/trees/local_tree.ts");
  const roots: PutRoot[] = [];
  const taken = new Map<string, string>();
  for (const local of locals) {
    signal.throwIfAborted();
    try {
      const kind = (await lookAt(local))?.kind;
      if (kind === "directory" && !flags.recursive) {
        const message = `Cannot put ${quotePath(local)}: it is a directory; use -r`;
        throw new TydfsError("is-directory", message);
      }
      const remote = await remoteOf(run, local, kind === "directory");
      const other = taken.get(remote);
      if (other !== undefined) {
        const message = `Cannot put ${quotePath(local)}: ${quotePath(other)} would become ` +
          `${quotePath(remote)}, too`;
        throw new TydfsError("conflict", message);
      }
      taken.set(remote, local);
      roots.push({ local, remote, withFacts: sourceName(local) !== undefined });
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TydfsError) || locals.length === 1) throw error;
      report.trouble(local, error);
    }
  }
  return roots;
}

/** Where a tree goes never depends on what is there: the same command goes on from there. */
async function remoteOf(run: PutRun, local: string, isTree: boolean): Promise<string> {
  const { connected: { client, signal }, locals, remote } = run;
  const name = sourceName(local);
  if (remote === undefined) return parsePath(name ?? basename(resolve(local)));
  const target = parsePath(remote);
  if (name === undefined) return target;
  const into = locals.length > 1 || remote.endsWith("/");
  if (into) return parsePath(joinPath(target, name));
  if (isTree) return target;
  return await client.resolveRemote(remote, name, { signal });
}

/** `tydfs put`: puts local files, or standard input, into the cluster. */
import { basename, resolve } from "node:path";
import type { Command } from "@commander-js/extra-typings";
import type { PutOptions, PutResult } from "../client/client.ts";
import { ConfigError, parseOption } from "../config/load.ts";
import { collecting, STREAM_COLLECT_BYTES } from "./collect.ts";
import { formatPut, putJson } from "./format.ts";
import { ProgressBar } from "./progress.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const STDIN = "-";

const EXAMPLES = `
A file is there for others when it is whole and its copies are durable, and not
before; a file that was there is replaced in one step. REMOTE is /NAME unless
given; a remote directory (or a name that ends with /) takes the file under its
own name. Directories above it are made.

Examples:
  tydfs put video.mp4                          to /video.mp4
  tydfs put video.mp4 /videos/holiday.mp4
  tydfs put *.mp4 /videos/                     several, into a directory
  tar c photos | tydfs put - /photos.tar       from standard input
`;

interface PutFlags {
  replicas?: string;
  minCopies?: string;
  replace: boolean;
}

/** Declares the command. */
export function addPut(program: Command, session: Session): void {
  const command = program.command("put")
    .description("Put local files into the cluster")
    .usage("[options] LOCAL... [REMOTE]")
    .argument("<LOCAL...>", "Local files (- is standard input), and last the remote path")
    .option("--replicas <number>", "Copies to reach, in place of the cluster's own goal")
    .option("--min-copies <number>", "Copies on disk before success is told")
    .option("--no-replace", "Fail when there is such a file already")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const { locals, remote } = parseWords(words);
      const options = putOptions(flags);
      await session.withClient(self, async (connected) => {
        const results: PutResult[] = [];
        const several = locals.length > 1;
        await session.forEach(locals, connected.signal, async (local) => {
          const path = await remotePath(connected, local, remote, several);
          const result = await putOne(connected, local, path, options);
          results.push(result);
          if (!connected.json && !connected.quiet) connected.output.line(formatPut(result));
        });
        const values = results.map(putJson);
        if (connected.json) connected.output.line(JSON.stringify(several ? values : values[0]));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Parts the locals from the remote path. Throws `ConfigError` when standard input has no name. */
export function parseWords(words: readonly string[]): {
  locals: string[];
  remote: string | undefined;
} {
  if (words.length > 1) return { locals: words.slice(0, -1), remote: words.at(-1) };
  if (words[0] === STDIN) {
    throw new ConfigError(
      "Cannot put standard input without a name: give a remote path, too",
    );
  }
  return { locals: [...words], remote: undefined };
}

function putOptions(flags: PutFlags): PutOptions {
  const { replicas, minCopies } = flags;
  return {
    exclusive: !flags.replace,
    ...(replicas && { replicas: parseOption("replicas", replicas, "flag --replicas") as number }),
    ...(minCopies &&
      { minCopies: parseOption("min_copies", minCopies, "flag --min-copies") as number }),
  };
}

async function remotePath(
  { client, signal }: ClientSession,
  local: string,
  remote: string | undefined,
  several: boolean,
): Promise<string> {
  // Resolved, so that `..` has the name of the directory that it stands for.
  const name = basename(resolve(local));
  if (remote === undefined) return `/${name}`;
  if (local === STDIN) return remote;
  if (several) return `${remote}/${name}`;
  return await client.resolveRemote(remote, name, { signal });
}

async function putOne(
  { client, signal, output, json, quiet }: ClientSession,
  local: string,
  path: string,
  options: PutOptions,
): Promise<PutResult> {
  const progress = new ProgressBar(output, local, json || quiet);
  const everyBytes = local === STDIN ? STREAM_COLLECT_BYTES : undefined;
  const all = { ...options, signal, onProgress: collecting(progress.listener, everyBytes) };
  try {
    if (local !== STDIN) return await client.put(local, path, all);
    const { standardInput } = await import("../client/local_files.ts");
    return await client.putStream(standardInput(), path, all);
  } finally {
    progress.end();
  }
}

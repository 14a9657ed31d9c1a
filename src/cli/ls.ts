/** `tydfs ls`: lists directories, and what patterns match. */
import type { Command } from "@commander-js/extra-typings";
import type { Entry, TydfsClient } from "../client/client.ts";
import { hasPattern } from "../client/pattern.ts";
import { ConfigError } from "../config/load.ts";
import { TydfsError } from "../wire/errors.ts";
import { parsePath } from "../wire/names.ts";
import { EntryPrinter } from "./names/entry_printer.ts";
import { findMatches } from "./names/matches.ts";
import { printable } from "./output.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

/** Entries of one directory that can be sorted; they are held in memory. */
const SORTED_MAX = 200_000;

const EXAMPLES = `
The entries of a directory are in the order of their bytes, unless sorted. A
pattern (quote it) shows what it matches, a directory too only by its name.

Examples:
  tydfs ls
  tydfs ls -l /videos
  tydfs ls -lS '/videos/**/*.mp4'              the largest first
  tydfs ls -R --owner ann /
  tydfs ls -R --json / | jq '.[] | select(.size > 1e9) | .path'
`;

interface LsFlags {
  long?: true | undefined;
  recursive?: true | undefined;
  owner?: string | undefined;
  size?: true | undefined;
  time?: true | undefined;
  reverse?: true | undefined;
}

/** Some lines of the list: a directory's entries, or those that were named one by one. */
interface Section {
  directory: string | undefined;
  title: string | undefined;
  entries: AsyncIterable<Entry> | Iterable<Entry>;
}

/** Declares the command. */
export function addLs(program: Command, session: Session): void {
  const command = program.command("ls")
    .description("List directories of the cluster")
    .argument("[PATH...]", "Directories, files or patterns (/ unless given)")
    .option(
      "-l, --long",
      "With mode, owner, size, time, and a mark on files that are being updated",
    )
    .option("-R, --recursive", "With all that is below, as whole paths")
    .option("--owner <user>", "Only what this user has put")
    .option("-S, --size", "The largest first")
    .option("-t, --time", "The newest first")
    .option("-r, --reverse", "The other way round")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      if (flags.size === true && flags.time === true) {
        throw new ConfigError("Cannot sort both by --size and by --time: take one of them");
      }
      await session.withClient(self, async (connected) => {
        const { output, json } = connected;
        const paths = words.length === 0 ? ["/"] : words;
        const format = {
          long: flags.long === true,
          directory: undefined,
          json,
          paint: output.paint,
        };
        const printer = new EntryPrinter(output, format);
        await session.forEach(
          await findSections(session, connected, { paths, flags }),
          connected.signal,
          async ({ directory, title, entries }) => {
            printer.begin(directory, title);
            const order = orderOf(flags);
            const shown = order === undefined ? entries : await sorted(entries, order);
            for await (const entry of shown) {
              if (flags.owner === undefined || entry.owner === flags.owner) printer.add(entry);
            }
          },
        );
        printer.end();
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function findSections(
  session: Session,
  { client, signal }: ClientSession,
  { paths, flags }: { paths: readonly string[]; flags: LsFlags },
): Promise<Section[]> {
  const recursive = flags.recursive === true;
  const [first = "/"] = paths;
  if (paths.length === 1 && !hasPattern(first)) {
    return [directorySection(client, parsePath(first), { recursive, signal, title: undefined })];
  }
  const { entries } = await findMatches(session, paths, { client, signal, topmost: recursive });
  const named = new Set(paths.map(parsePath));
  const isListed = ({ kind, path }: Entry) =>
    kind === "directory" && (recursive || named.has(path));
  const single = entries.filter((entry) => !isListed(entry));
  const directories = entries.filter(isListed);
  const titled = entries.length > 1 && !recursive;
  return [
    ...(single.length > 0 ? [{ directory: undefined, title: undefined, entries: single }] : []),
    ...directories.map(({ path }, index) => {
      const blank = index > 0 || single.length > 0 ? "\n" : "";
      const title = titled ? `${blank}${printable(path)}:` : undefined;
      return directorySection(client, path, { recursive, signal, title });
    }),
  ];
}

function directorySection(
  client: TydfsClient,
  path: string,
  { recursive, signal, title }: {
    recursive: boolean;
    signal: AbortSignal;
    title: string | undefined;
  },
): Section {
  const entries = client.list(path, { recursive, signal });
  return { directory: recursive ? undefined : path, title, entries };
}

type Order = (left: Entry, right: Entry) => number;

/** How entries are sorted; undefined when they stay as they come. */
export function orderOf({ size, time, reverse }: LsFlags): Order | undefined {
  const byName: Order = (left, right) =>
    Buffer.compare(Buffer.from(left.path), Buffer.from(right.path));
  const order: Order | undefined = size === true
    ? (left, right) => right.size - left.size || byName(left, right)
    : time === true
    ? (left, right) => right.mtimeMs - left.mtimeMs || byName(left, right)
    : reverse === true
    ? byName
    : undefined;
  if (order === undefined || reverse !== true) return order;
  return (left, right) => order(right, left);
}

async function sorted(entries: Section["entries"], order: Order): Promise<Entry[]> {
  const all: Entry[] = [];
  for await (const entry of entries) {
    if (all.length >= SORTED_MAX) {
      throw new TydfsError("limit", `Cannot sort over ${SORTED_MAX} entries: list them unsorted`);
    }
    all.push(entry);
  }
  return all.sort(order);
}

/** `tydfs du`: how much there is in directories. */
import type { Command } from "@commander-js/extra-typings";
import { formatSize } from "../base/bytes.ts";
import { ConfigError } from "../config/load.ts";
import type { DirectoryTotal } from "./names/directory_totals.ts";
import { DirectoryTotals } from "./names/directory_totals.ts";
import { alignColumns, formatCount } from "./format/format.ts";
import { findMatches } from "./names/matches.ts";
import { printable } from "./output.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

/** Lines are aligned in groups of this many, so that the first appear at once. */
const GROUP_MAX = 200;
/** Lines that can be sorted; they are held in memory. */
const SORTED_MAX = 200_000;

const EXAMPLES = `
Sizes are those of the files, not of their copies. A directory is told with all
that is below it. PATH may be a pattern (quote it).

Examples:
  tydfs du -s /videos
  tydfs du --depth 1 --sort /
  tydfs du -s '/home/*' --json | jq -r '.[] | [.size, .path] | @tsv'
`;

interface DuFlags {
  summarize?: true | undefined;
  depth?: string | undefined;
  sort?: true | undefined;
}

/** Declares the command. */
export function addDu(program: Command, session: Session): void {
  const command = program.command("du")
    .description("Show how many bytes and files are in directories")
    .argument("[PATH...]", "Directories of the cluster, or patterns (/ unless given)")
    .option("-s, --summarize", "Only one line for each PATH")
    .option("-d, --depth <levels>", "Only directories down to so many levels below PATH")
    .option("-S, --sort", "The largest first")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const depth = parseDepth(flags);
      await session.withClient(self, async (connected) => {
        const { client, signal, output, json } = connected;
        const options = { client, signal, topmost: false };
        const { entries } = await findMatches(session, words.length === 0 ? ["/"] : words, options);
        const printer = new TotalPrinter(connected, flags.sort === true);
        await session.forEach(entries, signal, async (entry) => {
          if (entry.kind === "file") {
            const { path, size } = entry;
            printer.add({ path, sizeBytes: size, files: 1, directories: 0, depth: 0 });
            return;
          }
          const totals = new DirectoryTotals(entry.path);
          const print = (done: DirectoryTotal[]) =>
            done.filter((total) => total.depth <= depth).forEach((total) => printer.add(total));
          for await (const below of client.list(entry.path, { recursive: true, signal })) {
            print(totals.add(below));
          }
          print(totals.end());
        });
        printer.end();
        if (json) output.line(printer.printed === 0 ? "[]" : "]");
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Levels below PATH that are shown. Throws `ConfigError` when it is no number, or said twice. */
function parseDepth({ summarize, depth }: DuFlags): number {
  if (summarize === true && depth !== undefined) {
    throw new ConfigError("Cannot use --summarize and --depth together: take one of them");
  }
  if (summarize === true) return 0;
  if (depth === undefined) return Infinity;
  if (!/^\d{1,9}$/.test(depth)) {
    throw new ConfigError(`Cannot use "${depth}" for --depth: no whole number`);
  }
  return Number(depth);
}

/** Prints totals as they come, or sorted at the end. */
class TotalPrinter {
  readonly #session: ClientSession;
  readonly #sorted: boolean;
  #group: DirectoryTotal[] = [];
  printed = 0;

  constructor(session: ClientSession, sorted: boolean) {
    this.#session = session;
    this.#sorted = sorted;
  }

  add(total: DirectoryTotal): void {
    this.#group.push(total);
    if (this.#group.length < (this.#sorted ? SORTED_MAX : GROUP_MAX)) return;
    if (this.#sorted) {
      throw new ConfigError(`Cannot sort over ${SORTED_MAX} directories: give a --depth`);
    }
    this.#print();
  }

  end(): void {
    if (this.#sorted) this.#group.sort((left, right) => right.sizeBytes - left.sizeBytes);
    if (this.#group.length > 0) this.#print();
  }

  #print(): void {
    const { output, json } = this.#session;
    const lines = json ? this.#group.map(jsonOfTotal) : formatTotals(this.#group);
    for (const line of lines) {
      output.line(json ? `${this.printed === 0 ? "[" : ","}${line}` : line);
      this.printed++;
    }
    this.#group = [];
  }
}

/** Lines of totals, aligned among themselves. */
export function formatTotals(totals: readonly DirectoryTotal[]): string[] {
  const rows = totals.map(({ path, sizeBytes, files }) => [
    formatSize(sizeBytes),
    formatCount(files, "file"),
    printable(path),
  ]);
  return alignColumns(rows, [0, 1]);
}

function jsonOfTotal({ path, sizeBytes: size, files, directories }: DirectoryTotal): string {
  return JSON.stringify({ path, size, files, directories });
}

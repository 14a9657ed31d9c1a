/** `tydfs find`: looks through trees for files by name, kind, size, age and owner. */
import type { Command } from "@commander-js/extra-typings";
import { systemClock } from "../base/clock.ts";
import { EntryPrinter } from "./names/entry_printer.ts";
import type { FindFlags } from "./names/entry_test.ts";
import { makeEntryTest } from "./names/entry_test.ts";
import { findMatches } from "./names/matches.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
All that is given must hold. A pattern without a slash is of the name, another
one of the whole path; quote it. Sizes are 10MiB (exactly), +10MiB (more),
-10MiB (less); ages are 90m, 24h, 7d, or a date such as 2024-12-31.

Examples:
  tydfs find /videos --name '*.mp4' --size +1GiB
  tydfs find / --type l
  tydfs find /logs --older 30d -0 | xargs -0 tydfs rm
  tydfs find / --newer 24h --owner ann --json | jq length
`;

/** Declares the command. */
export function addFind(program: Command, session: Session): void {
  const command = program.command("find")
    .description("Find files and directories by name, kind, size, age and owner")
    .argument("[PATH...]", "Where to look, or patterns (/ unless given)")
    .option("--name <pattern>", "Only what matches this pattern")
    .option("--type <kind>", "Only files (f), directories (d) or symbolic links (l)")
    .option("--size <size>", "Only files of this size; +SIZE is more, -SIZE is less")
    .option("--newer <age>", "Only what was modified since: an age, or a date")
    .option("--older <age>", "Only what was modified before: an age, or a date")
    .option("--owner <user>", "Only what this user has put")
    .option("-l, --long", "With mode, owner, size and time, as ls -l")
    .option("-0, --null", "End each path with a NUL in place of a line's end, and as it is")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const given: FindFlags = flags;
      const test = makeEntryTest(given, systemClock.wallMs());
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const paths = words.length === 0 ? ["/"] : words;
        const { entries } = await findMatches(session, paths, { client, signal, topmost: true });
        const format = { long: flags.long === true, directory: undefined, json };
        const printer = new EntryPrinter(output, format);
        let isRead = true;
        await session.forEach(entries, signal, async (root) => {
          const below = root.kind === "directory"
            ? client.list(root.path, { recursive: true, signal })
            : [];
          for await (const entry of withFirst(root, below)) {
            if (!isRead) return;
            if (!test(entry)) continue;
            if (flags.null !== true || json) printer.add(entry);
            else isRead = await output.bytes(Buffer.from(`${entry.path}\0`));
          }
        });
        if (flags.null !== true || json) printer.end();
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function* withFirst<T>(first: T, rest: AsyncIterable<T> | Iterable<T>): AsyncGenerator<T> {
  yield first;
  yield* rest;
}

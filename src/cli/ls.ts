/** `tydfs ls`: lists directories. */
import type { Command } from "@commander-js/extra-typings";
import { parsePath } from "../wire/names.ts";
import type { Entry } from "../client/client.ts";
import { entryJson, formatEntries } from "./format.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

/** Lines of a long list are aligned in groups of this many, so that the first appear at once. */
const GROUP_MAX = 1000;

const EXAMPLES = `
Examples:
  tydfs ls
  tydfs ls -l /videos
  tydfs ls -R --owner ann /
  tydfs ls -R --json / | jq '.[] | select(.size > 1e9) | .path'
`;

/** Declares the command. */
export function addLs(program: Command, session: Session): void {
  const command = program.command("ls")
    .description("List a directory of the cluster")
    .argument("[PATH]", "The directory, or a file", "/")
    .option(
      "-l, --long",
      "With mode, owner, size, time, and a mark on files that are being updated",
    )
    .option("-R, --recursive", "With all that is below, as whole paths")
    .option("--owner <user>", "Only what this user has put")
    .addHelpText("after", EXAMPLES)
    .action(async (path, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const directory = parsePath(path);
        const recursive = flags.recursive === true;
        const format = {
          long: flags.long === true,
          directory: recursive ? undefined : directory,
          paint: output.paint,
        };
        const printer = new Printer((entries, first) => {
          if (!json) return formatEntries(entries, format).forEach((line) => output.line(line));
          for (const [index, entry] of entries.entries()) {
            output.line(`${first && index === 0 ? "[" : ","}${JSON.stringify(entryJson(entry))}`);
          }
        });
        for await (const entry of client.list(directory, { recursive, signal })) {
          if (flags.owner === undefined || entry.owner === flags.owner) printer.add(entry);
        }
        printer.end();
        if (json) output.line(printer.printed === 0 ? "[]" : "]");
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Hands entries on in groups. */
class Printer {
  readonly #print: (entries: Entry[], first: boolean) => void;
  #group: Entry[] = [];
  printed = 0;

  constructor(print: (entries: Entry[], first: boolean) => void) {
    this.#print = print;
  }

  add(entry: Entry): void {
    this.#group.push(entry);
    if (this.#group.length >= GROUP_MAX) this.end();
  }

  end(): void {
    if (this.#group.length > 0) this.#print(this.#group, this.printed === 0);
    this.printed += this.#group.length;
    this.#group = [];
  }
}

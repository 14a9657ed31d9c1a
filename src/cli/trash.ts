/** `tydfs trash`: what was removed or replaced and can be brought back; and purging it early. */
import type { Command } from "@commander-js/extra-typings";
import { formatSize } from "../base/bytes.ts";
import type { TydfsClient } from "../client/client.ts";
import { ConfigError } from "../config/load.ts";
import { TydfsError } from "../wire/errors.ts";
import { parsePath, quotePath, ROOT } from "../wire/names.ts";
import { formatCount } from "./format/format.ts";
import { TrashPrinter } from "./format/trash.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
The trash has each file that was removed, and each version that a newer one has
replaced, for the master's --trash-ttl. tydfs undelete brings them back.

Examples:
  tydfs trash ls
  tydfs trash ls -l /videos
  tydfs trash empty /videos/tmp
`;

const LIST_EXAMPLES = `
In the order of the paths, of one path the latest first: when it was removed,
its size, and its path; replaced versions say so. With -l also when it goes for
good, its version (for tydfs undelete --version), why it is there, its owner.

Examples:
  tydfs trash ls
  tydfs trash ls -l /videos
  tydfs trash ls --json | jq '.[] | select(.replaced) | {path, version}'
`;

const EMPTY_EXAMPLES = `
Purges what lies in the trash at PATH or below it, all of it unless told. It
can't be brought back then; its space is free after the master's --grace. What
comes into the trash meanwhile stays. On a terminal it asks first.

Examples:
  tydfs trash empty
  tydfs trash empty /videos/tmp --yes
`;

/** Versions that are counted before the question; more are "over" this. */
const COUNTED_MAX = 10_000;

/** Declares the command. */
export function addTrash(program: Command, session: Session): void {
  const trash = program.command("trash")
    .description("List what can be undeleted, or purge it")
    .usage("COMMAND [options]")
    .helpCommand(false)
    .addHelpText("after", EXAMPLES);
  for (const command of [listCommand(trash, session), emptyCommand(trash, session)]) {
    addSettings(command, "client", false);
    addGlobals(command, false);
  }
}

function listCommand(trash: Command, session: Session) {
  return trash.command("ls")
    .description("List what lies in the trash")
    .argument("[PATH]", "At this path, or below it", ROOT)
    .option("-l, --long", "With all that is known")
    .addHelpText("after", LIST_EXAMPLES)
    .action(async (path, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json, quiet }) => {
        const printer = new TrashPrinter(output, { json, long: flags.long === true });
        for await (const entry of client.operator.trash(path, { signal })) printer.add(entry);
        if (printer.end() > 0 || json || quiet) return;
        const where = parsePath(path) === ROOT ? "" : ` at ${quotePath(path)} or below it`;
        output.message(`tydfs: Nothing is in the trash${where}`);
      });
    });
}

function emptyCommand(trash: Command, session: Session) {
  return trash.command("empty")
    .description("Purge what lies in the trash")
    .argument("[PATH]", "At this path, or below it", ROOT)
    .option("-y, --yes", "Do not ask")
    .addHelpText("after", EMPTY_EXAMPLES)
    .action(async (path, flags, self) => {
      const { canAsk } = await import("./line_reader.ts");
      const ask = flags.yes !== true;
      if (ask && !canAsk()) {
        throw new ConfigError(
          "Cannot empty the trash without being asked: there is no terminal; give --yes",
        );
      }
      await session.withClient(self, async ({ client, signal, output, json, quiet }) => {
        if (ask && !await confirm(client, path, signal)) {
          return output.message("tydfs: Nothing was purged");
        }
        const gone = { path: parsePath(path), files: 0, bytes: 0 };
        for await (const { files, bytes } of client.operator.emptyTrash(path, { signal })) {
          gone.files += files;
          gone.bytes += bytes;
        }
        if (json) return output.line(JSON.stringify(gone));
        if (quiet) return;
        const facts = `${formatCount(gone.files, "version")}, ${formatSize(gone.bytes)}`;
        output.line(`purged ${quotePath(gone.path)} from the trash · ${facts}`);
      });
    });
}

/** Asks whether all that lies there is to go. Throws `interrupted` on Ctrl-C. */
async function confirm(client: TydfsClient, path: string, signal: AbortSignal): Promise<boolean> {
  let count = 0;
  let bytes = 0;
  for await (const { size } of client.operator.trash(path, { signal })) {
    bytes += size;
    if (++count === COUNTED_MAX) break;
  }
  if (count === 0) return true;
  const over = count === COUNTED_MAX ? "over " : "";
  const what = `${over}${formatCount(count, "version")}, ${over}${formatSize(bytes)}`;
  const { readLine } = await import("./line_reader.ts");
  const read = await readLine({ prompt: `Purge ${what}, from the trash for good? [y/N] ` });
  if (read.kind === "interrupted") throw new TydfsError("interrupted", "Nothing was purged");
  return read.kind === "line" && /^y(es)?$/i.test(read.text.trim());
}

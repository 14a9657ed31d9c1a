/** `tydfs cat`: writes files, or a part of them, to standard output. */
import type { Command } from "@commander-js/extra-typings";
import { parseSize } from "../base/bytes.ts";
import { ConfigError } from "../config/load.ts";
import { collector } from "./file_part.ts";
import { findMatches } from "./names/matches.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Several files follow each other. Every block is checked against its sum before
a byte of it is written. Of a part only the blocks are fetched in which it
lies. A range is as curl -r takes it: the first and the last byte, counted from
0 (units are allowed: 1MiB-). PATH may be a pattern (quote it).

Examples:
  tydfs cat /notes.txt
  tydfs cat '/logs/2024-*.log' | grep error
  tydfs cat --range 0-1023 /videos/a.mp4 | xxd
  tydfs cat --range -4KiB /disk.img            the last 4 KiB
`;

/** A part of a file, as `read` of the client takes it. */
export interface ByteRange {
  offset: number;
  length?: number;
}

/** Declares the command. */
export function addCat(program: Command, session: Session): void {
  const command = program.command("cat")
    .description("Write files to standard output, whole or in part")
    .argument("<PATH...>", "Files in the cluster, or patterns")
    .option("--range <range>", "Only these bytes: FIRST-LAST, FIRST- or -COUNT (from the end)")
    .addHelpText("after", EXAMPLES)
    .action(async (words, flags, self) => {
      const range = flags.range === undefined ? { offset: 0 } : parseRange(flags.range);
      await session.withClient(self, async ({ client, signal, output }) => {
        const { entries } = await findMatches(session, words, { client, signal, topmost: false });
        let isRead = true;
        await session.forEach(entries, signal, async ({ path }) => {
          if (!isRead) return;
          const options = { ...range, signal, onProgress: collector() };
          for await (const bytes of client.read(path, options)) {
            isRead = await output.bytes(bytes);
            if (!isRead) return;
          }
        });
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false, { json: false });
}

/** Parses `FIRST-LAST`, `FIRST-` or `-COUNT`. Throws `ConfigError` on anything else. */
export function parseRange(text: string): ByteRange {
  const [from = "", to = "", ...rest] = text.split("-");
  const wrong = (why: string) => new ConfigError(`Cannot use "${text}" for --range: ${why}`);
  const first = from === "" ? undefined : parseSize(from);
  const last = to === "" ? undefined : parseSize(to);
  const isMalformed = rest.length > 0 || !text.includes("-") || (from === "" && to === "") ||
    (from !== "" && first === undefined) || (to !== "" && last === undefined);
  if (isMalformed) throw wrong("it is not FIRST-LAST, FIRST- or -COUNT");
  if (first === undefined) return last === 0 ? { offset: 0, length: 0 } : { offset: -(last ?? 0) };
  if (last === undefined) return { offset: first };
  if (last < first) throw wrong("it ends before it begins");
  return { offset: first, length: last - first + 1 };
}

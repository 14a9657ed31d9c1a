/** `tydfs tail`: the last lines, or bytes, of files. */
import type { Command } from "@commander-js/extra-typings";
import { MIB } from "../base/bytes.ts";
import type { OpenFile } from "../client/client.ts";
import type { Amount, PartOutput } from "./file_part.ts";
import { copyPart, NEWLINE, printParts } from "./file_part.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

/** What is looked through at once: a block. */
const WINDOW_BYTES = MIB;

const EXAMPLES = `
Only the end of the file is fetched, as far as it is needed. Several files get
a line with their name each, but for --quiet. PATH may be a pattern (quote it).

Examples:
  tydfs tail /logs/today.log
  tydfs tail -n 3 '/logs/*.log'
  tydfs tail -c 1MiB /disk.img > end.bin
`;

/** Declares the command. */
export function addTail(program: Command, session: Session): void {
  const command = program.command("tail")
    .description("Write the last lines or bytes of files to standard output")
    .argument("<PATH...>", "Files in the cluster, or patterns")
    .option("-n, --lines <count>", "So many lines (10); also -<count>")
    .option("-c, --bytes <size>", "So many bytes")
    .addHelpText("after", EXAMPLES)
    .action((words, flags, self) => printParts(session, { words, flags, self, print: printTail }));
  addSettings(command, "client", false);
  addGlobals(command, false, { json: false });
}

async function printTail(file: OpenFile, amount: Amount, to: PartOutput): Promise<boolean> {
  if (amount.count === 0) return true;
  const { sizeBytes } = file.facts;
  const offset = amount.kind === "bytes"
    ? Math.max(0, sizeBytes - amount.count)
    : await startOfLines(file, amount.count, to.signal);
  return await copyPart(file, { offset, length: sizeBytes - offset }, to);
}

/** Where the last `count` lines of a file begin; looks through it block by block, from its end. */
async function startOfLines(
  file: OpenFile,
  count: number,
  signal: AbortSignal,
): Promise<number> {
  const { sizeBytes } = file.facts;
  let linesLeft = count;
  const lastBlock = Math.floor(Math.max(0, sizeBytes - 1) / WINDOW_BYTES) * WINDOW_BYTES;
  for (let start = lastBlock; start >= 0; start -= WINDOW_BYTES) {
    const parts: Uint8Array[] = [];
    const window = { offset: start, length: Math.min(WINDOW_BYTES, sizeBytes - start), signal };
    for await (const bytes of file.read(window)) parts.push(bytes);
    const bytes = Buffer.concat(parts);
    // The newline that ends the file begins no line.
    const isEnd = start + bytes.length === sizeBytes;
    const found = startOfLastLines(isEnd ? bytes.subarray(0, -1) : bytes, linesLeft);
    if (found.start !== undefined) return start + found.start;
    linesLeft -= found.lines;
  }
  return 0;
}

/** Where the last `count` lines of `bytes` begin, if they have so many; and how many they have. */
export function startOfLastLines(
  bytes: Uint8Array,
  count: number,
): { start: number | undefined; lines: number } {
  let lines = 0;
  for (let at = bytes.length - 1; at >= 0;) {
    const newline = bytes.lastIndexOf(NEWLINE, at);
    if (newline === -1) break;
    if (++lines === count) return { start: newline + 1, lines };
    at = newline - 1;
  }
  return { start: undefined, lines };
}

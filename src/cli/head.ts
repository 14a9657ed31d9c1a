/** `tydfs head`: the first lines, or bytes, of files. */
import type { Command } from "@commander-js/extra-typings";
import type { OpenFile } from "../client/client.ts";
import type { Amount, PartOutput } from "./file_part.ts";
import { collector, copyPart, NEWLINE, printParts } from "./file_part.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Reading stops where enough was read: of a large file a block or two are
fetched. Several files get a line with their name each, but for --quiet. PATH
may be a pattern (quote it).

Examples:
  tydfs head /logs/today.log
  tydfs head -n 3 '/logs/*.log'
  tydfs head -c 64KiB /videos/a.mp4 | file -
`;

/** Declares the command. */
export function addHead(program: Command, session: Session): void {
  const command = program.command("head")
    .description("Write the first lines or bytes of files to standard output")
    .argument("<PATH...>", "Files in the cluster, or patterns")
    .option("-n, --lines <count>", "So many lines (10); also -<count>")
    .option("-c, --bytes <size>", "So many bytes")
    .addHelpText("after", EXAMPLES)
    .action((words, flags, self) => printParts(session, { words, flags, self, print: printHead }));
  addSettings(command, "client", false);
  addGlobals(command, false, { json: false });
}

async function printHead(file: OpenFile, amount: Amount, to: PartOutput): Promise<boolean> {
  if (amount.count === 0) return true;
  if (amount.kind === "bytes") return await copyPart(file, { offset: 0, length: amount.count }, to);
  let linesLeft = amount.count;
  for await (const bytes of file.read({ signal: to.signal, onProgress: collector() })) {
    const { end, lines } = endOfLines(bytes, linesLeft);
    linesLeft -= lines;
    if (!await to.output.bytes(bytes.subarray(0, end))) return false;
    if (linesLeft === 0) return true;
  }
  return true;
}

/**
 * Where line number `count` of `bytes` ends (at their end, if they have fewer), and their lines.
 */
export function endOfLines(bytes: Uint8Array, count: number): { end: number; lines: number } {
  let lines = 0;
  for (let at = 0; lines < count;) {
    const newline = bytes.indexOf(NEWLINE, at);
    if (newline === -1) return { end: bytes.length, lines };
    at = newline + 1;
    if (++lines === count) return { end: at, lines };
  }
  return { end: 0, lines };
}

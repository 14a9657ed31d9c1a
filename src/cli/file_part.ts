/** What `head` and `tail` have in common: how much of which files goes to standard output. */
import type { CommandUnknownOpts } from "@commander-js/extra-typings";
import { parseSize } from "../base/bytes.ts";
import type { OpenFile, ProgressListener } from "../client/client.ts";
import { ConfigError } from "../config/load.ts";
import { collecting, STREAM_COLLECT_BYTES } from "./transfer/collect.ts";
import { findMatches } from "./names/matches.ts";
import { printable } from "./output.ts";
import type { Output } from "./output.ts";
import type { Session } from "./session.ts";

const LINES_DEFAULT = 10;
/** What parts lines. */
export const NEWLINE = 10;

/** How much of a file is wanted. */
export type Amount = { kind: "lines" | "bytes"; count: number };

/** The flags that say it. */
export interface AmountFlags {
  bytes?: string | undefined;
  lines?: string | undefined;
}

/** Writes a part of a file; returns false when nobody reads it any more. */
export type PrintPart = (file: OpenFile, amount: Amount, to: PartOutput) => Promise<boolean>;

/** Where the part goes. */
export interface PartOutput {
  signal: AbortSignal;
  output: Output;
}

/** Prints a part of each file that `words` name, with its name where there are several. */
export async function printParts(
  session: Session,
  { words, flags, self, print }: {
    words: string[];
    flags: AmountFlags;
    self: CommandUnknownOpts;
    print: PrintPart;
  },
): Promise<void> {
  const amount = parseAmount(flags);
  await session.withClient(self, async ({ client, signal, output, quiet }) => {
    const found = await findMatches(session, words, { client, signal, topmost: false });
    const titled = found.several && !quiet;
    let isRead = true;
    let isFirst = true;
    await session.forEach(found.entries, signal, async ({ path }) => {
      if (!isRead) return;
      const file = await client.open(path, { signal });
      if (titled) output.line(`${isFirst ? "" : "\n"}==> ${printable(path)} <==`);
      isFirst = false;
      isRead = await print(file, amount, { signal, output });
    });
  });
}

/** How much is wanted; 10 lines unless said. Throws `ConfigError` on what is no number. */
export function parseAmount({ bytes, lines }: AmountFlags): Amount {
  if (bytes !== undefined && lines !== undefined) {
    throw new ConfigError("Cannot use --bytes and --lines together: take one of them");
  }
  if (bytes !== undefined) {
    const count = parseSize(bytes);
    if (count === undefined) throw new ConfigError(`Cannot use "${bytes}" for --bytes: no size`);
    return { kind: "bytes", count };
  }
  if (lines === undefined) return { kind: "lines", count: LINES_DEFAULT };
  if (!/^\d{1,15}$/.test(lines)) {
    throw new ConfigError(`Cannot use "${lines}" for --lines: no whole number`);
  }
  return { kind: "lines", count: Number(lines) };
}

/** Writes some bytes of a file; returns false when nobody reads them any more. */
export async function copyPart(
  file: OpenFile,
  part: { offset: number; length: number },
  { signal, output }: PartOutput,
): Promise<boolean> {
  for await (const bytes of file.read({ ...part, signal, onProgress: collector() })) {
    if (!await output.bytes(bytes)) return false;
  }
  return true;
}

/** A listener that keeps the process small while bytes stream. */
export function collector(): ProgressListener {
  return collecting(() => {}, STREAM_COLLECT_BYTES);
}

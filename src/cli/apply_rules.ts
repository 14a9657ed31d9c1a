/** Has the files that are there follow the rules, with a counter of them on a terminal. */
import { systemClock } from "../base/clock.ts";
import { formatCount } from "./format/format.ts";
import type { ClientSession } from "./session.ts";

/** What came of it; scripts rely on its JSON. */
export interface Applied {
  /** Files looked at, and those of them for which something is to be done. */
  files: number;
  changed: number;
  /** Chunks of the whole cluster that are to be moved by rules now. */
  toMove: number;
}

const REDRAW_MS = 100;
const CLEAR_LINE = "\r\x1b[2K";

/** Applies the rules to all files, page by page. */
export async function applyRules(session: ClientSession): Promise<Applied> {
  const { client, signal, output, json, quiet } = session;
  const shown = output.messagesOnTerminal && !json && !quiet;
  const sum = { files: 0, changed: 0 };
  let drawnMs: number | undefined;
  try {
    for await (const page of client.applyRules({ signal })) {
      sum.files += page.files;
      sum.changed += page.changed;
      const nowMs = systemClock.monotonicMs();
      if (!shown || (drawnMs !== undefined && nowMs - drawnMs < REDRAW_MS)) continue;
      output.draw(`${CLEAR_LINE}${counts(sum)}`);
      drawnMs = nowMs;
    }
  } finally {
    if (drawnMs !== undefined) output.draw(CLEAR_LINE);
  }
  const { chunks } = await client.status({ signal });
  return { ...sum, toMove: chunks.misplaced ?? 0 };
}

/** The line that tells of it. */
export function formatApplied(applied: Applied): string {
  const { toMove } = applied;
  const moves = toMove === 0
    ? "no chunk is to be moved"
    : `${formatCount(toMove, "chunk is", "chunks are")} to be moved (tydfs status tells how many ` +
      "are left)";
  return `applied to ${counts(applied)} · ${moves}`;
}

function counts({ files, changed }: Pick<Applied, "files" | "changed">): string {
  return `${formatCount(files, "file")} · ${changed} changed`;
}

/** `tydfs scrub`: reads copies again and compares them with their sums: a keeper's, or a file's. */
import type { Command } from "@commander-js/extra-typings";
import { systemClock } from "../base/clock.ts";
import type { ClusterStatus } from "../client/client.ts";
import { ConfigError } from "../config/load.ts";
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";
import { findKeeper } from "../wire/keeper_word.ts";
import {
  formatFindings,
  formatScrubs,
  formatShare,
  formatTotals,
  NO_TOTALS,
  scrubJson,
} from "./format/scrub.ts";
import { formatCount } from "./format/format.ts";
import { findMatches } from "./names/matches.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

type Keeper = ClusterStatus["keepers"][number];

const LOOK_MS = 500;
const INTEGRITY_STATUS = 7;
const FAILED_STATUS = 1;

const EXAMPLES = `
Each keeper reads all its chunks again by itself, within its --scrub-period.
WHAT has it done now: a keeper (name, id, or the first digits of its id) reads
all it has without the usual cap; of a path (it begins with /) all copies on all
keepers are read. A bad copy is put aside and made anew from a good one, and is
deleted only when the chunk has all its copies again. Bad copies that were found
make the status 7, also though they are being repaired; copies that could not be
read make it 1. Ctrl-C ends the waiting only: a keeper goes on.

Examples:
  tydfs scrub                       how far the keepers are, and what is overdue
  tydfs scrub barn-2 --now          wait until the keeper has read all
  tydfs scrub barn-2 --now --detach
  tydfs scrub /videos/film.mp4 --now
  tydfs scrub -r '/videos/20*' --now --json
`;

/** Declares the command. */
export function addScrub(program: Command, session: Session): void {
  const command = program.command("scrub")
    .description("Read copies again, from the disk, and compare them with their sums")
    .argument("[WHAT]", "A keeper, or a path or pattern in the cluster; all keepers unless given")
    .option("--now", "Begin now; with WHAT that goes without saying")
    .option("-d, --detach", "Do not wait for keepers")
    .option("-r, --recursive", "Directories, with all files below")
    .addHelpText("after", EXAMPLES)
    .action(async (what, flags, self) => {
      const { now = false, detach = false, recursive = false } = flags;
      const isPath = what?.startsWith("/") === true;
      if (detach && (isPath || (what === undefined && !now))) {
        throw new ConfigError("Cannot use --detach here: only keepers scrub in the background");
      }
      if (recursive && !isPath) {
        throw new ConfigError("Cannot use --recursive here: only a path can be a directory");
      }
      await session.withClient(self, async (connected) => {
        if (isPath) return await scrubPath(session, connected, what, recursive);
        if (what === undefined && !now) return await showScrubs(connected);
        await scrubKeepers(session, connected, what, detach);
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

async function showScrubs({ client, signal, output, json }: ClientSession): Promise<void> {
  const { keepers } = await client.status({ signal });
  const wallMs = systemClock.wallMs();
  if (json) output.line(JSON.stringify(keepers.map((keeper) => scrubJson(keeper, wallMs))));
  else formatScrubs(keepers, wallMs, output.paint).forEach((line) => output.line(line));
}

/** Has one keeper, or all that are alive, read all they have. */
async function scrubKeepers(
  session: Session,
  connected: ClientSession,
  word: string | undefined,
  detach: boolean,
): Promise<void> {
  const { client, signal, output, json, quiet } = connected;
  const { keepers } = await client.status({ signal });
  const chosen = word === undefined
    ? keepers.filter(({ state }) => state === "ALIVE")
    : [findKeeper(keepers, word, "scrub")];
  const begun: Keeper[] = [];
  await session.forEach(chosen, signal, async (keeper) => {
    await client.operator.scrubKeeper(keeper.id, { signal });
    begun.push(keeper);
    if (detach && !quiet && !json) output.line(`${keeper.name} scrubs now`);
  });
  const done = detach ? begun : await waitFor(connected, begun);
  if (json) {
    const wallMs = systemClock.wallMs();
    output.line(JSON.stringify(done.map((keeper) => scrubJson(keeper, wallMs))));
  }
  const bad = done.map((keeper, index) => {
    return keeper.scrub.bad - Math.min(keeper.scrub.bad, begun[index]?.scrub.bad ?? 0);
  });
  if (bad.some((count) => count > 0)) session.exitStatus ||= INTEGRITY_STATUS;
  if (json || quiet || detach) return;
  for (const [index, { name, chunks }] of done.entries()) {
    const found = bad[index] === 0
      ? "all good"
      : `${formatCount(bad[index] ?? 0, "bad copy", "bad copies")} put aside, to be made anew`;
    output.line(`scrubbed ${name} · ${found} · it has ${formatCount(chunks, "chunk")}`);
  }
}

/** Waits until each of the keepers has ended a pass; returns them as they are then. */
async function waitFor(
  { client, signal, output, quiet }: ClientSession,
  before: readonly Keeper[],
): Promise<Keeper[]> {
  const left = new Map(before.map((keeper) => [keeper.id, keeper]));
  const done = new Map<string, Keeper>();
  try {
    while (left.size > 0) {
      await systemClock.sleep(LOOK_MS, signal);
      const { keepers } = await client.status({ signal });
      const lines: string[] = [];
      for (const { id, name, scrub } of left.values()) {
        const now = keepers.find((keeper) => keeper.id === id);
        if (now === undefined || now.state === "DEAD") {
          const state = `it is ${now?.state ?? "gone"}; it goes on when it is back`;
          throw new TydfsError("no-keepers", `Cannot wait for keeper "${name}": ${state}`);
        }
        if (now.scrub.passedMs > scrub.passedMs) {
          left.delete(id);
          done.set(id, now);
        } else lines.push(`${name}: ${formatShare(now.scrub)}`);
      }
      if (output.messagesOnTerminal) output.board(lines);
    }
  } catch (error) {
    if (output.messagesOnTerminal) output.board([]);
    if (signal.aborted && !quiet) output.message("tydfs: The keepers read on all the same");
    throw error;
  } finally {
    if (output.messagesOnTerminal) output.board([]);
  }
  return before.flatMap(({ id }) => done.get(id) ?? []);
}

/** Has all copies of files read. */
async function scrubPath(
  session: Session,
  connected: ClientSession,
  word: string,
  recursive: boolean,
): Promise<void> {
  const { client, signal, output, json, quiet } = connected;
  const totals = { ...NO_TOTALS };
  let printed = 0;
  const scrubFile = async (path: string) => {
    totals.files++;
    for await (const page of client.operator.scrubFile(path, { signal })) {
      totals.copies += page.copies;
      totals.bytes += page.bytes;
      totals.bad += page.bad.length;
      totals.unread += page.unread.length;
      if (json) output.line((printed++ === 0 ? "[" : ",") + JSON.stringify({ path, ...page }));
      else formatFindings(path, page).forEach((line) => output.line(line));
      if (output.messagesOnTerminal && !quiet) output.board([`${path}: ${formatTotals(totals)}`]);
    }
  };
  try {
    const { entries } = await findMatches(session, [word], { client, signal, topmost: recursive });
    await session.forEach(entries, signal, async ({ path, kind }) => {
      if (kind === "file") return await scrubFile(path);
      if (!recursive) {
        const state = "it is a directory; use --recursive";
        throw new TydfsError("is-directory", `Cannot scrub ${quotePath(path)}: ${state}`);
      }
      for await (const entry of client.list(path, { recursive: true, signal })) {
        if (entry.kind === "file") await scrubFile(entry.path);
      }
    });
  } finally {
    if (output.messagesOnTerminal) output.board([]);
  }
  if (json) output.line(printed === 0 ? "[]" : "]");
  if (!json && !quiet) output.line(formatTotals(totals));
  if (totals.bad > 0) session.exitStatus ||= INTEGRITY_STATUS;
  else if (totals.unread > 0) session.exitStatus ||= FAILED_STATUS;
}

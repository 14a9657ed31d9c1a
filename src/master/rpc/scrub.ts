/**
 * `keeper.scrub` and `file.scrub`: copies that are read again on demand. The keepers read and judge
 * them, put bad ones aside and report them; the tracker only asks and sums up.
 */
import { forEachLimited } from "../../base/limit.ts";
import type { ExtentFacts, KeeperRecord } from "../../catalog/reader.ts";
import { call } from "../../wire/bus.ts";
import { commandScrub, commandVerify } from "../../wire/command.ts";
import { hasCode, TydfsError, wrapError } from "../../wire/errors.ts";
import type { ScrubPage } from "../../wire/operator.ts";
import { SCRUB_PAGE_MAX } from "../../wire/operator.ts";
import { findKeeper } from "../../wire/keeper_word.ts";
import type { Desk } from "./desk.ts";

/** Less than a client waits for one answer. */
const COMMAND_MS = 3_000;
const VERIFY_MS = 4_000;
/** Bytes of one page, unless a single chunk has more: keepers are to be done in time. */
const PAGE_BYTES = 256 * 2 ** 20;

/** `keeper.scrub`. */
export async function scrubKeeper(
  desk: Desk,
  request: { keeper: string },
): Promise<Record<string, never>> {
  const { bus, subjects, roster, tables, masterEpoch: epoch } = desk;
  const keeper = findKeeper(roster.all(), request.keeper, "scrub");
  const state = tables.keepers.find(keeper.number)?.state ?? "JOINING";
  const cannot = `Cannot scrub keeper "${keeper.name}"`;
  if (state === "DEAD") throw new TydfsError("no-keepers", `${cannot}: it is ${state}`);
  const subject = subjects.command(keeper.id, commandScrub.name);
  try {
    return await call(bus, subject, commandScrub, { epoch }, { timeoutMs: COMMAND_MS });
  } catch (cause) {
    // To the client these would mean that no master answers.
    if (!hasCode(cause, "unavailable", "timeout")) throw cause;
    throw new TydfsError("no-keepers", `${cannot}: it does not answer now`, { cause });
  }
}

/** `file.scrub`. */
export async function scrubFile(
  desk: Desk,
  request: { path: string; inode?: number | undefined; fromSeq: number },
): Promise<ScrubPage> {
  const { reader } = desk;
  const { path, inode, fromSeq } = request;
  const found = reader.locate(path, inode, fromSeq, SCRUB_PAGE_MAX);
  const extents = choosePage(found.extents);
  const page: ScrubPage = { inode: found.inode, copies: 0, bytes: 0, bad: [], unread: [] };
  const copies = extents.flatMap((extent) =>
    extent.keepers.map((number) => ({ extent, keeper: desk.roster.byNumber(number) }))
  );
  await forEachLimited(copies, SCRUB_PAGE_MAX, async ({ extent, keeper }) => {
    if (keeper !== undefined) await scrubCopy(desk, extent, keeper, page);
  });
  for (const { chunk, keepers } of extents) {
    // On record nobody has it: that is no copy, and still has to be said.
    if (keepers.length === 0) page.bad.push({ chunk, keeper: "", state: "lost" });
  }
  const last = extents.at(-1);
  const more = found.more || extents.length < found.extents.length;
  return more && last !== undefined ? { ...page, next: last.seq + 1 } : page;
}

/** The extents of a page: one at least, and all of their copies are read. */
function choosePage(extents: readonly ExtentFacts[]): ExtentFacts[] {
  const page: ExtentFacts[] = [];
  let copies = 0;
  let bytes = 0;
  for (const extent of extents) {
    copies += extent.keepers.length;
    bytes += extent.keepers.length * extent.chunkBytes;
    if (page.length > 0 && (copies > SCRUB_PAGE_MAX || bytes > PAGE_BYTES)) break;
    page.push(extent);
  }
  return page;
}

/** Has one copy read, and adds to the page what came of it. */
async function scrubCopy(
  desk: Desk,
  { chunk, chunkBytes }: ExtentFacts,
  { id, name, number }: KeeperRecord,
  page: ScrubPage,
): Promise<void> {
  const { bus, subjects, tables, masterEpoch: epoch } = desk;
  const state = tables.keepers.find(number)?.state ?? "JOINING";
  if (state === "DEAD") {
    page.unread.push({ chunk, keeper: name, reason: `the keeper is ${state}` });
    return;
  }
  try {
    const subject = subjects.command(id, commandVerify.name);
    const within = { timeoutMs: VERIFY_MS };
    const found = await call(bus, subject, commandVerify, { epoch, chunk }, within);
    page.copies++;
    page.bytes += chunkBytes;
    if (found.state !== "good") page.bad.push({ chunk, keeper: name, state: found.state });
  } catch (error) {
    const known = wrapError(error);
    const reason = known.code === "timeout" ? "it takes too long to read" : known.message;
    page.unread.push({ chunk, keeper: name, reason });
  }
}

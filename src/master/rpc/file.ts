/**
 * `file.*`: where a file's bytes lie, what is known of it, its removal, renaming and copying, facts
 * that are set, doubts about a replica.
 */
import { failpoint } from "../../base/failpoint.ts";
import type { ExtentFacts, KeeperRecord } from "../../catalog/reader.ts";
import { call } from "../../wire/bus.ts";
import { commandVerify } from "../../wire/command.ts";
import { TydfsError } from "../../wire/errors.ts";
import type { ChunkLocation, Entry, FileLocateReply, LocatedExtent } from "../../wire/file.ts";
import { LOCATE_PAGE_MAX } from "../../wire/file.ts";
import { signTicket } from "../../wire/ticket.ts";
import { announceChange } from "../events.ts";
import { holderOf } from "../roster.ts";
import type { Desk } from "./desk.ts";

/** What a ticket to read is in force for, by the wall clock. */
export const GET_TICKET_MS = 60 * 60_000;
/** What the extents of one reply may take, in bytes: half of what NATS carries. */
export const PAGE_BYTES_MAX = 480 * 1024;
/** An extent without its sums, its holders and its ticket. */
const EXTENT_BYTES = 250;
/** A holder's id. */
export const HOLDER_BYTES = 36;
const VERIFY_MS = 60_000;

/** `file.locate`. */
export function locate(
  desk: Desk,
  request: { path: string; inode?: number | undefined; fromSeq: number },
): FileLocateReply {
  const { reader, roster } = desk;
  const { path, inode, fromSeq } = request;
  const { owner: _owner, goal: _goal, ...found } = reader.locate(
    path,
    inode,
    fromSeq,
    LOCATE_PAGE_MAX,
  );
  const expiresMs = desk.clock.wallMs() + GET_TICKET_MS;
  const extents: LocatedExtent[] = [];
  const numbers = new Set<number>();
  let bytes = 0;
  for (const extent of found.extents) {
    const { chunk } = extent;
    const live = readable(desk, extent);
    const ticket = signTicket(desk.ticketKey, { op: "get", chunk, expiresMs });
    bytes += EXTENT_BYTES + ticket.length + extent.sums.length + live.length * HOLDER_BYTES;
    if (bytes > PAGE_BYTES_MAX) break;
    for (const { number } of live) numbers.add(number);
    extents.push({ ...extent, keepers: live.map(({ id }) => id), ticket });
  }
  const holders = [...numbers].flatMap((number) => {
    const keeper = roster.byNumber(number);
    return keeper === undefined ? [] : [holderOf(keeper)];
  });
  const { size: sizeBytes, version, checksum, mtimeMs, mode } = found;
  const more = found.more || extents.length < found.extents.length;
  const facts = { inode: found.inode, version, sizeBytes, checksum, mtimeMs, mode };
  return { ...facts, holders, extents, more };
}

/** `file.stat`. */
export function stat(
  desk: Desk,
  request: { path: string; fromSeq?: number | undefined; inode?: number | undefined },
): {
  entry: Entry;
  inode: number;
  checksum: string;
  replicas: number;
  chunks: ChunkLocation[];
  more: boolean;
} {
  const { reader } = desk;
  const { path, fromSeq } = request;
  const { inode, checksum, goal, ...facts } = reader.getEntry(path);
  const entry: Entry = { path, checksum, ...facts };
  const base = { entry, inode, checksum, replicas: goal };
  if (fromSeq === undefined || facts.kind === "directory") {
    return { ...base, chunks: [], more: false };
  }
  const page = reader.locate(path, request.inode ?? inode, fromSeq, LOCATE_PAGE_MAX);
  const chunks = page.extents.map((extent) => locationOf(desk, extent));
  return { ...base, chunks, more: page.more };
}

/** `file.remove`. */
export async function remove(
  desk: Desk,
  request: { path: string; recursive: boolean },
): Promise<{ files: number; directories: number }> {
  const atMs = desk.clock.wallMs();
  const operation = { kind: "file.remove", ...request, atMs } as const;
  const { event, ...removed } = await desk.journal.submit(operation);
  await failpoint("master.remove.committed");
  announceChange(desk.announce, event);
  return removed;
}

/** `file.rename`. */
export async function rename(
  desk: Desk,
  request: { from: string; to: string; replace: boolean },
): Promise<{ path: string }> {
  const atMs = desk.clock.wallMs();
  const { event } = await desk.journal.submit({ kind: "file.rename", ...request, atMs });
  announceChange(desk.announce, event);
  return { path: request.to };
}

/** `file.copy`. */
export async function copy(
  desk: Desk,
  request: { from: string; to: string; replace: boolean; owner: string },
): Promise<{ path: string; version: number }> {
  const atMs = desk.clock.wallMs();
  const { version, event } = await desk.journal.submit({ kind: "file.copy", ...request, atMs });
  announceChange(desk.announce, event);
  return { path: request.to, version };
}

/** `file.set`. */
export async function set(
  desk: Desk,
  request: { path: string; mode?: number | undefined; mtimeMs?: number | undefined },
): Promise<Record<string, never>> {
  const { path, mode, mtimeMs } = request;
  return await desk.journal.submit({
    kind: "file.set",
    path,
    ...(mode === undefined ? {} : { mode }),
    ...(mtimeMs === undefined ? {} : { mtimeMs }),
  });
}

/** `file.doubt`. Answers at once; the keeper reports what it finds. */
export function doubt(
  desk: Desk,
  request: { chunk: string; keeper: string },
): Record<string, never> {
  const { bus, subjects, reader, roster, doubts, log, masterEpoch: epoch } = desk;
  const { chunk, keeper } = request;
  const known = roster.byId(keeper);
  if (known === undefined || !reader.chunk(chunk)?.keepers.includes(known.number)) {
    const state = `keeper "${keeper}" is not known to have it`;
    throw new TydfsError("not-found", `Cannot doubt chunk "${chunk}": ${state}`);
  }
  if (!doubts.add(`${chunk} ${keeper}`)) return {};
  log.warn("A reader got wrong bytes", { chunk, keeper: known.name });
  const subject = subjects.command(keeper, commandVerify.name);
  call(bus, subject, commandVerify, { epoch, chunk }, { timeoutMs: VERIFY_MS }).then(
    ({ state }) => log.info("A doubted replica was verified", { chunk, keeper: known.name, state }),
    (error) => log.warn("Cannot have a replica verified", { chunk, keeper: known.name, error }),
  );
  return {};
}

/** The holders that can be asked for a chunk, the surest first. */
export function readable(
  desk: Pick<Desk, "roster" | "tables">,
  { keepers }: { keepers: readonly number[] },
): KeeperRecord[] {
  const rank = (number: number) => {
    const state = desk.tables.keepers.find(number)?.state;
    // JOINING: known from before this master's start, and most likely there.
    return ["ALIVE", "SUSPECT", "JOINING"].indexOf(state ?? "");
  };
  return keepers
    .map((number) => ({ keeper: desk.roster.byNumber(number), rank: rank(number) }))
    .filter(({ rank }) => rank >= 0)
    .sort((left, right) => left.rank - right.rank)
    .flatMap(({ keeper }) => keeper ?? []);
}

function locationOf(desk: Desk, extent: ExtentFacts): ChunkLocation {
  const { chunk: id, offset, length: size, keepers } = extent;
  const path = `chunks/${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`;
  const holders = keepers.flatMap((number) => {
    const keeper = desk.roster.byNumber(number);
    if (keeper === undefined) return [];
    return [{
      keeper: keeper.name,
      state: desk.tables.keepers.find(number)?.state ?? "DEAD",
      path,
    }];
  });
  return { id, offset, size, holders };
}

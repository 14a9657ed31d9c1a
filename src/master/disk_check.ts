/**
 * Compares chunks on record with what lies on the keepers' disks: asks each keeper once for all its
 * copies of a page, and again for those that seem wrong, since records and disks change meanwhile.
 * Corrects records where it is asked to; copies are then made by the replicator.
 */
import type { Clock } from "../base/clock.ts";
import { forEachLimited } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import type { AuditChunk, AuditReader } from "../catalog/audit_reader.ts";
import type { Journal } from "../catalog/operation.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { Finding } from "../wire/audit.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { commandCheck, commandVerify } from "../wire/command.ts";
import type { Subjects } from "../wire/subjects.ts";
import { noteFailure } from "./failures.ts";
import type { Roster } from "./roster.ts";

export interface DiskCheckOptions {
  bus: Bus;
  subjects: Subjects;
  clock: Clock;
  log: Log;
  journal: Journal;
  roster: Roster;
  reader: AuditReader;
  keepers: KeeperTable;
  masterEpoch: number;
}

/** What is wrong with a keeper's copy. */
export type Fault = "missing" | "wrong-size";

/** What the keepers have said of a page of chunks. */
export interface DiskPicture {
  /** Faults by chunk number and keeper number. */
  faults: Map<number, Map<number, Fault>>;
  /** Keepers that could not be asked, with the reason. */
  unreachable: Map<number, string>;
}

const KEEPERS_AT_ONCE = 8;
const VERIFIES_AT_ONCE = 4;
/** Both, and a bit, must fit into the time that a client waits for a page. */
const CHECK_MS = 3_000;
const CHECK_AGAIN_MS = 1_400;
const VERIFY_MS = 2_000;

/** Asks the keepers what they have of these chunks. */
export async function lookAtDisks(
  options: DiskCheckOptions,
  chunks: readonly AuditChunk[],
): Promise<DiskPicture> {
  const picture: DiskPicture = { faults: new Map(), unreachable: new Map() };
  await forEachLimited(groupByKeeper(chunks), KEEPERS_AT_ONCE, async ([number, copies]) => {
    const keeper = options.roster.byNumber(number);
    const reason = whyNotAsk(options, keeper);
    if (keeper === undefined || reason !== undefined) {
      picture.unreachable.set(number, reason ?? "it is unknown");
      return;
    }
    try {
      const suspects = await ask(options, keeper, copies, CHECK_MS);
      const wrong = [...suspects.keys()].flatMap((chunk) => stillOnRecord(options, chunk, number));
      if (wrong.length === 0) return;
      for (const [{ no }, fault] of await ask(options, keeper, wrong, CHECK_AGAIN_MS)) {
        const ofChunk = picture.faults.get(no) ?? new Map<number, Fault>();
        picture.faults.set(no, ofChunk.set(number, fault));
      }
    } catch (error) {
      noteFailure(options.log, "Cannot have a disk checked", error, { keeper: keeper.name });
      picture.unreachable.set(number, "it does not answer");
    }
  });
  return picture;
}

/** Takes these copies off the record, so that others are made. */
export async function repairCopies(
  options: DiskCheckOptions,
  faulty: readonly { chunk: AuditChunk; keeper: number; fault: Fault }[],
): Promise<void> {
  const { roster, journal, clock } = options;
  const goneByKeeper = new Map<KeeperRecord, string[]>();
  const silent = new Set<KeeperRecord>();
  await forEachLimited(faulty, VERIFIES_AT_ONCE, async ({ chunk, keeper: number, fault }) => {
    const keeper = roster.byNumber(number);
    if (keeper === undefined) return;
    // The keeper puts aside what it has there, so that nothing is lost by it.
    const asks = fault === "wrong-size" && !silent.has(keeper);
    if (asks && !await putAside(options, keeper, chunk.id)) silent.add(keeper);
    goneByKeeper.set(keeper, [...goneByKeeper.get(keeper) ?? [], chunk.id]);
  });
  for (const [{ id: keeper }, chunks] of goneByKeeper) {
    await journal.submit({ kind: "replica.gone", keeper, chunks, atMs: clock.wallMs() });
  }
}

/** The finding of one faulty copy. */
export function describeFault(
  chunk: AuditChunk,
  keeper: string,
  fault: Fault,
  repaired: boolean,
): Finding {
  const detail = fault === "missing"
    ? "the copy is on record, but not on the disk"
    : `the copy has another length than ${chunk.sizeBytes} bytes, or no sidecar`;
  return { kind: fault, chunk: chunk.id, keeper, detail, repaired };
}

/** The copies on record of chunks that something refers to; others are the sweeper's. */
function groupByKeeper(chunks: readonly AuditChunk[]): Map<number, AuditChunk[]> {
  const byKeeper = new Map<number, AuditChunk[]>();
  for (const chunk of chunks) {
    if (chunk.refs === 0) continue;
    for (const number of chunk.keepers) {
      const copies = byKeeper.get(number);
      if (copies === undefined) byKeeper.set(number, [chunk]);
      else copies.push(chunk);
    }
  }
  return byKeeper;
}

function whyNotAsk(
  { keepers }: DiskCheckOptions,
  keeper: KeeperRecord | undefined,
): string | undefined {
  if (keeper === undefined) return "it is unknown";
  const state = keepers.find(keeper.number)?.state ?? "DEAD";
  if (state === "DEAD") return "it is away";
  return state === "JOINING" ? "it has not joined yet" : undefined;
}

async function ask(
  { bus, subjects, masterEpoch: epoch }: DiskCheckOptions,
  keeper: KeeperRecord,
  copies: readonly AuditChunk[],
  timeoutMs: number,
): Promise<Map<AuditChunk, Fault>> {
  const chunks = copies.map(({ id, sizeBytes }): [string, number] => [id, sizeBytes]);
  const subject = subjects.command(keeper.id, commandCheck.name);
  const answer = await call(bus, subject, commandCheck, { epoch, chunks }, { timeoutMs });
  const [missing, wrongSize] = [new Set(answer.missing), new Set(answer.wrongSize)];
  const faults = new Map<AuditChunk, Fault>();
  for (const chunk of copies) {
    if (missing.has(chunk.id)) faults.set(chunk, "missing");
    else if (wrongSize.has(chunk.id)) faults.set(chunk, "wrong-size");
  }
  return faults;
}

/** The chunk as it is now, if its copy on this keeper is still to be there. */
function stillOnRecord(
  { reader }: DiskCheckOptions,
  { no }: AuditChunk,
  keeper: number,
): AuditChunk[] {
  const chunk = reader.chunk(no);
  const isDue = chunk !== undefined && chunk.refs > 0 && chunk.keepers.includes(keeper);
  return isDue ? [chunk] : [];
}

/** Has a keeper put a bad copy aside; whether it answered. */
async function putAside(
  { bus, subjects, log, masterEpoch: epoch }: DiskCheckOptions,
  keeper: KeeperRecord,
  chunk: string,
): Promise<boolean> {
  try {
    const subject = subjects.command(keeper.id, commandVerify.name);
    await call(bus, subject, commandVerify, { epoch, chunk }, { timeoutMs: VERIFY_MS });
    return true;
  } catch (error) {
    // The record is corrected all the same: the copy does not count, wherever it lies.
    noteFailure(log, "Cannot have a bad copy put aside", error, { chunk, keeper: keeper.name });
    return false;
  }
}

/** `keeper.drain`, `keeper.remove`, `cluster.rebalance`: what an operator has done with keepers. */
import { formatSize } from "../../base/bytes.ts";
import type { KeeperRecord } from "../../catalog/reader.ts";
import { call } from "../../wire/bus.ts";
import { commandRetire } from "../../wire/command.ts";
import { TydfsError } from "../../wire/errors.ts";
import type { DrainReply, RebalanceReply } from "../../wire/operator.ts";
import { COMMAND_SHARE, decideBand, planBalance } from "../balance.ts";
import { balanceDisks } from "../disks.ts";
import { noteFailure } from "../failures.ts";
import { findKeeper, sortByName } from "../../wire/keeper_word.ts";
import { describeSafeMode, unpackSafeMode } from "../safe_mode.ts";
import type { Desk } from "./desk.ts";

/** Replicas that one operation takes off the record, and operations of one call. */
const REMOVE_ROWS = 1_000;
const REMOVE_STEPS = 20;
const RETIRE_MS = 5_000;

/** `keeper.drain`. */
export async function drain(
  desk: Desk,
  { keeper: word, on }: { keeper: string; on: boolean },
): Promise<DrainReply> {
  const { journal, roster, tables } = desk;
  const keeper = findKeeper(roster.all(), word, "drain");
  if (on && !keeper.draining) checkRoom(desk, keeper);
  if (on !== keeper.draining) {
    await journal.submit({ kind: "keeper.drain", keeper: keeper.id, on });
  }
  const { id, name } = keeper;
  if (!on) {
    return { keeper: id, name, chunksLeft: 0, bytesLeft: 0, stuck: 0, safeToRemove: false };
  }
  const heldBack = describeSafeMode(unpackSafeMode(tables.repairs.read().safety));
  const progress = drainProgress(desk, keeper);
  return { keeper: id, name, ...progress, ...(heldBack === undefined ? {} : { heldBack }) };
}

/** What is left to be done of emptying a keeper; all that it has while that was not counted yet. */
export function drainProgress(
  { reader, tables }: Desk,
  { number }: KeeperRecord,
): Pick<DrainReply, "chunksLeft" | "bytesLeft" | "stuck" | "safeToRemove"> {
  const counted = tables.repairs.drain(number);
  if (counted !== undefined) {
    const { chunks, bytes, stuck } = counted;
    return { chunksLeft: chunks, bytesLeft: bytes, stuck, safeToRemove: chunks === 0 };
  }
  const held = reader.heldByKeepers().find((each) => each.number === number);
  const { replicas = 0, bytes = 0 } = held ?? {};
  return { chunksLeft: replicas, bytesLeft: bytes, stuck: 0, safeToRemove: replicas === 0 };
}

/** Throws `no-keepers` or `no-space` when the other keepers could never hold what it has. */
function checkRoom({ slots, settings, reader }: Desk, { number, name }: KeeperRecord): void {
  const cannot = `Cannot drain keeper "${name}"`;
  const others = slots.candidates().filter((candidate) => candidate.number !== number);
  const needed = Math.min(settings.min_copies, settings.replicas);
  if (others.length < needed) {
    const state = `a chunk needs ${needed} copies, and only ${others.length} other ` +
      `${others.length === 1 ? "keeper" : "keepers"} can take one; start another keeper first`;
    throw new TydfsError("no-keepers", `${cannot}: ${state}`);
  }
  const { bytes = 0 } = reader.heldByKeepers().find((held) => held.number === number) ?? {};
  const freeBytes = others.reduce((sum, candidate) => sum + candidate.freeBytes, 0);
  if (freeBytes >= bytes) return;
  const state = `it holds ${formatSize(bytes)}, and the others have room for ` +
    `${formatSize(freeBytes)}; start another keeper first`;
  throw new TydfsError("no-space", `${cannot}: ${state}`);
}

/** `keeper.remove`. */
export async function removeKeeper(
  desk: Desk,
  { keeper: word, force }: { keeper: string; force: boolean },
): Promise<{ keeper: string; name: string; short: number; lost: number; more: boolean }> {
  const { roster, tables, journal, clock } = desk;
  const record = findKeeper(roster.all(), word, "remove");
  const { id: keeper, name, number } = record;
  checkDrained(desk, record, force);
  // What lies on a keeper that is to go as well is no copy to rely on.
  const alive = roster.all().filter((other) => tables.keepers.alive(other.number))
    .filter((other) => !other.draining && other.number !== number).map(({ id }) => id);
  const sum = { keeper, name, short: 0, lost: 0, more: true };
  for (let step = 0; step < REMOVE_STEPS && sum.more; step++) {
    const atMs = clock.wallMs();
    const options = { keeper, alive, force, limit: REMOVE_ROWS, atMs };
    const { short, lost, more } = await journal.submit({ kind: "keeper.remove", ...options });
    sum.short += short;
    sum.lost += lost;
    sum.more = more;
  }
  if (!sum.more) void retire(desk, record);
  return sum;
}

/** Throws `conflict` at once when it is known that a keeper is not empty yet. */
function checkDrained(desk: Desk, keeper: KeeperRecord, force: boolean): void {
  if (force || !keeper.draining) return;
  const { chunksLeft, safeToRemove } = drainProgress(desk, keeper);
  if (safeToRemove) return;
  const state = `${chunksLeft} chunks still need its copies; tydfs drain --follow waits for them`;
  throw new TydfsError("conflict", `Cannot remove keeper "${keeper.name}": ${state}`);
}

/** Has the process of a removed keeper end; one that does not hear it is told when it beats. */
async function retire(desk: Desk, { id, epoch: keeperEpoch, name }: KeeperRecord): Promise<void> {
  const { bus, subjects, masterEpoch: epoch, log } = desk;
  log.warn("A keeper was removed", { keeper: name });
  const subject = subjects.command(id, commandRetire.name);
  const request = { epoch, keeperEpoch, removed: true };
  try {
    await call(bus, subject, commandRetire, request, { timeoutMs: RETIRE_MS });
  } catch (error) {
    noteFailure(log, "A removed keeper did not hear that it is to end", error, { keeper: name });
  }
}

/** `cluster.rebalance`. */
export async function rebalance(
  desk: Desk,
  { action }: { action: "plan" | "start" | "stop" },
): Promise<RebalanceReply> {
  const { roster, tables, journal, reader, settings } = desk;
  const plan = planBalance(balanceDisks(desk), COMMAND_SHARE);
  const isUneven = plan.spread > COMMAND_SHARE;
  if (action === "start" && isUneven) await journal.submit({ kind: "balance.set", on: true });
  if (action === "stop") await journal.submit({ kind: "balance.set", on: false });
  const band = decideBand({
    isCommanded: reader.balanceWanted(),
    isRunning: tables.repairs.read().balancing,
    spread: plan.spread,
    threshold: settings.balance_threshold / 100,
  });
  return {
    running: band !== undefined,
    spreadPercent: percent(plan.spread),
    moveBytes: plan.moveBytes,
    steps: sortByName(plan.disks.map(({ number, share, moveBytes, afterShare }) => ({
      name: roster.byNumber(number)?.name ?? String(number),
      usedPercent: percent(share),
      moveBytes,
      afterPercent: percent(afterShare),
    }))),
  };
}

/** A part of 1 as percent, with two digits. */
export function percent(share: number): number {
  return Math.round(share * 10_000) / 100;
}

/**
 * Deletes replicas: the keeper first, then the record. What a keeper does not confirm stays on
 * record.
 */
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import type { Log } from "../base/log.ts";
import type { Journal } from "../catalog/operation.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { Bus } from "../wire/bus.ts";
import { call } from "../wire/bus.ts";
import { commandDelete } from "../wire/command.ts";
import type { Subjects } from "../wire/subjects.ts";
import { whileThere } from "./departure.ts";
import { noteFailure } from "./failures.ts";

export interface RemovalOptions {
  bus: Bus;
  subjects: Subjects;
  journal: Journal;
  clock: Clock;
  log: Log;
  keepers: KeeperTable;
  masterEpoch: number;
  signal: AbortSignal;
}

/** Chunks in one command, as its schema bounds them. */
export const DELETE_MAX = 1_024;
const DELETE_MS = 30_000;

/**
 * Has a keeper delete chunks, and records that. Returns those that are gone for sure; failures are
 * logged, and tried again by a later pass.
 */
export async function removeReplicas(
  options: RemovalOptions,
  keeper: KeeperRecord,
  chunks: readonly string[],
): Promise<Set<string>> {
  const { bus, subjects, journal, clock, log, masterEpoch: epoch, signal } = options;
  try {
    // A command that lay in a stopped keeper's socket must not be obeyed when it wakes.
    const expiresMs = clock.wallMs() + DELETE_MS;
    const request = { epoch, chunks: chunks.slice(0, DELETE_MAX), expiresMs };
    const subject = subjects.command(keeper.id, commandDelete.name);
    const [{ gone }] = await whileThere(options, keeper.number, async (signal) => {
      const within = { timeoutMs: DELETE_MS, signal };
      const deleted = call(bus, subject, commandDelete, request, within);
      return await Promise.all([deleted, failpoint("master.delete.sent")]);
    });
    // Only what was asked for: a keeper's answer never drops other records.
    const removed = request.chunks.filter((chunk) => gone.includes(chunk));
    if (removed.length > 0) {
      const atMs = clock.wallMs();
      await journal.submit({ kind: "replica.gone", keeper: keeper.id, chunks: removed, atMs });
      await failpoint("master.delete.done");
      log.info("A keeper has deleted chunks", { keeper: keeper.name, chunks: removed.length });
    }
    return new Set(removed);
  } catch (error) {
    if (!signal.aborted) {
      noteFailure(log, "Cannot delete chunks on a keeper", error, { keeper: keeper.name });
    }
    return new Set();
  }
}

/**
 * What is to be done about the catalog's archive: pure choices over what the keepers have and how
 * far the catalog is.
 */
import type { KeeperRecord } from "../catalog/reader.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { ArchiveFile } from "../wire/archive.ts";
import { parseArchiveName } from "../wire/archive.ts";

/** A keeper that can take a part of the archive. */
export interface ArchiveKeeper {
  id: string;
  /** Its `zone` label; keepers without one share the zone "". */
  zone: string;
}

/** Keepers that are alive and can be written; those that are to go only if there are no others. */
export function archiveKeepers(
  roster: readonly KeeperRecord[],
  table: Pick<KeeperTable, "find">,
): KeeperRecord[] {
  const present = roster.filter(({ number }) => {
    const row = table.find(number);
    return row?.state === "ALIVE" && !row.readOnly;
  });
  const staying = present.filter(({ draining }) => !draining);
  return staying.length > 0 ? staying : present;
}

/** Whether one of these keepers, by id, has gone or is to go, and its archive with it. */
export function isAnyLeaving(
  ids: ReadonlySet<string>,
  roster: readonly KeeperRecord[],
  table: Pick<KeeperTable, "find">,
): boolean {
  const staying = roster.filter(({ number, draining }) =>
    !draining && table.find(number)?.state !== "DEAD"
  ).map(({ id }) => id);
  return !ids.isSubsetOf(new Set(staying));
}

/**
 * Chooses `count` keepers, fewer when there are no more: those that are `held` stay as long as they
 * are candidates, then come those of zones that are not held yet.
 */
export function chooseArchiveKeepers(
  candidates: readonly ArchiveKeeper[],
  held: ReadonlySet<string>,
  count: number,
): string[] {
  const chosen = candidates.filter(({ id }) => held.has(id)).slice(0, count);
  const zones = new Set(chosen.map(({ zone }) => zone));
  const others = candidates.filter(({ id }) => !held.has(id));
  for (const freshZone of [true, false]) {
    for (const other of others) {
      if (chosen.length >= count) break;
      if (chosen.includes(other) || (freshZone && zones.has(other.zone))) continue;
      chosen.push(other);
      zones.add(other.zone);
    }
  }
  return chosen.map(({ id }) => id);
}

/** What is known when the archivist looks whether a snapshot is due. Times are monotonic ms. */
export interface SnapshotState {
  nowMs: number;
  /** The last operation of the catalog, and of the newest snapshot. */
  sequence: number;
  snapshotSequence: number;
  /** When that was made, or -Infinity; and when one was last tried in vain, or -Infinity. */
  madeMs: number;
  failedMs: number;
  /** The keepers that have it, and those that are alive. */
  copies: number;
  keepers: number;
  /** Bytes of journal since it. */
  journalBytes: number;
  /** The journals of the keepers do not lead from it to here. */
  isBroken: boolean;
  /** A keeper is gone or is to go that may have a part of what is needed. */
  isLeaving: boolean;
  /** Journals that the keepers have. */
  journals: number;
  /** The setting. */
  periodMs: number;
}

/** Bytes of journal after which a snapshot is made before its time. */
export const JOURNAL_BYTES_MAX = 64 * 2 ** 20;
/** Journals (one a start of a master, at least) after which it is. */
const JOURNALS_MAX = 24;
/** Pauses after a try in vain, and between snapshots that come before their time. */
const RETRY_MS = 10_000;
const EARLY_MS = 60_000;

/** Why a snapshot is due; undefined: it is not. */
export function decideSnapshot(state: SnapshotState): string | undefined {
  const { nowMs, sequence, snapshotSequence, madeMs, failedMs, periodMs } = state;
  if (sequence === snapshotSequence && !state.isLeaving) return undefined;
  if (nowMs - failedMs < Math.min(RETRY_MS, periodMs)) return undefined;
  if (madeMs === -Infinity) return "there is none since the start";
  const ageMs = nowMs - madeMs;
  const isThin = state.copies < Math.min(2, state.keepers);
  if (isThin && ageMs >= Math.min(RETRY_MS, periodMs)) return "it is on one keeper only";
  if (ageMs >= periodMs) return "its time has come";
  if (ageMs < Math.min(EARLY_MS, periodMs)) return undefined;
  if (state.isLeaving) return "a keeper of the archive is gone, or is to go";
  if (state.isBroken) return "a part of the journal is on too few keepers";
  if (state.journalBytes >= JOURNAL_BYTES_MAX) return "the journal has grown long";
  if (state.journals > JOURNALS_MAX) return "there are many journals";
  return undefined;
}

/** The files of keepers, by keeper's id. */
export type ArchiveListing = ReadonlyMap<string, readonly ArchiveFile[]>;

/** Snapshots that stay: so that one may turn out bad. */
const SNAPSHOTS_KEPT = 2;
/** Files that one command names, at most. */
const REMOVALS_MAX = 64;

export interface PruneFacts {
  catalog: string;
  /** The last operation of the catalog. */
  sequence: number;
  /** Keepers that must have a snapshot before it counts. */
  enough: number;
  /** The snapshots that this master has made, by their last operation. */
  made: ReadonlySet<number>;
}

/**
 * Which files each keeper is to remove: what the newest two snapshots that `enough` keepers have do
 * not need. Only those count that this very master has made: others may be of a history that was
 * given up. Of other catalogs, and of what lies beyond this one, nothing is removed: it may be all
 * that is left of something.
 */
export function planPrune(
  listing: ArchiveListing,
  { catalog, sequence, enough, made }: PruneFacts,
): Map<string, string[]> {
  const own = [...listing].flatMap(([keeper, files]) =>
    files.map(({ name }) => ({ keeper, name, ...parseArchiveName(name) }))
      .filter((file) => file.catalog === catalog && file.sequence <= sequence + 1)
  );
  const snapshots = own.filter(({ kind }) => kind === "snapshot");
  const safe = [...new Set(snapshots.map((file) => file.sequence))]
    .filter((number) =>
      made.has(number) &&
      snapshots.filter((file) => file.sequence === number).length >= enough
    )
    .sort((left, right) => right - left);
  const oldest = safe[SNAPSHOTS_KEPT - 1];
  const removals = new Map<string, string[]>();
  if (oldest === undefined) return removals;
  const begins = [...new Set(own.filter(({ kind }) => kind === "journal").map((f) => f.sequence))]
    .sort((left, right) => left - right);
  for (const file of own) {
    // A journal ends where the next one begins; the last one has no end.
    const next = begins.find((begin) => begin > file.sequence) ?? Infinity;
    const isNeeded = file.kind === "snapshot" ? file.sequence >= oldest : next > oldest + 1;
    if (isNeeded) continue;
    const list = removals.get(file.keeper) ?? [];
    if (list.length < REMOVALS_MAX) list.push(file.name);
    removals.set(file.keeper, list);
  }
  return removals;
}

/** What a master knows of its own history. */
export interface OwnHistory {
  catalog: string;
  epoch: number;
  /** The last operation now. */
  sequence: number;
  /** The last one at its start, or that a recovery has given up. */
  startSequence: number;
}

/**
 * How far keepers' archives go beyond this catalog: the largest number of an operation of it that
 * the catalog has not; 0: they don't. Such a catalog is an old one: a master commits before it
 * ships, so that nobody else's piece can reach beyond what its own disk held at the start.
 */
export function findNewer(listing: ArchiveListing, own: OwnHistory): number {
  let newest = 0;
  const look = (reaches: number, known: number) => {
    if (reaches > known) newest = Math.max(newest, reaches);
  };
  for (const { name, ends = [] } of [...listing.values()].flat()) {
    const file = parseArchiveName(name);
    if (file.catalog !== own.catalog) continue;
    const sequence = file.kind === "journal" ? file.sequence - 1 : file.sequence;
    look(sequence, Math.max(own.sequence, own.startSequence));
    for (const [epoch, to] of ends) {
      look(to, epoch === own.epoch ? Math.max(own.sequence, own.startSequence) : own.startSequence);
    }
  }
  return newest;
}

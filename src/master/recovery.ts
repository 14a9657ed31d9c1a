/**
 * Recovery: gives a master whose disk is lost its catalog and its key back, from the keepers'
 * archives alone. Takes the newest snapshot that can be read and what any keeper's journal adds to
 * it; what is found is checked before it becomes the catalog.
 */
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { CatalogReader } from "../catalog/reader.ts";
import type { RebuildReport } from "../catalog/rebuild.ts";
import { leapEpoch, rebuildCatalog } from "../catalog/rebuild.ts";
import type { JournalPiece, SnapshotHead } from "../wire/archive.ts";
import type { ArchiveTransport } from "../wire/archive_http.ts";
import type { Bus } from "../wire/bus.ts";
import { TydfsError } from "../wire/errors.ts";
import { openSealedKey } from "../wire/secrets.ts";
import { subjectsOf } from "../wire/subjects.ts";
import type { ClusterUrl } from "../wire/url.ts";
import { DraftFile, dropFiles, moveFile } from "./archive_files.ts";
import { ArchiveReader } from "./archive_reader.ts";
import type { FoundSnapshot } from "./archive_reader.ts";
import type { HeardKeeper } from "./roll_call.ts";
import { RollCall } from "./roll_call.ts";

export interface RecoveryOptions {
  /** The keepers' URL: its secret opens everything that is needed. */
  url: ClusterUrl;
  /** Where the catalog is to be. */
  catalogPath: string;
  /** Time without a further keeper after which those heard are thought to be all. */
  waitMs: number;
  /** Tells what could be recovered, and changes nothing. */
  dryRun: boolean;
  /** Keeps the cluster's key, durably; throws when it contradicts one that is there. */
  keepKey: (clusterKey: string) => void;
  bus: Bus;
  transport: ArchiveTransport;
  clock: Clock;
  log: Log;
  signal: AbortSignal;
}

/** What was recovered. */
export interface RecoveryReport {
  rebuilt: RebuildReport;
  /** The snapshot that it began with; undefined: with the first operation. */
  snapshot: SnapshotHead | undefined;
  /** Names of the keepers that were heard, of those that were not but are on record, of those
   * whose journal could not be read, and snapshots that could not. */
  heard: string[];
  missing: string[];
  unread: string[];
  badSnapshots: string[];
  files: number;
  bytes: number;
}

/** Waits for keepers that are on record, as a multiple of the wait for any. */
const MISSING_FACTOR = 4;

/**
 * Recovers the catalog. Throws `lost` when the keepers have none, `corrupt` when what they have
 * does not make a sound one.
 */
export async function recoverCatalog(options: RecoveryOptions): Promise<RecoveryReport> {
  const { bus, clock, log, signal, url, waitMs, catalogPath, dryRun } = options;
  const draft = `${catalogPath}.recovering`;
  const rollCall = new RollCall({ bus, subjects: subjectsOf(url.cluster), clock, log, signal });
  rollCall.start();
  try {
    log.info("Waiting for keepers", { port: url.port });
    await rollCall.untilQuiet(waitMs);
    const first = rollCall.heard;
    let built = await rebuildFrom(options, first, draft);
    const missing = built.missing.map(({ id }) => id);
    if (missing.length > 0) {
      const names = built.missing.map(({ name }) => name).join(", ");
      log.info("Waiting for the other keepers on record", { keepers: names });
      await rollCall.untilHeard(missing, MISSING_FACTOR * waitMs);
    }
    // Also those that came while it was being rebuilt: their journals may be the newest.
    const all = rollCall.heard;
    if (all.length > first.length) built = await rebuildFrom(options, all, draft);
    const { report, clusterKey, missing: absent } = built;
    if (report.rebuilt.problems.length > 0) {
      const words = report.rebuilt.problems.join("; ");
      throw new TydfsError("corrupt", `Cannot recover: the rebuilt catalog is not sound: ${words}`);
    }
    if (!dryRun) {
      const epochs = rollCall.heard.map(({ masterEpoch }) => masterEpoch);
      const { epoch, givenUp } = report.rebuilt;
      leapEpoch(draft, Math.max(epoch, ...epochs), givenUp);
      options.keepKey(clusterKey);
      moveFile(draft, catalogPath);
    }
    return { ...report, missing: absent.map(({ name }) => name) };
  } finally {
    dropFiles(draft);
    await rollCall.stop();
  }
}

interface Built {
  report: RecoveryReport;
  clusterKey: string;
  /** Keepers on record that were not heard. */
  missing: { id: string; name: string }[];
}

/** Rebuilds the catalog at `draft` from what these keepers have. */
async function rebuildFrom(
  options: RecoveryOptions,
  keepers: readonly HeardKeeper[],
  draft: string,
): Promise<Built> {
  const { url: { secret: keeperSecret }, log } = options;
  const archives = new ArchiveReader({ ...options, keeperSecret });
  const badSnapshots: string[] = [];
  let start: FoundSnapshot | undefined;
  dropFiles(draft);
  for (const snapshot of await archives.snapshots(keepers)) {
    if (await fetchFrom(archives, snapshot, draft, log)) {
      start = snapshot;
      break;
    }
    badSnapshots.push(snapshot.name);
  }
  const { pieces, unread } = await archives.pieces(keepers, start?.head.sequence ?? 0);
  const own = start === undefined ? youngest(pieces) : pieces;
  const clusterKey = start?.clusterKey ?? keyOf(own, keeperSecret);
  if (clusterKey === undefined) {
    throw new TydfsError(
      "lost",
      `Cannot recover: ${keepers.length} keepers are here, and none has a snapshot of this ` +
        "cluster's catalog, or its journal from the beginning; start those that may have one",
    );
  }
  log.info("Rebuilding the catalog", { snapshot: start?.head.sequence ?? 0, pieces: own.length });
  const rebuilt = rebuildCatalog(draft, own);
  const reader = new CatalogReader(draft);
  try {
    const here = new Set(keepers.map(({ id }) => id));
    const missing = reader.keepers().filter(({ id }) => !here.has(id));
    const { files, bytes } = reader.counts();
    const heard = keepers.map(({ name }) => name).sort();
    const facts = { rebuilt, snapshot: start?.head, heard, missing: [], unread, badSnapshots };
    return { report: { ...facts, files, bytes }, clusterKey, missing };
  } finally {
    reader.close();
  }
}

/** Whether the snapshot could be read from one of its holders. */
async function fetchFrom(
  archives: ArchiveReader,
  snapshot: FoundSnapshot,
  draft: string,
  log: Log,
): Promise<boolean> {
  for (const holder of snapshot.holders) {
    const file = new DraftFile(draft);
    try {
      await archives.fetch(snapshot, holder, file);
      file.close();
      return true;
    } catch (error) {
      file.drop();
      if (error instanceof TydfsError && error.code === "local") throw error;
      log.warn("Cannot read a snapshot", { keeper: holder.name, name: snapshot.name, error });
    }
  }
  return false;
}

/** The pieces of the catalog with the newest master, if they begin with its first operation. */
function youngest(pieces: readonly JournalPiece[]): JournalPiece[] {
  const newest = pieces.reduce<JournalPiece | undefined>(
    (best, piece) => best === undefined || piece.epoch > best.epoch ? piece : best,
    undefined,
  );
  const own = pieces.filter(({ catalog }) => catalog === newest?.catalog);
  return own.some(({ from }) => from === 1) ? own : [];
}

function keyOf(pieces: readonly JournalPiece[], keeperSecret: string): string | undefined {
  const piece = pieces[0];
  return piece === undefined ? undefined : openSealedKey(keeperSecret, piece.key);
}

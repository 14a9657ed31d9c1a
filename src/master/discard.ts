/**
 * Which of the chunks that keepers have put aside may go for good. Pure: it counts only copies on
 * keepers that are alive and have told this master what they have.
 */
import type { ChunkRecord } from "../catalog/chunk_reader.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import type { KeeperTable } from "../tables/keeper_table.ts";
import type { AsideChunk } from "../wire/report.ts";

/** The cluster as far as it matters here. */
export interface Picture {
  /** Numbers of the keepers whose copies are surely there. */
  sure: ReadonlySet<number>;
  /** Numbers of the keepers that may have the copies on record: all that are not dead. */
  there: ReadonlySet<number>;
  /** Each known keeper is one of them or dead, and enough of them are alive. */
  settled: boolean;
  wallMs: number;
  graceMs: number;
  unknownGraceMs: number;
}

/** Looks at the keepers that the catalog knows. */
export function pictureOf(
  keepers: readonly KeeperRecord[],
  table: Pick<KeeperTable, "find" | "hasListed">,
  settings: Settings,
  wallMs: number,
): Picture {
  const sure = new Set<number>();
  const there = new Set<number>();
  let undecided = 0;
  for (const { number } of keepers) {
    const row = table.find(number);
    if (row !== undefined && row.state !== "DEAD") there.add(number);
    const isAlive = row?.state === "ALIVE" || row?.state === "DRAINING";
    if (isAlive && table.hasListed(number, row.epoch)) sure.add(number);
    else if (row?.state !== "DEAD") undecided++;
  }
  const isEnough = sure.size * 100 >= keepers.length * settings.safe_share;
  return {
    sure,
    there,
    settled: undecided === 0 && isEnough,
    wallMs,
    graceMs: settings.grace,
    unknownGraceMs: settings.unknown_grace,
  };
}

/**
 * Whether a chunk that the keeper number `reporter` has put aside may be deleted there. `chunk` is
 * what the catalog knows of it.
 */
export function decideDiscard(
  aside: AsideChunk,
  reporter: number | undefined,
  chunk: ChunkRecord | undefined,
  picture: Picture,
): boolean {
  const { sure, settled, wallMs, graceMs, unknownGraceMs } = picture;
  if (chunk === undefined) return settled && aside.ageMs > unknownGraceMs;
  if (chunk.refs > 0) {
    // The reporter's own row may be that of the bad copy, if nothing better lies in its place.
    const copies = chunk.keepers.filter((number) => number !== reporter || aside.held)
      .filter((number) => sure.has(number)).length;
    return copies >= chunk.goal;
  }
  const unneededMs = wallMs - (chunk.orphanedMs ?? wallMs);
  const dueMs = chunk.stray === 1 ? unknownGraceMs : graceMs;
  return settled && Math.min(aside.ageMs, unneededMs) > dueMs;
}

/**
 * Whether a chunk that lies aside at the keeper number `reporter` is needed, and has no copy that
 * could be read: a copy that was put aside for nothing would be the last one.
 */
export function decideWanted(
  aside: AsideChunk,
  reporter: number | undefined,
  chunk: ChunkRecord | undefined,
  { there }: Pick<Picture, "there">,
): boolean {
  if (chunk === undefined || chunk.refs === 0 || aside.held) return false;
  return !chunk.keepers.some((number) => number !== reporter && there.has(number));
}

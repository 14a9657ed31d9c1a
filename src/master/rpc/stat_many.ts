/** `file.stat-many`: what is known of many paths. */
import { TydfsError } from "../../wire/errors.ts";
import type { FileStatManyReply, Stat } from "../../wire/stat_many.ts";
import type { Desk } from "./desk.ts";
import { PAGE_BYTES_MAX, stat } from "./file.ts";

/** A stat without its path and its owner, which may be longer than all the rest. */
const STAT_BYTES = 250;

/** `file.stat-many`. */
export function statMany(desk: Desk, { paths }: { paths: string[] }): FileStatManyReply {
  const stats: (Stat | null)[] = [];
  let bytes = 0;
  for (const path of paths) {
    const told = tryStat(desk, path);
    bytes += STAT_BYTES + Buffer.byteLength(path) + Buffer.byteLength(told?.entry.owner ?? "");
    if (bytes > PAGE_BYTES_MAX && stats.length > 0) break;
    stats.push(told);
  }
  return { stats };
}

/** Null where the path is to be asked for by itself. */
function tryStat(desk: Desk, path: string): Stat | null {
  try {
    const { entry, checksum, replicas } = stat(desk, { path });
    return { entry, checksum, replicas };
  } catch (error) {
    if (error instanceof TydfsError) return null;
    throw error;
  }
}

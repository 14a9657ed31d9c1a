/** A keeper's disk that fills up and gets room again: a ballast file on a small tmpfs. */
import { closeSync, existsSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import type { Random } from "../../../src/base/random.ts";
import type { Fault, Field } from "./fault.ts";
import { choose } from "./fault.ts";

const PIECE_BYTES = 2 ** 20;

export function fillDisk(field: Field, random: Random): Fault | undefined {
  const keepers = field.cluster.keepers.filter(({ dir }) => field.smallDisks.has(dir));
  const role = choose(random, keepers);
  if (role === undefined) return undefined;
  const path = join(role.dir, "ballast");
  if (existsSync(path)) return undefined;
  // All of it, or all but a little: writes fail in the middle of a chunk then.
  const left = random.next() < 0.5 ? 0 : Math.floor(random.next() * 40) * PIECE_BYTES;
  const bytes = fill(path, freeBytes(role.dir) - left);
  return { what: { role: role.name, bytes, left }, end: () => rmSync(path, { force: true }) };
}

function freeBytes(dir: string): number {
  const { bavail, bsize } = statfsSync(dir);
  return bavail * bsize;
}

/** Writes up to `sizeBytes`; returns how many the disk took. */
function fill(path: string, sizeBytes: number): number {
  const fd = openSync(path, "w");
  const piece = new Uint8Array(PIECE_BYTES);
  let written = 0;
  try {
    while (written < sizeBytes) {
      written += writeSync(fd, piece, 0, Math.min(piece.length, sizeBytes - written));
    }
  } catch (error) {
    if ((error as { code?: string }).code !== "ENOSPC") throw error;
  } finally {
    closeSync(fd);
  }
  return written;
}

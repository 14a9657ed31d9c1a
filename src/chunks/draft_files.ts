/**
 * The files of a draft, its bytes and its sidecar: checked, and on their way to being durable. Of a
 * chunk that has come into a file, the sync begins while it is still being hashed; a short one is
 * checked in memory first.
 */
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import type { PackedFile } from "../wire/pack.ts";
import { findBadBlockIn, findBadBlockNow, nextTurn } from "./block_check.ts";
import type { Disk, DiskFile, NewFile } from "./disk.ts";
import { readManifestNow } from "./manifest.ts";
import { SIDECAR_ENDING } from "./places.ts";
import type { ChunkFacts } from "./sidecar.ts";
import { formatSidecar } from "./sidecar.ts";

/** What is to become a draft. */
export interface DraftRequest {
  facts: ChunkFacts;
  /** A part of the temporary file's name that no other request has. */
  mark: string;
  /** Writes the bytes to the path that it is given. */
  fill: (path: string) => Promise<void>;
  /**
   * Told when the chunk is a pack without a right manifest, which is kept all the same then;
   * without this, such a pack is refused.
   */
  onBadManifest?: ((error: unknown) => void) | undefined;
}

interface Effects {
  disk: Disk;
  clock: Clock;
}

/** Throws `invalid` for a short chunk of a wrong length, `corrupt` for one with wrong bytes. */
export function checkShort(facts: ChunkFacts, bytes: Uint8Array): void {
  refuseLength(facts, bytes.length);
  const bad = findBadBlockIn(bytes, facts);
  if (bad !== undefined) throw wrongBlock(facts, bad);
}

/**
 * Writes the files of a short chunk. Their syncs, which run in the pool, are returned still
 * running; throws what the disk says to the writing itself.
 */
export function writeShort(
  { disk, clock }: Effects,
  facts: ChunkFacts,
  path: string,
  bytes: Uint8Array,
): Promise<void> {
  const file = disk.create(path, bytes);
  let sidecar: NewFile;
  try {
    sidecar = disk.create(path + SIDECAR_ENDING, formatSidecar(facts, clock.wallMs()));
  } catch (error) {
    file.close();
    throw error;
  }
  const synced = allDone([
    file.datasync(),
    sidecar.datasync(),
  ]).finally(() => {
    file.close();
    sidecar.close();
  });
  synced.catch(() => {});
  return synced;
}

/**
 * Checks length and blocks; the sync, which runs in the pool meanwhile, is returned still running.
 */
export async function checkAndSync(
  host: Effects,
  request: DraftRequest,
  path: string,
): Promise<{ synced: Promise<void> }> {
  const { disk } = host;
  const { facts } = request;
  const sizeBytes = disk.sizeOf(path) ?? 0;
  refuseLength(facts, sizeBytes);
  const file = disk.open(path);
  const checked = findBadBlockNow(file, facts);
  // The file is closed by whoever ends last: on a fast disk the sync ends before the hashing.
  const synced = allDone([
    file.datasync(),
    writeSidecar(host, request, { path, file, checked }),
    checked.then(() => {}),
  ]).finally(() => file.close());
  synced.catch(() => {});
  try {
    const bad = await checked;
    if (bad === undefined) return { synced };
    throw wrongBlock(facts, bad);
  } catch (error) {
    await synced.catch(() => {});
    throw error;
  }
}

/** A draft whose bytes are being checked. */
interface CheckedFile {
  path: string;
  file: DiskFile;
  /** The first wrong block. */
  checked: Promise<number | undefined>;
}

/** Writes a draft's sidecar, durably: at once, but for a pack's, whose files it must know. */
async function writeSidecar(
  { disk, clock }: Effects,
  { facts, onBadManifest }: DraftRequest,
  { path, file, checked }: CheckedFile,
): Promise<void> {
  let files: PackedFile[] | undefined;
  if (facts.origin?.packed === true) {
    // What is wrong as a whole is told by those who wait for the same.
    if (await checked !== undefined) return;
    // First of all the next keeper is sent its copy: it takes some ms to read thousands of names.
    await nextTurn();
    files = await listFiles(file, facts, onBadManifest);
    await failpoint("keeper.pack.listed");
  }
  const sidecar = formatSidecar(facts, clock.wallMs(), files);
  await disk.write(path + SIDECAR_ENDING, [sidecar], { sync: true });
}

/**
 * The files of a pack that has just been written, so that its bytes are in the page cache. Throws
 * `invalid` when it has no right manifest, unless somebody bears that; then undefined.
 */
async function listFiles(
  file: DiskFile,
  { chunk, sizeBytes }: ChunkFacts,
  onBadManifest: DraftRequest["onBadManifest"],
): Promise<PackedFile[] | undefined> {
  try {
    return await readManifestNow(file, sizeBytes);
  } catch (cause) {
    if (!hasCode(cause, "corrupt")) throw cause;
    if (onBadManifest === undefined) {
      const message = `Cannot store chunk "${chunk}": it is a pack without a right manifest`;
      throw new TydfsError("invalid", message, { cause });
    }
    onBadManifest(cause);
    return undefined;
  }
}

function refuseLength({ chunk, sizeBytes }: ChunkFacts, found: number): void {
  if (found === sizeBytes) return;
  const message = `Cannot store chunk "${chunk}": ${found} bytes came where ${sizeBytes} are due`;
  throw new TydfsError("invalid", message);
}

function wrongBlock({ chunk }: ChunkFacts, block: number): TydfsError {
  const message = `Cannot store chunk "${chunk}": block ${block} does not match its sum`;
  return new TydfsError("corrupt", message);
}

/** Waits for all, also after a failure; then throws the first failure. */
async function allDone(tasks: Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(tasks)) {
    if (result.status === "rejected") throw result.reason;
  }
}

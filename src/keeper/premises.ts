/**
 * Looks whether the data directory is still this keeper's own: somebody may wipe it or mount
 * another disk over it while the keeper runs. What is not there then must not be told as lost.
 */
import type { Disk } from "../chunks/disk.ts";
import { CHUNKS } from "../chunks/places.ts";
import { TydfsError } from "../wire/errors.ts";
import { IDENTITY_FILE } from "./identity.ts";

const IDENTITY_BYTES_MAX = 4096;

/**
 * Throws `unavailable` when the directory is another one's or nobody's. A disk that can't be read
 * at all says nothing.
 */
export async function checkPremises(disk: Disk, keeperId: string): Promise<void> {
  let text: string | undefined;
  let hasChunks: boolean;
  try {
    text = await readNow(disk);
    hasChunks = disk.sizeOf(CHUNKS) !== undefined;
  } catch {
    // It is the disk that fails: what can't be read is nobody's proof.
    return;
  }
  if (text === undefined) throw lost(`its ${IDENTITY_FILE} is gone`);
  if (!text.includes(keeperId)) throw lost(`its ${IDENTITY_FILE} is that of another keeper`);
  if (!hasChunks) throw lost(`its directory ${CHUNKS} is gone`);
}

/**
 * The text that tells whose directory it is; undefined when there is none. Each upload asks, and
 * the file is always in memory: the pool would take longer.
 */
async function readNow(disk: Disk): Promise<string | undefined> {
  if (disk.sizeOf(IDENTITY_FILE) === undefined) return undefined;
  const file = disk.open(IDENTITY_FILE);
  try {
    const bytes = new Uint8Array(IDENTITY_BYTES_MAX);
    return new TextDecoder().decode(bytes.subarray(0, file.readNow(bytes, 0)));
  } finally {
    await file.close();
  }
}

function lost(reason: string): TydfsError {
  const message = `Cannot go on with the data directory: ${reason}; it was wiped, ` +
    "or another disk is mounted over it";
  return new TydfsError("unavailable", message);
}

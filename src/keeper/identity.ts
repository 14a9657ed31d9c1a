/**
 * Who this keeper is: an id made at its first start and kept in its data directory, and an epoch
 * that grows with each start. A directory belongs to one cluster, one format and one process at a
 * time; anything else is refused by name.
 */
import * as v from "valibot";
import type { Clock } from "../base/clock.ts";
import type { FileLock } from "../base/file_lock.ts";
import type { Random } from "../base/random.ts";
import { CHUNKS } from "../chunks/places.ts";
import type { Disk } from "../chunks/disk.ts";
import { faultOf } from "../chunks/disk.ts";
import { validate } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import { Id, makeId, Natural } from "../wire/ids.ts";
import { KEEPER_FORMAT_VERSION } from "../wire/version.ts";

const FORMAT_FILE = "format";
export const IDENTITY_FILE = "keeper.json";
const EPOCH_FILE = "epoch";
export const LOCK_FILE = "lock";
export { READY_FILE } from "../chunks/places.ts";

const IdentityFile = v.object({
  id: Id,
  /** Tells clusters apart: made from the key that signs tickets. */
  fingerprint: v.string(),
  cluster: v.string(),
  madeMs: Natural,
});
type IdentityFile = v.InferOutput<typeof IdentityFile>;

export interface Identity {
  id: string;
  /** The number of this start. */
  epoch: number;
  /** Made anew by each process. */
  instance: string;
}

export interface IdentityOptions {
  disk: Disk;
  /** The data directory, for messages. */
  directory: string;
  cluster: string;
  ticketKey: string;
  clock: Clock;
  random: Random;
}

/**
 * Takes the data directory's lock with `take`. Throws `local` when another process has it.
 */
export function lockDirectory(
  directory: string,
  take: (path: string) => FileLock | undefined,
): FileLock {
  let lock: FileLock | undefined;
  try {
    lock = take(`${directory}/${LOCK_FILE}`);
  } catch (cause) {
    throw cannotUse(directory, cause instanceof Error ? cause.message : String(cause), cause);
  }
  if (lock === undefined) throw cannotUse(directory, "another keeper runs on it");
  return lock;
}

/**
 * Reads who this keeper is, or makes it up at the first start; counts the start, durably. Call it
 * only when the cluster has accepted the secret: it binds the directory to that cluster for good.
 */
export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { disk, random } = options;
  const format = await readText(disk, FORMAT_FILE);
  const known = await readText(disk, IDENTITY_FILE);
  let identity: IdentityFile;
  if (known === undefined) {
    await refuseForeign(options, format);
    identity = await makeIdentity(options);
  } else {
    if (format?.trim() !== String(KEEPER_FORMAT_VERSION)) {
      const reason = `its format is "${format?.trim() ?? "none"}", ` +
        `this version of tydfs reads ${KEEPER_FORMAT_VERSION}`;
      throw cannotUse(options.directory, reason);
    }
    identity = parseIdentity(options, known);
  }
  const epoch = await countStart(options);
  return { id: identity.id, epoch, instance: makeId(random) };
}

/** A short public name of a ticket key. */
export function fingerprintOf(ticketKey: string): string {
  return new Bun.CryptoHasher("sha256").update(`fingerprint:${ticketKey}`).digest("hex")
    .slice(0, 16);
}

/** What makes a fresh start on this directory wrong: it holds something that has lost its name. */
async function refuseForeign(options: IdentityOptions, format: string | undefined): Promise<void> {
  const hasChunks = (await options.disk.list(CHUNKS)).length > 0;
  if (format === undefined && !hasChunks) return;
  // A crash in the first start leaves the format without an identity, but never chunks.
  if (hasChunks) throw cannotUse(options.directory, `it has chunks, but no ${IDENTITY_FILE}`);
}

async function makeIdentity(options: IdentityOptions): Promise<IdentityFile> {
  const { disk, cluster, ticketKey, clock, random } = options;
  const identity: IdentityFile = {
    id: makeId(random),
    fingerprint: fingerprintOf(ticketKey),
    cluster,
    madeMs: clock.wallMs(),
  };
  await replaceText(disk, FORMAT_FILE, `${KEEPER_FORMAT_VERSION}\n`);
  await replaceText(disk, IDENTITY_FILE, JSON.stringify(identity, null, 1) + "\n");
  return identity;
}

function parseIdentity(options: IdentityOptions, text: string): IdentityFile {
  let identity: IdentityFile;
  try {
    identity = validate(IdentityFile, JSON.parse(text), IDENTITY_FILE);
  } catch (cause) {
    throw cannotUse(options.directory, `its ${IDENTITY_FILE} is malformed`, cause);
  }
  const fingerprint = fingerprintOf(options.ticketKey);
  if (identity.fingerprint !== fingerprint || identity.cluster !== options.cluster) {
    const reason = `it belongs to cluster "${identity.cluster}" (${identity.fingerprint}), ` +
      `the URL is of cluster "${options.cluster}" (${fingerprint})`;
    throw cannotUse(options.directory, reason);
  }
  return identity;
}

async function countStart(options: IdentityOptions): Promise<number> {
  const last = await readNumber(options.disk, options.directory, EPOCH_FILE);
  await replaceText(options.disk, EPOCH_FILE, `${last + 1}\n`);
  return last + 1;
}

/** Reads a file that holds one number; 0 when there is none. Throws `local` on anything else. */
async function readNumber(disk: Disk, directory: string, path: string): Promise<number> {
  const text = await readText(disk, path);
  const number = text === undefined ? 0 : Number(text.trim());
  if (Number.isSafeInteger(number) && number >= 0 && text?.trim() !== "") return number;
  throw cannotUse(directory, `its ${path} is malformed`);
}

async function readText(disk: Disk, path: string): Promise<string | undefined> {
  const bytes = await disk.read(path);
  return bytes === undefined ? undefined : new TextDecoder().decode(bytes);
}

/**
 * Replaces a small file so that a crash leaves the old or the new one whole. On a full disk it is
 * written over in place, where it has room already: a keeper must start there, to serve and to
 * delete. That is one sector of a disk, which is written whole or not at all.
 */
export async function replaceText(disk: Disk, path: string, text: string): Promise<void> {
  const draft = `${path}.new`;
  await disk.remove(draft);
  try {
    await disk.write(draft, [new TextEncoder().encode(text)], { sync: true });
  } catch (error) {
    await disk.remove(draft);
    const sizeBytes = disk.sizeOf(path);
    if (faultOf(error) !== "full" || sizeBytes === undefined) throw error;
    const padded = new TextEncoder().encode(text.padEnd(sizeBytes, "\n"));
    return await disk.writeAt(path, padded, 0);
  }
  disk.rename(draft, path);
  await disk.syncDirectory(".");
}

/** What keeps a keeper from starting on its data directory. */
export function cannotUse(directory: string, reason: string, cause?: unknown): TydfsError {
  return new TydfsError("local", `Cannot start a keeper on "${directory}": ${reason}`, {
    cause,
  });
}

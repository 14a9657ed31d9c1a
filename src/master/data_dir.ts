/**
 * The master's data directory: `format`, `cluster.key`, `catalog.db`, `join.client`, `join.keeper`,
 * `nats.*`. Everything in it is the owner's alone (0700, 0600); secrets are written whole or not at
 * all, and synced.
 */
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { type FileLock, takeFileLock } from "../base/file_lock.ts";
import { writePrivate } from "../base/private_file.ts";
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { TydfsError } from "../wire/errors.ts";
import { MASTER_FORMAT_VERSION } from "../wire/version.ts";

const KEY_BYTES = 32;
const FORMAT_LINE = /^tydfs-master (\d+)\n?$/;

/** Where things lie in a master's data directory. */
export interface DataDir {
  readonly root: string;
  readonly catalog: string;
  /** There while the catalog's check is owed: see `owedCheck`. */
  readonly uncheckedCatalog: string;
  readonly key: string;
  readonly joinClient: string;
  readonly joinKeeper: string;
  /** The users that a NATS server of the operator's own must know. */
  readonly natsUsers: string;
}

/**
 * Opens a data directory, made when missing. Throws `local` when it can't be, `invalid` when it is
 * of another format.
 */
export function openDataDir(path: string): DataDir {
  const root = resolve(path);
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    chmodSync(root, 0o700);
  } catch (cause) {
    throw new TydfsError("local", `Cannot use the data directory "${root}": ${words(cause)}`, {
      cause,
    });
  }
  checkFormat(root);
  return {
    root,
    catalog: join(root, "catalog.db"),
    uncheckedCatalog: owedCheck(join(root, "catalog.db")),
    key: join(root, "cluster.key"),
    joinClient: join(root, "join.client"),
    joinKeeper: join(root, "join.keeper"),
    natsUsers: join(root, "nats-users.conf"),
  };
}

/**
 * The file that tells that a master has opened this catalog without the check of it, and has not
 * ended that check since. The next start checks first.
 */
export function owedCheck(catalogPath: string): string {
  return `${catalogPath}.unchecked`;
}

/**
 * The cluster's key: made at the first start. Throws `local` when it is missing though there is a
 * catalog: a new key would lock out every keeper and client.
 */
export function openClusterKey(dataDir: DataDir, random: Random): string {
  if (!existsSync(dataDir.key)) {
    if (existsSync(dataDir.catalog)) {
      throw new TydfsError(
        "local",
        `Cannot start: "${dataDir.key}" is missing, but there is a catalog; put the key back ` +
          "from a backup, or move the data directory away and rebuild it from the keepers with " +
          "--recover, or without that begin a new cluster",
      );
    }
    writePrivate(dataDir.key, randomHex(random, KEY_BYTES) + "\n");
  }
  const key = readFileSync(dataDir.key, "utf8").trim();
  if (!/^[0-9a-f]{64}$/.test(key)) {
    throw new TydfsError(
      "local",
      `Cannot start: "${dataDir.key}" holds no key (64 hexadecimal digits); ` +
        "put it back from a backup",
    );
  }
  chmodSync(dataDir.key, 0o600);
  return key;
}

/**
 * Locks a data directory against a second master, until this process ends. Throws `conflict` when
 * one has it.
 */
export function lockDataDir(dataDir: DataDir): FileLock {
  const lock = takeFileLock(join(dataDir.root, "lock"));
  if (lock !== undefined) return lock;
  const message = `Cannot start: another master runs on the data directory "${dataDir.root}"`;
  throw new TydfsError("conflict", message);
}

/** What a file says; undefined when it can't be read. */
export function findText(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}

/** The names in a directory; none when it can't be read. */
export function listNames(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}

/** Whether there is such a file. */
export function isThere(path: string): boolean {
  return existsSync(path);
}

/** Removes a file, if it is there. */
export function removeFile(path: string): void {
  rmSync(path, { force: true });
}

function checkFormat(root: string): void {
  const path = join(root, "format");
  if (!existsSync(path)) {
    if (existsSync(join(root, "chunks"))) {
      throw new TydfsError("invalid", `Cannot use "${root}" for a master: it is a keeper's`);
    }
    return writePrivate(path, `tydfs-master ${MASTER_FORMAT_VERSION}\n`);
  }
  const text = readFileSync(path, "utf8");
  const version = FORMAT_LINE.exec(text)?.[1];
  if (version === undefined) {
    const state = `its file "format" says ${JSON.stringify(text.slice(0, 60))}`;
    throw new TydfsError("invalid", `Cannot use "${root}" for a master: ${state}`);
  }
  if (Number(version) > MASTER_FORMAT_VERSION) {
    const state = `it has format ${version}, and this tydfs knows ${MASTER_FORMAT_VERSION}`;
    throw new TydfsError("invalid", `Cannot use "${root}": ${state}; use a newer tydfs`);
  }
}

function words(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

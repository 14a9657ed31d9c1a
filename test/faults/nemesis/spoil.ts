/**
 * Bytes that rot: flipped or cut off in the middle of a copy, never in so many copies of a chunk
 * that none is whole: which ones are, is looked up on the disks.
 */
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import type { Random } from "../../../src/base/random.ts";
import { randomInt } from "../../../src/base/random.ts";
import type { Role } from "../cluster.ts";
import { BLOCK_BYTES } from "../content.ts";
import type { Fault, Field } from "./fault.ts";
import { choose } from "./fault.ts";

/** A bit of one copy changes; of a pack often one of its manifest. */
export function flip(field: Field, random: Random): Fault | undefined {
  return spoil(field, random, (fd, sizeBytes) => {
    const isInEnd = random.next() < MANIFEST_SHARE && isPack(fd, sizeBytes);
    const back = randomInt(random, isInEnd ? Math.min(sizeBytes, MANIFEST_BYTES) : sizeBytes);
    const at = sizeBytes - 1 - back;
    flipByte(fd, at);
    return { at };
  });
}

/** One copy ends too early; of a pack often within its manifest. */
export function truncate(field: Field, random: Random): Fault | undefined {
  return spoil(field, random, (fd, sizeBytes) => {
    const isInEnd = random.next() < MANIFEST_SHARE && isPack(fd, sizeBytes);
    const cut = randomInt(random, isInEnd ? Math.min(sizeBytes, MANIFEST_BYTES) : sizeBytes);
    const length = sizeBytes - 1 - cut;
    ftruncateSync(fd, length);
    return { length };
  });
}

/** Does `harm` to an open copy; nothing where it has just gone. */
function spoil(
  field: Field,
  random: Random,
  harm: (fd: number, sizeBytes: number) => Record<string, number>,
): Fault | undefined {
  const victim = chooseVictim(field, random);
  const fd = victim === undefined ? undefined : openCopy(victim.path);
  if (victim === undefined || fd === undefined) return undefined;
  const { role, path, chunk } = victim;
  try {
    const done = harm(fd, fstatSync(fd).size);
    field.spoiled.set(path, { chunk, role });
    return { what: { role: role.name, chunk, ...done } };
  } finally {
    closeSync(fd);
  }
}

function openCopy(path: string): number | undefined {
  try {
    return openSync(path, "r+");
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

interface Copy {
  role: Role;
  chunk: string;
  path: string;
}

/** A whole copy of a chunk that has at least two others of which no one harms the disk. */
function chooseVictim(field: Field, random: Random): Copy | undefined {
  const keepers = field.cluster.keepers.filter(({ process }) => process !== undefined);
  const role = choose(random, keepers);
  if (role === undefined) return undefined;
  const names = chunkNames(role.dir);
  for (let tries = 0; tries < 20; tries++) {
    const name = choose(random, names);
    if (name === undefined) return undefined;
    const copies = field.cluster.keepers.map(({ dir }) => join(dir, name));
    const whole = copies.filter((path) => !field.spoiled.has(path) && isWhole(path));
    const path = join(role.dir, name);
    if (whole.length >= WHOLE_MIN && whole.includes(path)) {
      return { role, path, chunk: name.slice(-32) };
    }
  }
  return undefined;
}

/** With one copy fewer there is another one left, even if the next fault takes a keeper away. */
const WHOLE_MIN = 2;

/** The chunk files below a keeper's directory, in order. */
export function chunkNames(dir: string): string[] {
  const names = [...new Bun.Glob("chunks/*/*/*").scanSync({ cwd: dir })];
  return names.filter((name) => /\/[0-9a-f]{32}$/.test(name)).sort();
}

/** Whether a copy is what its sidecar says. */
export function isWhole(path: string): boolean {
  const found = readCopy(path);
  if (found === undefined) return false;
  const { bytes, sidecar } = found;
  if (bytes.length !== sidecar.sizeBytes || bytes.length === 0) return false;
  for (let block = 0; block * BLOCK_BYTES < bytes.length; block++) {
    const start = block * BLOCK_BYTES;
    const hash = Bun.hash.xxHash3(bytes.subarray(start, start + BLOCK_BYTES));
    if (hash.toString(16).padStart(16, "0") !== sidecar.sums.slice(block * 16, block * 16 + 16)) {
      return false;
    }
  }
  return true;
}

interface Sidecar {
  sizeBytes: number;
  sums: string;
}

/** A copy and its sidecar; undefined when either is not there, or goes while it is read. */
function readCopy(path: string): { bytes: Uint8Array; sidecar: Sidecar } | undefined {
  try {
    const sidecar = JSON.parse(readFileSync(`${path}.json`, "utf8")) as Sidecar;
    return { bytes: readFileSync(path), sidecar };
  } catch {
    return undefined;
  }
}

/** How often the end of a pack is harmed, not any place in it; and how long that end is. */
const MANIFEST_SHARE = 0.5;
const MANIFEST_BYTES = 512;
const PACK_END = "tydfpack";

function isPack(fd: number, sizeBytes: number): boolean {
  const end = Buffer.alloc(PACK_END.length);
  readSync(fd, end, 0, end.length, Math.max(0, sizeBytes - end.length));
  return end.toString("latin1") === PACK_END;
}

function flipByte(fd: number, at: number): void {
  const byte = new Uint8Array(1);
  readSync(fd, byte, 0, 1, at);
  byte[0] = (byte[0] ?? 0) ^ 0x10;
  writeSync(fd, byte, 0, 1, at);
}

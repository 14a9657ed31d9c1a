/** Data directories as keepers leave them, and what a rescue makes of them. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { seededRandom } from "../../src/base/random.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import { formatSidecar } from "../../src/chunks/sidecar.ts";
import type { FileOutcome, RescueOptions, RescueSummary } from "../../src/rescue/rescue.ts";
import { rescue } from "../../src/rescue/rescue.ts";
import { openSource } from "../../src/rescue/survey.ts";
import { makeId } from "../../src/wire/ids.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import type { ChunkOrigin } from "../../src/wire/ticket.ts";
import type { SmallFile } from "../chunks/pack_fixture.ts";
import { makePack } from "../chunks/pack_fixture.ts";

export const random = seededRandom(4);
/** Random bytes that are made once, and never change. */
export const BYTES: Uint8Array = new Uint8Array(random.bytes(3 * MIB));

let root = "";

/** Makes empty data directories, below a root that is returned. */
export function begin(keepers: number): string {
  root = mkdtempSync(join(tmpdir(), "tydfs-rescue-"));
  for (let n = 0; n < keepers; n++) mkdirSync(join(keeper(n), "chunks"), { recursive: true });
  return root;
}

/** Removes all of it. */
export function end(): void {
  rmSync(root, { recursive: true, force: true });
}

/** The data directory of a keeper, and where to is rescued. */
export const keeper = (n: number): string => join(root, `keeper-${n}`);
export const out = (): string => join(root, "out");
/** What was rescued. */
export const read = (path: string): Uint8Array => new Uint8Array(readFileSync(join(out(), path)));

/** Puts a chunk onto keepers; returns its id. */
export function land(
  bytes: Uint8Array,
  keepers: number[],
  origin: Partial<ChunkOrigin>,
  files?: ReturnType<typeof makePack>["files"],
): string {
  const chunk = makeId(random);
  const whole = { path: "/f", upload: makeId(random), seq: 0, offset: 0, ...origin };
  const facts = { chunk, sizeBytes: bytes.length, sums: sumsOf(bytes), goal: 3, origin: whole };
  for (const n of keepers) {
    mkdirSync(dirname(join(keeper(n), chunkPath(chunk))), { recursive: true });
    writeFileSync(join(keeper(n), chunkPath(chunk)), bytes);
    writeFileSync(join(keeper(n), sidecarPath(chunk)), formatSidecar(facts, 1, files));
  }
  return chunk;
}

/** Puts a file of one chunk. */
export function file(
  path: string,
  bytes: Uint8Array,
  keepers: number[],
  more: Partial<ChunkOrigin> = {},
): string {
  return land(bytes, keepers, { path, fileBytes: bytes.length, ...more });
}

/** Puts a pack. */
export function pack(small: SmallFile[], keepers: number[], placedMs: number): string {
  const { bytes, files } = makePack(small);
  const { path = "/" } = small[0] ?? {};
  return land(bytes, keepers, { path, placedMs, packed: true }, files);
}

/** Changes a byte of a keeper's copy of a chunk. */
export function flip(n: number, chunk: string, at: number): void {
  const path = join(keeper(n), chunkPath(chunk));
  const damaged = readFileSync(path);
  damaged[at] = (damaged[at] ?? 0) ^ 1;
  writeFileSync(path, damaged);
}

/** What a rescue has told. */
export interface Run {
  /** In no order. */
  outcomes: FileOutcome[];
  summary: RescueSummary;
  /** What has become of each path, sorted. */
  kinds: string[];
}

/** Rescues from these keepers. */
export async function run(keepers: number[], options: Partial<RescueOptions> = {}): Promise<Run> {
  const outcomes: FileOutcome[] = [];
  const summary = await rescue({
    sources: keepers.map((n) => openSource(keeper(n), systemDisk(keeper(n)))),
    ...{ to: out(), under: "/", older: false, overwrite: false, sync: false, random },
    signal: new AbortController().signal,
    onProgress: () => {},
    onFile: (outcome) => outcomes.push(outcome),
    ...options,
  });
  const kinds = outcomes.map(({ path, kind }) => `${kind} ${path}`).sort();
  return { outcomes, summary, kinds };
}

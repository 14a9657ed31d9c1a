/**
 * Plans a rescue: which version of a path is the newest, whether it is whole, and what is missing.
 * Nothing is guessed: parts of two uploads are put together only when both say that they are of a
 * file of the same size and time, as an upload does that goes on where another was interrupted.
 */
import type { FoundChunk, FoundVersion, VersionBook } from "./versions.ts";
import { timeOf } from "./versions.ts";

/** A run of bytes of a file; `end` undefined: it is not known how far. */
export interface Gap {
  start: number;
  end: number | undefined;
}

/** A version that can be written. */
export interface WholeVersion {
  kind: "whole";
  chunks: FoundChunk[];
  /** Other packs with the same version, each of which has all of it. */
  instead: FoundChunk[];
  sizeBytes: number;
  mode: number | undefined;
  mtimeMs: number | undefined;
  placedMs: number;
  /** False: the upload did not know the file's size, so that its end may be missing. */
  certain: boolean;
  /** Parts of it are from an interrupted upload of the same file. */
  joined: boolean;
}

/** A version that can't. */
export interface BrokenVersion {
  kind: "incomplete";
  /** Bytes of the file; undefined where that is not known. */
  sizeBytes: number | undefined;
  foundBytes: number;
  /** The first of them. */
  missing: Gap[];
  placedMs: number;
}

export interface FilePlan {
  path: string;
  /** The newest version that left any trace. */
  newest: WholeVersion | BrokenVersion;
  /** Versions that are whole, the newest first. */
  whole: WholeVersion[];
}

/** Gaps that are told of one file. */
const GAPS_MAX = 8;

/** Plans one path of the book. */
export function planFile(path: string, versions: readonly FoundVersion[]): FilePlan {
  const newestFirst = [...versions].sort((left, right) => timeOf(right) - timeOf(left));
  const measured = newestFirst.map((version, index) => {
    const alone = measure(version, chunksInOrder(version), false);
    if (alone.kind === "whole" || version.fileBytes === undefined) return alone;
    const others = newestFirst.slice(index + 1).filter((other) => isSameFile(version, other));
    if (others.length === 0) return alone;
    const joined = measure(version, joinChunks([version, ...others]), true);
    return joined.kind === "whole" ? joined : alone;
  });
  const [newest] = measured;
  if (newest === undefined) throw new RangeError("a path in the book has a version");
  return { path, newest, whole: measured.filter((each) => each.kind === "whole") };
}

/** Why a file is left out: another one's path leads through it, or it lies below another one. */
export type Hidden = { by: string };

/**
 * The files whose names exclude each other (a path was a file at one time, a directory at another),
 * with what hides them: the newer one wins.
 */
export function findHidden(book: VersionBook, paths: readonly string[]): Map<string, Hidden> {
  const hidden = new Map<string, Hidden>();
  const contested = paths.flatMap((path) =>
    ancestorsOf(path).filter((above) => book.has(above)).map((above) => ({ path, above }))
  );
  const timeOfPath = (path: string) => book.newestMs(path) ?? 0;
  for (const { path, above } of contested) {
    if (timeOfPath(path) > timeOfPath(above)) hidden.set(above, { by: path });
  }
  for (const { path, above } of contested) {
    if (!hidden.has(above)) hidden.set(path, { by: above });
  }
  return hidden;
}

/** The newest chunk at each place, in order. */
function chunksInOrder(version: FoundVersion): FoundChunk[] {
  const bySeq = new Map<number, FoundChunk>();
  for (const chunk of version.chunks) {
    if (!chunk.present) continue;
    const other = bySeq.get(chunk.seq);
    if (other === undefined || isNewer(chunk, other)) bySeq.set(chunk.seq, chunk);
  }
  return [...bySeq.values()].sort((left, right) => left.seq - right.seq);
}

function isNewer(chunk: FoundChunk, other: FoundChunk): boolean {
  if (chunk.placedMs !== other.placedMs) return chunk.placedMs > other.placedMs;
  return chunk.id > other.id;
}

/** Each place from the first version that has it. */
function joinChunks(versions: readonly FoundVersion[]): FoundChunk[] {
  const bySeq = new Map<number, FoundChunk>();
  for (const version of versions) {
    for (const chunk of chunksInOrder(version)) {
      if (!bySeq.has(chunk.seq)) bySeq.set(chunk.seq, chunk);
    }
  }
  return [...bySeq.values()].sort((left, right) => left.seq - right.seq);
}

function isSameFile(version: FoundVersion, other: FoundVersion): boolean {
  return version.fileBytes !== undefined && version.fileBytes === other.fileBytes &&
    version.mtimeMs !== undefined && version.mtimeMs === other.mtimeMs;
}

function measure(
  version: FoundVersion,
  chunks: FoundChunk[],
  joined: boolean,
): WholeVersion | BrokenVersion {
  const { fileBytes, mode, mtimeMs } = version;
  const placedMs = timeOf(version);
  const missing: Gap[] = [];
  let end = 0;
  let foundBytes = 0;
  let seq = 0;
  for (const chunk of chunks) {
    // Chunks that overlap are of two ways to cut the file: what lies between is not known.
    if (chunk.offset !== end || chunk.seq !== seq) {
      missing.push({ start: Math.min(end, chunk.offset), end: Math.max(end, chunk.offset) });
    }
    end = Math.max(end, chunk.offset + chunk.sizeBytes);
    seq = chunk.seq + 1;
    foundBytes += chunk.sizeBytes;
  }
  if (chunks.length === 0 || (fileBytes !== undefined && end !== fileBytes)) {
    missing.push({ start: end, end: fileBytes });
  }
  if (missing.length > 0) {
    const first = missing.slice(0, GAPS_MAX);
    return { kind: "incomplete", sizeBytes: fileBytes, foundBytes, missing: first, placedMs };
  }
  const certain = fileBytes !== undefined;
  const instead = version.upload === undefined && !joined
    ? version.chunks.filter((chunk) => chunk.present && !chunks.includes(chunk))
    : [];
  const facts = { sizeBytes: end, mode, mtimeMs, placedMs };
  return { kind: "whole", chunks, instead, ...facts, certain, joined };
}

function ancestorsOf(path: string): string[] {
  const ancestors: string[] = [];
  for (let end = path.lastIndexOf("/"); end > 0; end = path.lastIndexOf("/", end - 1)) {
    ancestors.push(path.slice(0, end));
  }
  return ancestors;
}

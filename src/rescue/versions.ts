/**
 * What sidecars tell, gathered by path and version: the book from which a rescue is planned. Other
 * sources of names may add to it what they know. In memory: about 1 KiB for each file, and a
 * quarter of that for each further chunk, whatever the number of copies.
 */
import type { ChunkFacts } from "../chunks/sidecar.ts";

/** A chunk that is known from a sidecar. */
export interface FoundChunk {
  id: string;
  seq: number;
  /** Where it starts in its file, in bytes. */
  offset: number;
  sizeBytes: number;
  /**
   * When the master placed it, in wall ms; for sidecars of older versions, when the first of the
   * copies found has landed.
   */
  placedMs: number;
  /** The directory, by its place in the list, in which it was found first. */
  home: number;
  /** Its bytes lie beside one of its sidecars. */
  present: boolean;
}

/** A version of a file: what one upload has stored. */
export interface FoundVersion {
  upload: string;
  /** The whole file's size; undefined where the upload did not know it in advance. */
  fileBytes: number | undefined;
  mode: number | undefined;
  mtimeMs: number | undefined;
  /** In no order, each id once; several may have the same `seq`. */
  chunks: FoundChunk[];
  /** Its chunks by id, once they are many. */
  byId?: Map<string, FoundChunk>;
}

/** Below this, looking through all chunks of a version is quicker than a map, and smaller. */
const FEW_CHUNKS = 16;

export class VersionBook {
  readonly #versionsByPath = new Map<string, FoundVersion[]>();
  #chunks = 0;

  /** Different chunks so far. */
  get chunks(): number {
    return this.#chunks;
  }

  /** Paths so far. */
  get size(): number {
    return this.#versionsByPath.size;
  }

  /** All paths, sorted. */
  paths(): string[] {
    return [...this.#versionsByPath.keys()].sort();
  }

  has(path: string): boolean {
    return this.#versionsByPath.has(path);
  }

  versions(path: string): readonly FoundVersion[] {
    return this.#versionsByPath.get(path) ?? [];
  }

  /** When something of a path was written last, in wall ms; undefined for an unknown path. */
  newestMs(path: string): number | undefined {
    const times = this.versions(path).map(timeOf);
    return times.length === 0 ? undefined : Math.max(...times);
  }

  /**
   * Adds what a sidecar in directory `home` says; false when it does not say of which file its
   * chunk is a part.
   */
  add(facts: ChunkFacts, home: number, present: boolean): boolean {
    const { origin, landedMs = 0, chunk: id, sizeBytes } = facts;
    if (origin === undefined) return false;
    const { path, upload, seq, offset, placedMs = landedMs } = origin;
    const version = this.#version(path, upload);
    version.fileBytes ??= origin.fileBytes;
    version.mode ??= origin.mode;
    version.mtimeMs ??= origin.mtimeMs;
    const known = version.byId === undefined
      ? version.chunks.find((chunk) => chunk.id === id)
      : version.byId.get(id);
    if (known !== undefined) {
      known.placedMs = Math.min(known.placedMs, placedMs);
      if (present && !known.present) [known.present, known.home] = [true, home];
      return true;
    }
    const chunk = { id, seq, offset, sizeBytes, placedMs, home, present };
    version.chunks.push(chunk);
    version.byId?.set(id, chunk);
    if (version.byId === undefined && version.chunks.length >= FEW_CHUNKS) {
      version.byId = new Map(version.chunks.map((each) => [each.id, each]));
    }
    this.#chunks++;
    return true;
  }

  #version(path: string, upload: string): FoundVersion {
    let versions = this.#versionsByPath.get(path);
    if (versions === undefined) this.#versionsByPath.set(path, versions = []);
    let version = versions.find((each) => each.upload === upload);
    if (version === undefined) {
      const unknown = { fileBytes: undefined, mode: undefined, mtimeMs: undefined };
      versions.push(version = { upload, ...unknown, chunks: [] });
    }
    return version;
  }
}

/** When the last chunk of a version was placed. */
export function timeOf(version: FoundVersion): number {
  return version.chunks.reduce((newest, { placedMs }) => Math.max(newest, placedMs), 0);
}

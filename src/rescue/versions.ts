/**
 * What sidecars tell, gathered by path and version: the book from which a rescue is planned. Other
 * sources of names may add to it what they know. In memory: about 1 KiB for each file, and a
 * quarter of that for each further chunk, whatever the number of copies.
 */
import type { ChunkFacts } from "../chunks/sidecar.ts";
import type { PackedFile } from "../wire/pack.ts";

/** A run of a file's bytes in a chunk that is known from a sidecar. */
export interface FoundChunk {
  id: string;
  seq: number;
  /** Where the run starts in its file, in bytes. */
  offset: number;
  sizeBytes: number;
  /** Where it starts in the chunk, and the chunk's length: a pack has other files around it. */
  start: number;
  chunkBytes: number;
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

/** A version of a file: what one upload has stored, or what lies whole in one or several packs. */
export interface FoundVersion {
  /** Undefined: it lies in packs. */
  upload: string | undefined;
  /** The whole file's size; undefined where the upload did not know it in advance. */
  fileBytes: number | undefined;
  mode: number | undefined;
  mtimeMs: number | undefined;
  /** In no order, each once; several may have the same `seq`, as those in packs do. */
  chunks: FoundChunk[];
  /** Its chunks by id, once they are many. */
  byId?: Map<string, FoundChunk>;
}

/** Below this, looking through all chunks of a version is quicker than a map, and smaller. */
const FEW_CHUNKS = 16;

export class VersionBook {
  readonly #versionsByPath = new Map<string, FoundVersion[]>();
  /** Packs whose files were added, and whether their bytes were found. */
  readonly #packs = new Map<string, boolean>();
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
    const version = this.#version(path, (each) => each.upload === upload, { upload });
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
    const place = { start: 0, chunkBytes: sizeBytes };
    const chunk = { id, seq, offset, sizeBytes, ...place, placedMs, home, present };
    version.chunks.push(chunk);
    version.byId?.set(id, chunk);
    if (version.byId === undefined && version.chunks.length >= FEW_CHUNKS) {
      version.byId = new Map(version.chunks.map((each) => [each.id, each]));
    }
    this.#chunks++;
    return true;
  }

  /** Whether a further copy of a pack could tell anything new. */
  wantsPack(id: string, present: boolean): boolean {
    const known = this.#packs.get(id);
    return known === undefined || (present && !known);
  }

  /**
   * Adds files of a pack, each of them whole by itself. The same version of a file in two packs, as
   * compaction leaves it for a while, is one: what is known of it tells, not where it lies. Of a
   * pack without an origin nobody knows when it was placed: any other version is taken before.
   */
  addPack(facts: ChunkFacts, files: readonly PackedFile[], home: number, present: boolean): void {
    const { origin, landedMs = 0, chunk: id, sizeBytes: chunkBytes } = facts;
    const chunkPlacedMs = origin === undefined ? 0 : origin.placedMs ?? landedMs;
    if (files.length > 0 && !this.#packs.has(id)) this.#chunks++;
    this.#packs.set(id, present || this.#packs.get(id) === true);
    for (const { path, offset: start, sizeBytes, mode, mtimeMs, ...file } of files) {
      const { placedMs = chunkPlacedMs } = file;
      const isHere = (chunk: FoundChunk) => chunk.id === id && chunk.start === start;
      const version = this.#version(
        path,
        (each) =>
          each.upload === undefined && each.fileBytes === sizeBytes && each.mtimeMs === mtimeMs &&
          (timeOf(each) === placedMs || each.chunks.some(isHere)),
        { fileBytes: sizeBytes, mode, mtimeMs },
      );
      const known = version.chunks.find(isHere);
      if (known === undefined) {
        const place = { id, seq: 0, offset: 0, sizeBytes, start, chunkBytes };
        version.chunks.push({ ...place, placedMs, home, present });
        continue;
      }
      known.placedMs = Math.min(known.placedMs, placedMs);
      if (present && !known.present) [known.present, known.home] = [true, home];
    }
  }

  /** The version of a path that is sought, or a new one with these `facts`. */
  #version(
    path: string,
    isIt: (version: FoundVersion) => boolean,
    facts: Partial<FoundVersion>,
  ): FoundVersion {
    let versions = this.#versionsByPath.get(path);
    if (versions === undefined) this.#versionsByPath.set(path, versions = []);
    let version = versions.find(isIt);
    if (version === undefined) {
      const unknown = { fileBytes: undefined, mode: undefined, mtimeMs: undefined };
      versions.push(version = { upload: undefined, ...unknown, ...facts, chunks: [] });
    }
    return version;
  }
}

/** When the last chunk of a version was placed. */
export function timeOf(version: FoundVersion): number {
  return version.chunks.reduce((newest, { placedMs }) => Math.max(newest, placedMs), 0);
}

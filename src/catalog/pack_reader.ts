/**
 * Reads many small files at once, and packs as compaction looks at them. Whole directories are
 * asked for together, so each directory is looked up once and each chunk is read once.
 */
import { baseName, parentPath } from "../wire/names.ts";
import { parseNumbers } from "./chunk_reader.ts";
import type { Statements } from "./statements.ts";
import { type KnownDirectories, walk } from "./tree.ts";

/** A file of at most one extent, or that something else has the path. */
export type LocatedSmall =
  | {
    kind: "file";
    inode: number;
    version: number;
    sizeBytes: number;
    checksum: string;
    mtimeMs: number;
    mode: number;
    /** The index into `chunks` of the chunk that it lies in; undefined for an empty file. */
    chunk: number | undefined;
    /** Where it starts there, in bytes. */
    chunkOffset: number;
  }
  /** It has several extents, or is no file, or is not there. */
  | { kind: "other" };

/** A chunk in which files lie, with the numbers of the keepers that hold it. */
export interface LocatedChunk {
  no: number;
  id: string;
  sizeBytes: number;
  sums: Uint8Array;
  keepers: number[];
}

/** What `locateMany` knows of paths, in their order, each chunk told once. */
export interface LocatedMany {
  files: LocatedSmall[];
  chunks: LocatedChunk[];
}

/** A pack of which more than half is dead. */
export interface SparsePack {
  /** Grows with each chunk: the cursor. */
  no: number;
  id: string;
  sizeBytes: number;
  sums: Uint8Array;
  /** Bytes that extents refer to, each extent counted. */
  live: number;
  goal: number;
  /** The number of its policy; 0 for none: see `CatalogReader.policy`. */
  policy: number;
  keepers: number[];
}

/** Bytes of a pack that are a file, or were one that lies in the trash. */
export interface PackExtent {
  chunkOffset: number;
  length: number;
  inode: number;
}

type FileRow = Omit<Extract<LocatedSmall, { kind: "file" }>, "kind" | "chunk"> & {
  chunk: number | null;
  length: number | null;
};
type WithKeepers<T extends { keepers: number[] }> = Omit<T, "keepers"> & { keepers: string | null };

const FILE = `SELECT i.id AS inode, i.version, i.size AS sizeBytes, i.checksum,
    i.mtime_ms AS mtimeMs, i.mode, e.chunk, e.length, ifnull(e.chunk_offset, 0) AS chunkOffset
  FROM dentry d CROSS JOIN inode i ON i.id = d.inode
  LEFT JOIN extent e ON e.inode = d.inode AND e.seq = 0
  WHERE d.parent = ? AND d.key = ?`;
const KEEPERS = "(SELECT group_concat(keeper) FROM replica WHERE chunk = c.no) AS keepers";
const CHUNK = `SELECT c.no, c.id, c.size AS sizeBytes, c.sums, ${KEEPERS}
  FROM chunk c WHERE c.no = ?`;
const SPARSE = `SELECT c.no, c.id, c.size AS sizeBytes, c.sums, c.live, c.goal, c.policy, ${KEEPERS}
  FROM chunk c INDEXED BY chunk_sparse
  WHERE packed = 1 AND refs > 0 AND live * 2 < size AND no > ? ORDER BY no LIMIT ?`;
const EXTENTS = `SELECT chunk_offset AS chunkOffset, length, inode
  FROM extent INDEXED BY extent_chunk WHERE chunk = ? ORDER BY chunk_offset, inode LIMIT ?`;

export class PackReader {
  readonly #store: Statements;

  constructor(store: Statements) {
    this.#store = store;
  }

  /** What is at each of `paths` (in their one form), and in which chunks. */
  locateMany(paths: readonly string[]): LocatedMany {
    const known: KnownDirectories = new Map();
    const indexes = new Map<number, number>();
    const chunks: LocatedChunk[] = [];
    const files = paths.map((path): LocatedSmall => {
      const parent = this.#directory(parentPath(path), known);
      if (parent === undefined) return { kind: "other" };
      const row = this.#store.get<FileRow>(FILE, parent, baseName(path));
      if (row === undefined) return { kind: "other" };
      const { chunk: no, length, ...facts } = row;
      if (facts.sizeBytes === 0) return { kind: "file", ...facts, chunk: undefined };
      if (no === null || length !== facts.sizeBytes) return { kind: "other" };
      let chunk = indexes.get(no);
      if (chunk === undefined) {
        const found = this.#store.get<WithKeepers<LocatedChunk>>(CHUNK, no);
        if (found === undefined) return { kind: "other" };
        chunk = chunks.push({ ...found, keepers: parseNumbers(found.keepers) }) - 1;
        indexes.set(no, chunk);
      }
      return { kind: "file", ...facts, chunk };
    });
    return { files, chunks };
  }

  /** Packs in use of which more than half is dead, by number behind `afterNo` (0 at first). */
  sparse(afterNo: number, limit: number): SparsePack[] {
    return this.#store.all<WithKeepers<SparsePack>>(SPARSE, afterNo, limit)
      .map((row) => ({ ...row, keepers: parseNumbers(row.keepers) }));
  }

  /** What lies in a chunk, by offset; of copies of a file, each. */
  extents(chunkNo: number, limit: number): PackExtent[] {
    return this.#store.all<PackExtent>(EXTENTS, chunkNo, limit);
  }

  #directory(path: string, known: KnownDirectories): number | undefined {
    const inode = known.get(path);
    if (inode !== undefined) return inode;
    const place = walk(this.#store, path, known);
    return place.kind === "found" && place.inodeKind === "directory" ? place.inode : undefined;
  }
}

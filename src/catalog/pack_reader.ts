/**
 * Reads many small files at once, and packs as compaction looks at them. Whole directories are
 * asked for together, so each directory is looked up once and each chunk is read once.
 */
import { baseName, joinPath, parentPath } from "../wire/names.ts";
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

/** A pack that compaction is to look at: more than half dead, or parted. */
export interface LoosePack {
  /** Grows with each chunk: the cursor. */
  no: number;
  id: string;
  sizeBytes: number;
  sums: Uint8Array;
  /** Bytes of all files that were put in it: the rest of it is its manifest. */
  filled: number;
  /** Bytes that something refers to, each counted once. */
  live: number;
  /** Extents: files, their copies, and versions in the trash. */
  refs: number;
  goal: number;
  /** The number of its policy; 0 for none: see `CatalogReader.policy`. */
  policy: number;
  keepers: number[];
}

/** A run of bytes of a pack that something refers to, however many copies there are of it. */
export interface PackPlace {
  chunkOffset: number;
  length: number;
}

/** A file with a name, or a version in the trash, that lies in a pack, and what it wants. */
export interface PackedWish extends PackPlace {
  inode: number;
  goal: number;
  /** The number of its policy; 0 for none. */
  policy: number;
  /** 1 in the trash: it wants nothing then. */
  trashed: number;
}

type FileRow = Omit<Extract<LocatedSmall, { kind: "file" }>, "kind" | "chunk"> & {
  key: string;
  chunk: number | null;
  length: number | null;
};
type WithKeepers<T extends { keepers: number[] }> = Omit<T, "keepers"> & { keepers: string | null };

const FILE = `SELECT d.key, i.id AS inode, i.version, i.size AS sizeBytes, i.checksum,
    i.mtime_ms AS mtimeMs, i.mode, e.chunk, e.length, ifnull(e.chunk_offset, 0) AS chunkOffset
  FROM dentry d CROSS JOIN inode i ON i.id = d.inode
  LEFT JOIN extent e ON e.inode = d.inode AND e.seq = 0
  WHERE d.parent = ?`;
const ONE = `${FILE} AND d.key = ?`;
const RANGE = `${FILE} AND d.key BETWEEN ? AND ? ORDER BY d.key LIMIT ?`;
const KEEPERS = "(SELECT group_concat(keeper) FROM replica WHERE chunk = c.no) AS keepers";
const CHUNK = `SELECT c.no, c.id, c.size AS sizeBytes, c.sums, ${KEEPERS}
  FROM chunk c WHERE c.no = ?`;
const PACK = `SELECT c.no, c.id, c.size AS sizeBytes, c.sums, c.filled, c.live, c.refs, c.goal,
  c.policy, ${KEEPERS}`;
const SPARSE = `${PACK} FROM chunk c INDEXED BY chunk_sparse
  WHERE packed = 1 AND refs > 0 AND live < filled / 2 AND parted = 0 AND no > ?
  ORDER BY no LIMIT ?`;
const PARTED = `${PACK} FROM chunk c INDEXED BY chunk_parted
  WHERE parted > 0 AND packed = 1 AND refs > 0 AND no > ? ORDER BY no LIMIT ?`;
const PLACE = "SELECT chunk_offset AS chunkOffset, length FROM extent INDEXED BY extent_chunk";
// One comparison of both columns would look at each copy of the place before.
const LONGER = `${PLACE} WHERE chunk = ? AND chunk_offset = ? AND length > ?
  ORDER BY length LIMIT 1`;
const FURTHER = `${PLACE} WHERE chunk = ? AND chunk_offset > ?
  ORDER BY chunk_offset, length LIMIT 1`;
const WISHES = `SELECT e.chunk_offset AS chunkOffset, e.length, e.inode, i.goal, i.policy,
    EXISTS (SELECT 1 FROM trash WHERE inode = e.inode) AS trashed
  FROM extent e INDEXED BY extent_chunk CROSS JOIN inode i ON i.id = e.inode
  WHERE e.chunk = ? ORDER BY e.chunk_offset, e.length, e.inode LIMIT ?`;

export class PackReader {
  readonly #store: Statements;

  constructor(store: Statements) {
    this.#store = store;
  }

  /**
   * What is at each of `paths` (in their one form), and in which chunks, each told where it is met
   * first. Neighbours cost least: those of one directory are read at once.
   */
  locateMany(paths: readonly string[]): LocatedMany {
    const known: KnownDirectories = new Map();
    const rows = new Map<string, FileRow>();
    for (const [above, names] of groupByParent(paths)) {
      const parent = this.#directory(above, known);
      if (parent === undefined) continue;
      for (const row of this.#rows(parent, names)) rows.set(joinPath(above, row.key), row);
    }
    const chunks = new ChunkList(this.#store);
    return { files: paths.map((path) => describe(rows.get(path), chunks)), chunks: chunks.chunks };
  }

  /** Packs in use of which more than half is dead, by number behind `afterNo` (0 at first). */
  sparse(afterNo: number, limit: number): LoosePack[] {
    return this.#store.all<WithKeepers<LoosePack>>(SPARSE, afterNo, limit).map(withKeepers);
  }

  /** Packs whose files may want different goals or policies, by number behind `afterNo`. */
  parted(afterNo: number, limit: number): LoosePack[] {
    return this.#store.all<WithKeepers<LoosePack>>(PARTED, afterNo, limit).map(withKeepers);
  }

  /** The places of a chunk that are in use, each once, by two look-ups, whatever has copies. */
  places(chunkNo: number, limit: number): PackPlace[] {
    const places: PackPlace[] = [];
    let last: PackPlace | undefined = { chunkOffset: -1, length: 0 };
    while (places.length < limit) {
      const { chunkOffset, length }: PackPlace = last;
      last = this.#store.get<PackPlace>(LONGER, chunkNo, chunkOffset, length) ??
        this.#store.get<PackPlace>(FURTHER, chunkNo, chunkOffset);
      if (last === undefined) break;
      places.push(last);
    }
    return places;
  }

  /** What lies in a chunk, by offset, with what each file wants; of copies of a file, each. */
  wishes(chunkNo: number, limit: number): PackedWish[] {
    return this.#store.all<PackedWish>(WISHES, chunkNo, limit);
  }

  /** Files of a directory: those of these names, and perhaps some between them. */
  #rows(parent: number, names: readonly string[]): FileRow[] {
    if (names.length === 1) return this.#one(parent, names[0] ?? "");
    const least = names.reduce((one, other) => one < other ? one : other);
    const greatest = names.reduce((one, other) => one > other ? one : other);
    // Where many others lie between them, the rest is asked for by itself.
    const rows = this.#store.all<FileRow>(RANGE, parent, least, greatest, 2 * names.length);
    const there = new Set(rows.map(({ key }) => key));
    return [
      ...rows,
      ...names.filter((name) => !there.has(name)).flatMap((name) => this.#one(parent, name)),
    ];
  }

  #one(parent: number, name: string): FileRow[] {
    const row = this.#store.get<FileRow>(ONE, parent, name);
    return row === undefined ? [] : [row];
  }

  #directory(path: string, known: KnownDirectories): number | undefined {
    const inode = known.get(path);
    if (inode !== undefined) return inode;
    const place = walk(this.#store, path, known);
    return place.kind === "found" && place.inodeKind === "directory" ? place.inode : undefined;
  }
}

function withKeepers(row: WithKeepers<LoosePack>): LoosePack {
  return { ...row, keepers: parseNumbers(row.keepers) };
}

/** The names that are asked for, by their directory. */
function groupByParent(paths: readonly string[]): Map<string, string[]> {
  const groups = new Map<string, string[]>();
  for (const path of paths) {
    const above = parentPath(path);
    const names = groups.get(above);
    if (names === undefined) groups.set(above, [baseName(path)]);
    else names.push(baseName(path));
  }
  return groups;
}

/** The chunks of one answer, each once. */
class ChunkList {
  readonly chunks: LocatedChunk[] = [];
  readonly #store: Statements;
  readonly #indexes = new Map<number, number>();

  constructor(store: Statements) {
    this.#store = store;
  }

  /** The index of the chunk with this number; undefined when there is none. */
  indexOf(no: number): number | undefined {
    const known = this.#indexes.get(no);
    if (known !== undefined) return known;
    const row = this.#store.get<WithKeepers<LocatedChunk>>(CHUNK, no);
    if (row === undefined) return undefined;
    const index = this.chunks.push({ ...row, keepers: parseNumbers(row.keepers) }) - 1;
    this.#indexes.set(no, index);
    return index;
  }
}

function describe(row: FileRow | undefined, chunks: ChunkList): LocatedSmall {
  if (row === undefined) return { kind: "other" };
  const { inode, version, sizeBytes, checksum, mtimeMs, mode, chunkOffset, chunk: no } = row;
  const facts = { inode, version, sizeBytes, checksum, mtimeMs, mode, chunkOffset };
  if (sizeBytes === 0) return { kind: "file", ...facts, chunk: undefined };
  const chunk = no === null || row.length !== sizeBytes ? undefined : chunks.indexOf(no);
  return chunk === undefined ? { kind: "other" } : { kind: "file", ...facts, chunk };
}

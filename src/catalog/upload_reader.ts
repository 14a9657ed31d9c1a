/** Uploads that are not committed yet, and what they have stored so far. */
import { parseNumbers } from "./chunk_reader.ts";
import type { Statements } from "./statements.ts";
import { findResumable, storedBytes } from "./upload_rows.ts";

export interface UploadRecord {
  id: string;
  path: string;
  mode: number;
  mtimeMs: number;
  owner: string;
  exclusive: boolean;
  goal: number;
  minCopies: number;
  /** The file's size; undefined where it was not known in advance. */
  sizeBytes: number | undefined;
  startedMs: number;
  touchedMs: number;
  /** Interrupted: nobody works on it, and what it has stored is kept for the next one. */
  paused: boolean;
}

/** A chunk that an upload has stored, with the numbers of the keepers that hold it. */
export interface StoredChunk {
  /** Where it starts in the file, in bytes. */
  offset: number;
  sizeBytes: number;
  sums: Uint8Array;
  keepers: number[];
}

type UploadRow = Omit<UploadRecord, "exclusive" | "paused" | "sizeBytes"> & {
  exclusive: number;
  paused: number;
  sizeBytes: number | null;
};

const UPLOAD = `SELECT id, path, mode, mtime_ms AS mtimeMs, owner, exclusive, goal,
  min_copies AS minCopies, size AS sizeBytes, started_ms AS startedMs, touched_ms AS touchedMs,
  paused FROM upload`;
const BY_ID = `${UPLOAD} WHERE id = ?`;
const IDLE = `${UPLOAD} WHERE paused = ? AND touched_ms < ? ORDER BY touched_ms LIMIT ?`;
const STORED = `SELECT u.offset, c.size AS sizeBytes, c.sums,
    (SELECT group_concat(keeper) FROM replica WHERE chunk = u.chunk) AS keepers
  FROM upload_chunk u CROSS JOIN chunk c ON c.no = u.chunk WHERE u.upload = ? AND u.seq = ?`;

export class UploadReader {
  readonly #store: Statements;

  constructor(store: Statements) {
    this.#store = store;
  }

  /** The upload with this id. */
  find(id: string): UploadRecord | undefined {
    const row = this.#store.get<UploadRow>(BY_ID, id);
    return row && record(row);
  }

  /** Uploads of which nothing was heard since `beforeMs`, the idlest first. */
  idleSince(beforeMs: number, limit: number, paused: boolean): UploadRecord[] {
    return this.#store.all<UploadRow>(IDLE, paused ? 1 : 0, beforeMs, limit).map(record);
  }

  /** The chunk that an upload has stored at a place. */
  storedChunk(upload: string, seq: number): StoredChunk | undefined {
    const row = this.#store.get<Omit<StoredChunk, "keepers"> & { keepers: string | null }>(
      STORED,
      upload,
      seq,
    );
    return row && { ...row, keepers: parseNumbers(row.keepers) };
  }

  /** Bytes stored by the upload that the next one to `path` would take over. */
  resumableBytes(path: string): number {
    const upload = findResumable(this.#store, path, "");
    return upload === undefined ? 0 : storedBytes(this.#store, upload.id);
  }
}

function record(row: UploadRow): UploadRecord {
  const { exclusive, paused, sizeBytes } = row;
  return {
    ...row,
    exclusive: exclusive === 1,
    paused: paused === 1,
    sizeBytes: sizeBytes ?? undefined,
  };
}

/**
 * From chunks in danger to the files that are made of them: one page of files, bounded in number
 * and in bytes. A file is weighed by all its chunks, so that it is told once, with its worst.
 */
import type { AuditReader } from "../catalog/audit_reader.ts";
import type { FileAtRisk } from "../wire/audit.ts";
import { AUDIT_PAGE_MAX } from "../wire/audit.ts";
import { FileScale } from "./danger.ts";
import { nextTurn } from "./turns.ts";

/** Whether a keeper's copy of a chunk counts. */
export type IsLive = (keeper: number, chunkNo: number) => boolean;

/** Paths of a page, so that it stays far below what one message may have. */
const PATHS_BYTES_MAX = 192 * 1024;
const FILES_AT_ONCE = 64;
const CHUNKS_AT_ONCE = 2_048;

export class FileRisks {
  readonly files: FileAtRisk[] = [];
  readonly #reader: AuditReader;
  readonly #isLive: IsLive;
  /** Files that were weighed for this page: as many as it can have, or as a chunk in vain. */
  readonly #weighed = new Set<number>();
  #bytes = 0;

  constructor(reader: AuditReader, isLive: IsLive) {
    this.#reader = reader;
    this.#isLive = isLive;
  }

  /** Nothing more goes onto this page. */
  get full(): boolean {
    return this.files.length >= AUDIT_PAGE_MAX || this.#bytes >= PATHS_BYTES_MAX;
  }

  /**
   * Adds the files of a chunk but for the first `skip`. Returns undefined when these are all; else
   * how many are to be skipped on the next page.
   */
  async add(chunkNo: number, skip: number): Promise<number | undefined> {
    for (let done = skip;;) {
      const inodes = this.#reader.filesOfChunk(chunkNo, done, FILES_AT_ONCE);
      for (const inode of inodes) {
        if (this.full) return done;
        await this.#addFile(inode);
        done++;
      }
      if (inodes.length < FILES_AT_ONCE) return undefined;
    }
  }

  async #addFile(inode: number): Promise<void> {
    if (this.#weighed.has(inode)) return;
    if (this.#weighed.size >= 4 * AUDIT_PAGE_MAX) this.#weighed.clear();
    this.#weighed.add(inode);
    const danger = await this.#weigh(inode);
    const named = this.#reader.nameOf(inode);
    if (danger === undefined || named === undefined) return;
    this.files.push({ ...named, ...danger });
    this.#bytes += Buffer.byteLength(named.path);
  }

  async #weigh(inode: number): Promise<ReturnType<FileScale["result"]>> {
    const scale = new FileScale();
    for (let seq = 0;; seq += CHUNKS_AT_ONCE) {
      const chunks = this.#reader.chunksOfFile(inode, seq, CHUNKS_AT_ONCE);
      for (const { no, goal, keepers } of chunks) {
        scale.add(keepers.filter((keeper) => this.#isLive(keeper, no)).length, goal);
      }
      if (chunks.length < CHUNKS_AT_ONCE) return scale.result();
      await nextTurn();
    }
  }
}

/**
 * A keeper's archive: snapshots of the catalog and journals of what followed, as files in the
 * directory `archive`, the owner's alone. What is answered is durable. A journal is appended to by
 * one thread only; snapshots land whole or not at all, from any thread.
 */
import type { Random } from "../base/random.ts";
import { randomHex } from "../base/random.ts";
import { Batcher } from "../base/batch.ts";
import type { ArchiveFile } from "../wire/archive.ts";
import { JournalPiece, parseArchiveName } from "../wire/archive.ts";
import { decode } from "../wire/codec.ts";
import { hasCode, TydfsError } from "../wire/errors.ts";
import { encodeFrame, FrameReader } from "../wire/journal_frame.ts";
import { BLOCK_BYTES, blockCount, fileChecksum, sumsOf } from "../wire/sums.ts";
import type { Disk } from "./disk.ts";
import { faultOf, isUnreadable } from "./disk.ts";
import { ARCHIVE } from "./places.ts";

/** Pieces that may wait for the disk; one more is refused with `busy`. */
const WAITING_MAX = 256;
const BATCH_MAX = 64;
/** Checksums that are remembered: of more files than an archive has. */
const CHECKSUMS_MAX = 64;
/** Ends the names of what is coming in. */
const DRAFT_ENDING = ".tmp";

/** What a file that comes in must be. */
export type ArchiveFacts = Pick<ArchiveFile, "name" | "sizeBytes" | "checksum">;

interface Append {
  name: string;
  payload: Uint8Array;
}

export class Archive {
  readonly #disk: Disk;
  readonly #random: Random;
  readonly #appends: Batcher<Append, void>;
  /** Where each journal's next frame goes; one whose sync has failed takes no more. */
  readonly #ends = new Map<string, number | "broken">();
  readonly #checksums = new Map<string, string>();
  readonly #journalEnds = new Map<string, { sizeBytes: number; ends: [number, number][] }>();

  constructor(disk: Disk, random: Random) {
    this.#disk = disk;
    this.#random = random;
    this.#appends = new Batcher({
      waitingMax: WAITING_MAX,
      batchMax: BATCH_MAX,
      run: async (items) => {
        for (const name of new Set(items.map(({ input }) => input.name))) {
          const own = items.filter(({ input }) => input.name === name);
          try {
            await this.#write(name, own.map(({ input }) => input.payload));
            for (const { resolve } of own) resolve();
          } catch (error) {
            for (const { reject } of own) reject(error);
          }
        }
      },
      onFull: () => new TydfsError("busy", "Cannot append to the archive: too many pieces wait"),
    });
  }

  /** Makes the directory, and removes what was coming in when the keeper ended. */
  async prepare(): Promise<void> {
    this.#disk.makeDirectory(ARCHIVE, { private: true });
    await this.#disk.syncDirectory(".");
    for (const name of await this.#disk.list(ARCHIVE)) {
      if (name.endsWith(DRAFT_ENDING)) await this.#disk.remove(`${ARCHIVE}/${name}`);
    }
  }

  /**
   * Appends a frame to a journal, durably; what waits is written at once. Throws `no-space`,
   * `unavailable` (the disk fails), `busy`.
   */
  async append(name: string, payload: Uint8Array): Promise<void> {
    await this.#appends.submit({ name, payload });
  }

  /**
   * What the archive holds. Of what has not been read yet, every byte is; a file that can't be read
   * is left out, so that the others can still be had.
   */
  async list(): Promise<ArchiveFile[]> {
    const files: ArchiveFile[] = [];
    for (const name of await this.#disk.list(ARCHIVE)) {
      const sizeBytes = this.#disk.sizeOf(`${ARCHIVE}/${name}`);
      if (sizeBytes === undefined || !isArchiveName(name)) continue;
      const isSnapshot = parseArchiveName(name).kind === "snapshot";
      try {
        const found = isSnapshot
          ? { checksum: await this.#checksum(name, sizeBytes) }
          : { checksum: "", ...await this.#endsOf(name, sizeBytes) };
        files.push({ name, sizeBytes, ...found });
      } catch (error) {
        if (!isUnreadable(error)) throw error;
      }
    }
    return files;
  }

  /**
   * Takes in a whole file, by what `fill` writes to the path that it is given. Throws `corrupt`
   * when that has another size or checksum, `no-space`, `unavailable`.
   */
  async land(facts: ArchiveFacts, fill: (path: string) => Promise<void>): Promise<void> {
    const { name, sizeBytes, checksum } = facts;
    const draft = `${ARCHIVE}/${name}.${randomHex(this.#random, 4)}${DRAFT_ENDING}`;
    try {
      await fill(draft);
      const found = this.#disk.sizeOf(draft) ?? 0;
      const sum = found === sizeBytes ? await this.#sum(draft, sizeBytes) : "";
      if (found !== sizeBytes || sum !== checksum) {
        throw new TydfsError("corrupt", `Cannot store "${name}": its bytes are not those due`);
      }
      const file = this.#disk.open(draft);
      try {
        await file.datasync();
      } finally {
        await file.close();
      }
      this.#disk.rename(draft, `${ARCHIVE}/${name}`);
      await this.#disk.syncDirectory(ARCHIVE);
      this.#checksums.delete(name);
    } catch (error) {
      await this.#disk.remove(draft);
      throw wordFailure(error);
    }
  }

  /** A file as a body that the kernel sends; undefined when it is not there. */
  find(name: string): { body: Blob; sizeBytes: number } | undefined {
    const path = `${ARCHIVE}/${name}`;
    const sizeBytes = this.#disk.sizeOf(path);
    return sizeBytes === undefined ? undefined : { body: this.#disk.body(path), sizeBytes };
  }

  /** Removes files; how many were there. */
  async remove(names: readonly string[]): Promise<number> {
    let removed = 0;
    for (const name of names) {
      this.#ends.delete(name);
      this.#journalEnds.delete(name);
      this.#checksums.delete(name);
      if (await this.#disk.remove(`${ARCHIVE}/${name}`)) removed++;
    }
    return removed;
  }

  /**
   * A frame that was torn is written over: the next one goes behind the last whole one. After a
   * failed sync nobody knows what the file holds, and nothing more is put into it.
   */
  async #write(name: string, payloads: readonly Uint8Array[]): Promise<void> {
    const path = `${ARCHIVE}/${name}`;
    const isNew = this.#disk.sizeOf(path) === undefined;
    const end = isNew ? 0 : this.#ends.get(name) ?? await this.#goodEnd(path);
    if (end === "broken") {
      throw new TydfsError("unavailable", `Cannot append to "${name}": its disk has failed`);
    }
    const bytes = Buffer.concat(payloads.map(encodeFrame));
    try {
      await this.#disk.writeAt(path, bytes, end);
      if (isNew) await this.#disk.syncDirectory(ARCHIVE);
      this.#ends.set(name, end + bytes.length);
    } catch (error) {
      this.#ends.set(name, faultOf(error) === "full" ? end : "broken");
      throw wordFailure(error);
    }
  }

  /** The last operation of each master in a journal, up to what is no piece of one. */
  async #endsOf(name: string, sizeBytes: number): Promise<{ ends?: [number, number][] }> {
    const known = this.#journalEnds.get(name);
    if (known?.sizeBytes === sizeBytes) return { ends: known.ends };
    const ends = new Map<number, number>();
    const reader = new FrameReader();
    try {
      for await (const block of this.#blocks(`${ARCHIVE}/${name}`, sizeBytes)) {
        for (const payload of reader.read(block)) {
          const { epoch, to } = decode(JournalPiece, payload, "a piece of the journal");
          ends.set(epoch, Math.max(to, ends.get(epoch) ?? 0));
        }
      }
    } catch (error) {
      if (!hasCode(error, "invalid", "limit")) throw error;
    }
    if (ends.size === 0) return {};
    if (this.#journalEnds.size >= CHECKSUMS_MAX) this.#journalEnds.clear();
    this.#journalEnds.set(name, { sizeBytes, ends: [...ends] });
    return { ends: [...ends] };
  }

  async #goodEnd(path: string): Promise<number> {
    const reader = new FrameReader();
    for await (const block of this.#blocks(path, this.#disk.sizeOf(path) ?? 0)) {
      for (const _payload of reader.read(block)) continue;
    }
    return reader.goodBytes;
  }

  async #checksum(name: string, sizeBytes: number): Promise<string> {
    const known = this.#checksums.get(name);
    if (known !== undefined) return known;
    const sum = await this.#sum(`${ARCHIVE}/${name}`, sizeBytes);
    if (this.#checksums.size >= CHECKSUMS_MAX) this.#checksums.clear();
    this.#checksums.set(name, sum);
    return sum;
  }

  async #sum(path: string, sizeBytes: number): Promise<string> {
    const sums: Uint8Array[] = [];
    for await (const block of this.#blocks(path, sizeBytes)) sums.push(sumsOf(block));
    return fileChecksum(sums);
  }

  async *#blocks(path: string, sizeBytes: number): AsyncGenerator<Uint8Array> {
    const file = this.#disk.open(path);
    try {
      for (let block = 0; block < blockCount(sizeBytes); block++) {
        const buffer = new Uint8Array(Math.min(BLOCK_BYTES, sizeBytes - block * BLOCK_BYTES));
        let filled = 0;
        while (filled < buffer.length) {
          const at = block * BLOCK_BYTES + filled;
          const count = await file.read(buffer.subarray(filled), at);
          if (count === 0) return;
          filled += count;
        }
        yield buffer;
      }
    } finally {
      await file.close();
    }
  }
}

function isArchiveName(name: string): boolean {
  try {
    parseArchiveName(name);
    return true;
  } catch (error) {
    if (hasCode(error, "invalid")) return false;
    throw error;
  }
}

function wordFailure(error: unknown): unknown {
  if (error instanceof TydfsError) return error;
  const words = error instanceof Error ? error.message : String(error);
  const code = faultOf(error) === "full" ? "no-space" : "unavailable";
  return new TydfsError(code, `Cannot store into the archive: ${words}`, { cause: error });
}

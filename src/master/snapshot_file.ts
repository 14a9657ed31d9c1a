/**
 * A snapshot's file as it lies in keepers' archives: a mark, the head (`SnapshotHead`), then the
 * database in pieces, each compressed by itself (zstd), so that neither end ever holds more than
 * one. Lengths are 4 bytes, big-endian.
 */
import { MIB } from "../base/bytes.ts";
import { SnapshotHead } from "../wire/archive.ts";
import { decode, encode } from "../wire/codec.ts";
import { TydfsError } from "../wire/errors.ts";
import { BLOCK_BYTES, fileChecksum, sumsOf } from "../wire/sums.ts";

/** Bytes within which the head of every snapshot lies. */
export const HEAD_BYTES_MAX = 4096;

const MARK = new TextEncoder().encode("tydfssn1");
const PIECE_BYTES = 4 * MIB;
const LENGTH_BYTES = 4;

/** Where bytes are written to, in order. */
export interface ByteSink {
  write(bytes: Uint8Array): void | Promise<void>;
}

/** Writes a snapshot of the database `body`. Returns the file's size and checksum. */
export async function writeSnapshot(
  head: SnapshotHead,
  body: Blob,
  sink: ByteSink,
): Promise<{ sizeBytes: number; checksum: string }> {
  const summing = new SummingSink(sink);
  await summing.write(MARK);
  await writePiece(summing, encode(head));
  for (let at = 0; at < head.sizeBytes; at += PIECE_BYTES) {
    const bytes = await body.slice(at, Math.min(at + PIECE_BYTES, head.sizeBytes)).bytes();
    // At once: a piece takes some milliseconds of a thread that has nothing else to do.
    await writePiece(summing, Bun.zstdCompressSync(bytes));
  }
  return summing.finish();
}

/** The head of a snapshot, from its first bytes. Throws `corrupt` when it is none. */
export function readHead(bytes: Uint8Array): SnapshotHead {
  const start = MARK.length + LENGTH_BYTES;
  const isMarked = Buffer.from(bytes.subarray(0, MARK.length)).equals(MARK);
  const length = isMarked && bytes.length >= start
    ? Buffer.from(bytes).readUInt32BE(MARK.length)
    : Infinity;
  if (start + length > Math.min(bytes.length, HEAD_BYTES_MAX)) throw malformed("its head is torn");
  return decode(SnapshotHead, bytes.subarray(start, start + length), "the head of a snapshot");
}

/**
 * Reads a snapshot: its head, and the database, which is written to `sink`. Throws `corrupt` unless
 * it is whole and has this checksum.
 */
export async function readSnapshot(
  source: AsyncIterable<Uint8Array>,
  checksum: string,
  sink: ByteSink,
): Promise<SnapshotHead> {
  const summing = new SummingSink({ write: () => {} });
  let rest: Uint8Array = new Uint8Array(0);
  let head: SnapshotHead | undefined;
  let written = 0;
  for await (const bytes of source) {
    await summing.write(bytes);
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes]);
    for (;;) {
      const start = (head === undefined ? MARK.length : 0) + LENGTH_BYTES;
      if (rest.length < start) break;
      const length = Buffer.from(rest.buffer, rest.byteOffset).readUInt32BE(start - LENGTH_BYTES);
      if (length > 2 * PIECE_BYTES) throw malformed("a piece is too long");
      if (rest.length < start + length) break;
      if (head === undefined) {
        head = readHead(rest);
      } else {
        const piece = unpack(rest.subarray(start, start + length));
        await sink.write(piece);
        written += piece.length;
      }
      rest = rest.subarray(start + length);
    }
  }
  if (head === undefined || rest.length > 0 || written !== head.sizeBytes) {
    throw malformed("it is not whole");
  }
  if (summing.finish().checksum !== checksum) throw malformed("its checksum is another");
  return head;
}

function unpack(bytes: Uint8Array): Uint8Array {
  try {
    return Bun.zstdDecompressSync(bytes);
  } catch (cause) {
    throw malformed("a piece can't be unpacked", cause);
  }
}

async function writePiece(sink: ByteSink, bytes: Uint8Array): Promise<void> {
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setUint32(0, bytes.length);
  await sink.write(length);
  await sink.write(bytes);
}

/** Passes bytes on, and sums them by blocks, as files are summed. */
class SummingSink implements ByteSink {
  readonly #sink: ByteSink;
  readonly #sums: Uint8Array[] = [];
  readonly #block = new Uint8Array(BLOCK_BYTES);
  #filled = 0;
  #sizeBytes = 0;

  constructor(sink: ByteSink) {
    this.#sink = sink;
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.#sink.write(bytes);
    this.#sizeBytes += bytes.length;
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOCK_BYTES) this.#close();
    }
  }

  finish(): { sizeBytes: number; checksum: string } {
    if (this.#filled > 0) this.#close();
    return { sizeBytes: this.#sizeBytes, checksum: fileChecksum(this.#sums) };
  }

  #close(): void {
    this.#sums.push(sumsOf(this.#block.subarray(0, this.#filled)));
    this.#filled = 0;
  }
}

function malformed(reason: string, cause?: unknown): TydfsError {
  const message = `Cannot read the snapshot: ${reason}`;
  return new TydfsError("corrupt", message, cause === undefined ? {} : { cause });
}

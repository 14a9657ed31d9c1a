/**
 * What the workload writes: bytes that follow from a name alone, so that nothing has to be kept to
 * be compared. `checker/content.py` makes the same bytes on its own.
 *
 * A content is pages of 4 KiB: the number of the page (8 bytes, little-endian), then the rest of a
 * base page made of 128 SHA-256 digests of "NAME\nINDEX". Two pages that change places are seen.
 */

const PAGE_BYTES = 4096;
const DIGEST_BYTES = 32;
export const BLOCK_BYTES = 2 ** 20;

/** The bytes of one version of a file. */
export class Content {
  readonly sizeBytes: number;
  readonly #base: Uint8Array;

  constructor(readonly name: string, sizeBytes: number) {
    this.sizeBytes = sizeBytes;
    this.#base = basePage(name);
  }

  /** Its blocks of 1 MiB in order; the last one may be short. Each is a buffer of its own. */
  *blocks(): Generator<Uint8Array> {
    for (let offset = 0; offset < this.sizeBytes; offset += BLOCK_BYTES) {
      yield this.block(offset, Math.min(BLOCK_BYTES, this.sizeBytes - offset));
    }
  }

  /** `length` bytes from `offset` on, which is a multiple of the page's size. */
  block(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.ceil(length / PAGE_BYTES) * PAGE_BYTES);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      bytes.set(this.#base, at);
      view.setBigUint64(at, BigInt((offset + at) / PAGE_BYTES), true);
    }
    return bytes.subarray(0, length);
  }

  /** All of it. */
  bytes(): Uint8Array {
    return this.block(0, this.sizeBytes);
  }

  /** What tells it from all others. */
  digest(): string {
    const summer = new Summer();
    for (const block of this.blocks()) summer.add(block);
    return summer.digest();
  }
}

/**
 * A digest of bytes that come in pieces of any size: XXH3-64 over the XXH3-64 (big-endian) of each
 * block of 1 MiB, as hexadecimal.
 */
export class Summer {
  sizeBytes = 0;
  readonly #block = new Uint8Array(BLOCK_BYTES);
  readonly #sums: Uint8Array[] = [];
  #filled = 0;

  add(piece: Uint8Array): void {
    this.sizeBytes += piece.length;
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + BLOCK_BYTES - this.#filled);
      this.#block.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === BLOCK_BYTES) this.#closeBlock();
    }
  }

  digest(): string {
    if (this.#filled > 0) this.#closeBlock();
    return hex64(Bun.hash.xxHash3(Buffer.concat(this.#sums)));
  }

  #closeBlock(): void {
    const sum = new Uint8Array(8);
    const hash = Bun.hash.xxHash3(this.#block.subarray(0, this.#filled));
    new DataView(sum.buffer).setBigUint64(0, hash);
    this.#sums.push(sum);
    this.#filled = 0;
  }
}

function basePage(name: string): Uint8Array {
  const page = new Uint8Array(PAGE_BYTES);
  for (let index = 0; index < PAGE_BYTES / DIGEST_BYTES; index++) {
    const digest = new Bun.CryptoHasher("sha256").update(`${name}\n${index}`).digest();
    page.set(digest, index * DIGEST_BYTES);
  }
  return page;
}

function hex64(value: bigint): string {
  return value.toString(16).padStart(16, "0");
}

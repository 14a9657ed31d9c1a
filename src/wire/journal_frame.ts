/**
 * Frames of a journal's file: length (4 bytes, big-endian), XXH3-64 of the payload (8 bytes), the
 * payload. What a crash has torn at the end is seen, and left out.
 */
import { hashBlock } from "./sums.ts";

export const FRAME_HEAD_BYTES = 12;
/** Larger than any command that NATS carries. */
const PAYLOAD_BYTES_MAX = 1024 * 1024;

/** A payload as it stands in the file. */
export function encodeFrame(payload: Uint8Array): Uint8Array {
  const frame = new Uint8Array(FRAME_HEAD_BYTES + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, payload.length);
  view.setBigUint64(4, hashBlock(payload));
  frame.set(payload, FRAME_HEAD_BYTES);
  return frame;
}

/**
 * Reads frames from bytes that come in pieces. `goodBytes` grows with each whole frame; at the
 * first that is not, all that follows is left out.
 */
export class FrameReader {
  goodBytes = 0;
  #rest: Uint8Array = new Uint8Array(0);
  #broken = false;

  /** The payloads that are whole with these bytes. */
  *read(bytes: Uint8Array): Generator<Uint8Array> {
    if (this.#broken) return;
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    while (all.length - at >= FRAME_HEAD_BYTES) {
      const view = new DataView(all.buffer, all.byteOffset + at);
      const length = view.getUint32(0);
      if (length > PAYLOAD_BYTES_MAX) return this.#break();
      const end = at + FRAME_HEAD_BYTES + length;
      if (end > all.length) break;
      const payload = all.slice(at + FRAME_HEAD_BYTES, end);
      if (hashBlock(payload) !== view.getBigUint64(4)) return this.#break();
      this.goodBytes += end - at;
      at = end;
      yield payload;
    }
    this.#rest = all.slice(at);
  }

  #break(): void {
    this.#broken = true;
    this.#rest = new Uint8Array(0);
  }
}

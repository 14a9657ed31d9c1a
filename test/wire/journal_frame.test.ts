/** Frames of a journal: whole ones come back, in whatever pieces the bytes come; torn ones don't. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { encodeFrame, FrameReader } from "../../src/wire/journal_frame.ts";

const payloads = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });

function readAll(bytes: Uint8Array, step: number): { got: Uint8Array[]; goodBytes: number } {
  const reader = new FrameReader();
  const got: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    got.push(...reader.read(bytes.slice(at, at + step)));
  }
  return { got, goodBytes: reader.goodBytes };
}

const hex = (list: Uint8Array[]) => list.map((bytes) => bytes.toHex());

test("FrameReader gives back what encodeFrame made, cut anywhere", () => {
  fc.assert(fc.property(payloads, fc.integer({ min: 1, max: 500 }), (list, step) => {
    const bytes = Buffer.concat(list.map(encodeFrame));
    const { got, goodBytes } = readAll(bytes, step);
    expect(hex(got)).toEqual(hex(list));
    expect(goodBytes).toBe(bytes.length);
  }));
});

test("FrameReader stops before what is torn or flipped, whatever follows", () => {
  const cut = fc.nat();
  fc.assert(fc.property(payloads, cut, cut, fc.boolean(), (list, where, step, isTorn) => {
    const frames = list.map(encodeFrame);
    const bytes = Buffer.concat(frames);
    if (bytes.length === 0) return;
    const at = where % bytes.length;
    const broken = isTorn ? bytes.subarray(0, at) : Buffer.from(bytes);
    if (!isTorn) broken[at] = (broken[at] ?? 0) ^ 0x10;
    let whole = 0;
    let end = 0;
    while (end + (frames[whole]?.length ?? Infinity) <= at) end += frames[whole++]?.length ?? 0;
    const { got, goodBytes } = readAll(broken, 1 + step % 400);
    expect(hex(got)).toEqual(hex(list.slice(0, whole)));
    expect(goodBytes).toBe(end);
  }));
});

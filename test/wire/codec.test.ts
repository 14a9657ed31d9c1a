/** The codec: plain values survive, everything else is refused with `invalid`. */
import { expect, test } from "bun:test";
import { Encoder } from "cbor-x";
import fc from "fast-check";
import * as v from "valibot";
import { decode, encode, MESSAGE_BYTES_MAX } from "../../src/wire/codec.ts";
import { decodeError, encodeError, hasCode, TydfsError } from "../../src/wire/errors.ts";

const plain = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: "small" },
    fc.string({ unit: "grapheme" }).filter((text) => text.isWellFormed()),
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.uint8Array({ maxLength: 40 }),
    fc.array(tie("value"), { maxLength: 4 }),
    fc.dictionary(fc.stringMatching(/^[a-z]{1,8}$/), tie("value"), { maxKeys: 4 }).map((record) =>
      ({ ...record }) as unknown
    ),
  ),
})).value;

function refused(bytes: Uint8Array): boolean {
  try {
    decode(v.any(), bytes, "a test");
    return false;
  } catch (error) {
    return hasCode(error, "invalid");
  }
}

test("encode and decode are inverse on plain values", () => {
  fc.assert(fc.property(plain, (value) => {
    expect(decode(v.any(), encode({ value }), "a test")).toEqual({ value });
  }));
});

test("encode and decode are inverse on long lists, and the same bytes come again", () => {
  const text = fc.string({ unit: "binary" }).filter((string) => string.isWellFormed());
  const item = fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        path: text,
        size: fc.maxSafeInteger(),
        ms: fc.double().map((number) => number + 0),
      }),
    },
    { weight: 1, arbitrary: plain },
  );
  fc.assert(fc.property(fc.array(item, { minLength: 30, maxLength: 40 }), (list) => {
    const bytes = encode({ ok: true, value: { list } });
    const value = decode(v.any(), bytes, "a test");
    expect(value).toEqual({ ok: true, value: { list } });
    expect(encode(value)).toEqual(bytes);
  }));
});

test("a long list goes as JSON unless that is too long, and what is undefined is left out", () => {
  const list = (path: string) => Array.from({ length: 2_000 }, () => ({ path, owner: undefined }));
  const bytes = encode({ list: list("/a") });
  expect(Buffer.from(bytes).includes(`{"path":"/a"},`)).toBe(true);
  expect(decode(v.any(), bytes, "a test")).toEqual({ list: list("/a") });
  const control = encode({ list: list("\u0001".repeat(100)) });
  expect(control.length).toBeLessThan(MESSAGE_BYTES_MAX / 2);
  expect(decode(v.any(), control, "a test")).toEqual({ list: list("\u0001".repeat(100)) });
});

test("decode refuses embedded JSON that is none, has forbidden keys, or is too deep", () => {
  const embedded = (text: string) =>
    Buffer.concat([new Uint8Array([0xd9, 1, 6]), encode(Buffer.from(text))]);
  expect(refused(embedded("[1]"))).toBe(false);
  expect(refused(embedded("[1"))).toBe(true);
  expect(refused(embedded(`{"__proto__":{"admin":true}}`))).toBe(true);
  expect(refused(embedded("[".repeat(20) + "]".repeat(20)))).toBe(true);
  expect(refused(embedded("[".repeat(300_000)))).toBe(true);
  expect(refused(new Uint8Array([0xd9, 1, 6, 1]))).toBe(true);
});

test("decode never throws anything but TydfsError, whatever comes", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    try {
      decode(v.object({ a: v.number() }), bytes, "a test");
    } catch (error) {
      expect(error).toBeInstanceOf(TydfsError);
    }
  }));
});

test("decode refuses excess size and depth, dates, maps with odd keys, tagged objects", () => {
  let deep: unknown = 1;
  for (let level = 0; level < 20; level++) deep = [deep];
  expect(refused(encode(deep))).toBe(true);
  expect(refused(new Uint8Array(MESSAGE_BYTES_MAX + 1))).toBe(true);
  const loose = new Encoder({ useRecords: false });
  expect(refused(loose.encode(new Date()))).toBe(true);
  expect(refused(loose.encode(new Set([1])))).toBe(true);
  expect(refused(loose.encode(new Map([["constructor", 1]])))).toBe(true);
  expect(refused(loose.encode(new Map([["__proto__", { admin: true }]])))).toBe(true);
});

test("errors survive the wire with code, message and data", () => {
  const error = new TydfsError("busy", "All ports are busy", { data: { retryAfterMs: 200 } });
  const back = decodeError(encodeError(error));
  expect(back).toEqual(error);
  expect(decodeError({ ok: false, code: "from-the-future", message: "?" }).code).toBe("internal");
  expect(encodeError(new RangeError("odd")).code).toBe("internal");
});

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

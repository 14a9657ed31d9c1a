/** Contract: what cbor-x does with the options that wire/codec gives it. */
import { describe, expect, test } from "bun:test";
import { Encoder } from "cbor-x";

const cbor = new Encoder({
  useRecords: false,
  mapsAsObjects: true,
  tagUint8Array: false,
  variableMapSize: true,
});
const roundTrip = (value: unknown): unknown => cbor.decode(cbor.encode(value));
const hexOf = (value: unknown): string => cbor.encode(value).toString("hex");

describe("cbor-x", () => {
  test("writes an object as a plain map, and a map of text reads as an object", () => {
    expect(hexOf({ a: 1, b: "x" })).toBe("a261610161626178");
    expect(cbor.decode(Buffer.from("a1616101", "hex"))).toEqual({ a: 1 });
  });

  test("writes the same shape twice as the same bytes: no records", () => {
    expect(hexOf([{ a: 1 }, { a: 1 }])).toBe("82a1616101a1616101");
  });

  test("keeps bytes as an untagged byte string", () => {
    expect(hexOf(Uint8Array.of(1, 2, 3))).toBe("43010203");
    const back = roundTrip({ bytes: Uint8Array.of(1, 2, 3) }) as { bytes: Uint8Array };
    expect(back.bytes).toBeInstanceOf(Uint8Array);
    expect([...back.bytes]).toEqual([1, 2, 3]);
  });

  test("keeps every safe integer as the same number", () => {
    const numbers = [0, -1, 255, 2 ** 31, 2 ** 32, 2 ** 32 + 1, -(2 ** 40), 2 ** 53 - 1];
    for (const number of [...numbers, -Number.MAX_SAFE_INTEGER]) {
      expect(roundTrip(number)).toBe(number);
    }
  });

  test("writes integers beyond 32 bits as doubles, and reads 64-bit ones as bigints", () => {
    expect(hexOf(2 ** 32)).toBe("fb41f0000000000000");
    expect(cbor.decode(Buffer.from("1b0000000100000000", "hex"))).toBe(2n ** 32n);
  });

  test("keeps a bigint of 64 bits, such as a checksum, as a bigint", () => {
    expect(roundTrip(0xf000_0000_0000_0001n)).toBe(0xf000_0000_0000_0001n);
  });

  test("keeps a key whose value is undefined", () => {
    const back = roundTrip({ a: undefined, b: null }) as Record<string, unknown>;
    expect(Object.keys(back)).toEqual(["a", "b"]);
    expect(back).toEqual({ a: undefined, b: null });
  });

  test("refuses a message that is cut off, and bytes after its end", () => {
    const bytes = cbor.encode({ a: [1, 2, 3] });
    expect(() => cbor.decode(bytes.subarray(0, bytes.length - 1))).toThrow();
    expect(() => cbor.decode(Buffer.concat([bytes, bytes]))).toThrow();
  });
});

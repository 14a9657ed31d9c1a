/** Contract: Bun's XXH3 is the published one, whatever the length. */
import { expect, test } from "bun:test";

// Made with the reference implementation (python3-xxhash) over byte i = (31 i + 7) mod 256
const vectors: readonly [length: number, sum: bigint][] = [
  [0, 0x2d06800538d394c2n],
  [1, 0x4c5cca45d0f4811fn],
  [17, 0x208bde5ee2bed407n],
  [200, 0x12fdb864685f344dn],
  [300, 0xbaad8e6a5f186ce6n],
  [2 ** 20, 0x269eb834f6c110a9n],
];

test("Bun.hash.xxHash3 is XXH3-64 with seed 0", () => {
  for (const [length, sum] of vectors) {
    const bytes = Uint8Array.from({ length }, (_, index) => (index * 31 + 7) & 255);
    expect(Bun.hash.xxHash3(bytes)).toBe(sum);
  }
  expect(Bun.hash.xxHash3("tydfs")).toBe(0xbf4fc193e313cd5en);
});

test("Bun.hash.xxHash3 sums the view, not the buffer beneath it", () => {
  const whole = Uint8Array.from({ length: 300 }, (_, index) => (index * 31 + 7) & 255);
  expect(Bun.hash.xxHash3(whole.subarray(0, 200))).toBe(0x12fdb864685f344dn);
});

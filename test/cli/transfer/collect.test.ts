/** When a transferring process has its garbage collected. */
import { expect, test } from "bun:test";
import { MIB } from "../../../src/base/bytes.ts";
import { collecting } from "../../../src/cli/transfer/collect.ts";

/** A process of `sizeMib`, of which a collection leaves `leftMib`. */
function fakeMemory() {
  const memory = { sizeMib: 0, leftMib: 0, collections: 0 };
  return Object.assign(memory, {
    sizeBytes: () => memory.sizeMib * MIB,
    collect: () => {
      memory.collections++;
      memory.sizeMib = memory.leftMib;
    },
  });
}

test("collecting passes all progress on, and leaves a small process alone", () => {
  const memory = fakeMemory();
  memory.sizeMib = 79;
  const heard: number[] = [];
  const listener = collecting(({ doneBytes }) => heard.push(doneBytes), 16 * MIB, memory);
  for (const mib of [1, 20, 60]) listener({ doneBytes: mib * MIB, totalBytes: undefined });
  expect(heard).toEqual([1, 20, 60].map((mib) => mib * MIB));
  expect(memory.collections).toBe(0);
});

test("collecting collects after so many bytes where the process has grown since, or is large", () => {
  const memory = fakeMemory();
  const listener = collecting(() => {}, 16 * MIB, memory);
  let doneMib = 0;
  const move = (mib: number, sizeMib: number, leftMib: number) => {
    Object.assign(memory, { sizeMib, leftMib, collections: 0 });
    listener({ doneBytes: (doneMib += mib) * MIB, totalBytes: undefined });
    return memory.collections;
  };
  expect(move(15, 90, 85)).toBe(0);
  expect(move(1, 90, 85)).toBe(1);
  expect(move(16, 92, 85)).toBe(0);
  expect(move(16, 93, 98)).toBe(1);
  // However much lives on: from here on each look collects.
  expect(move(16, 101, 101)).toBe(1);
  expect(move(16, 101, 101)).toBe(1);
});

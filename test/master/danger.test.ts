/** Danger of chunks and files, and the cursors of audits. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import {
  cutChunks,
  decideDanger,
  FileScale,
  FIRST_CHUNK,
  formatPlace,
  parsePlace,
} from "../../src/master/danger.ts";

test.each([
  [0, 3, "lost"],
  [1, 3, "endangered"],
  [2, 3, "short"],
  [3, 3, undefined],
  [1, 1, undefined],
  [0, 1, "lost"],
])("decideDanger of %d copies of %d is %s", (live, goal, danger) => {
  expect(decideDanger(live, goal)).toBe(danger as never);
});

test("FileScale tells the worst, and how many chunks are so", () => {
  const scale = new FileScale();
  for (const live of [3, 2, 1, 1, 4]) scale.add(live, 3);
  expect(scale.result()).toEqual({
    ...{ danger: "endangered", chunks: 2, chunksTotal: 5, copies: 1, goal: 3 },
  });
  const sound = new FileScale();
  sound.add(2, 2);
  expect(sound.result()).toBeUndefined();
});

test("formatPlace and parsePlace are each other's reverse", () => {
  fc.assert(
    fc.property(
      fc.nat({ max: 2 ** 30 }),
      fc.nat({ max: FIRST_CHUNK - 1 }),
      (no, skip) => {
        const place = { no: no + 1, skip };
        expect(parsePlace(formatPlace(place))).toEqual(place);
        expect(Number.isSafeInteger(formatPlace(place))).toBe(true);
      },
    ),
  );
  expect(parsePlace(0)).toEqual({ no: 1, skip: 0 });
  expect(parsePlace(formatPlace({ no: 7, skip: FIRST_CHUNK }))).toEqual({ no: 8, skip: 0 });
});

test("cutChunks takes at least one, and no more than leave the findings few", () => {
  const chunks = [3, 3, 3].map((count) => ({ keepers: Array(count).fill(0) }));
  expect(cutChunks(chunks, 8)).toHaveLength(2);
  expect(cutChunks(chunks, 1)).toHaveLength(1);
  expect(cutChunks(chunks, 100)).toHaveLength(3);
});

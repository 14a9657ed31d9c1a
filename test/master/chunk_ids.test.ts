import { expect, test } from "bun:test";
import { seededRandom } from "../../src/base/random.ts";
import { ChunkIds } from "../../src/master/chunk_ids.ts";
import { isId } from "../../src/wire/ids.ts";

test("ChunkIds gives ids that are all different, and neighbours one directory", () => {
  const ids = new ChunkIds(seededRandom(1));
  const given = Array.from({ length: 20 * 512 }, () => ids.next());
  expect(given.every(isId)).toBeTrue();
  expect(new Set(given).size).toBe(given.length);
  const shelves = given.map((id) => id.slice(0, 4));
  expect(new Set(shelves.slice(0, 512)).size).toBe(1);
  expect(new Set(shelves).size).toBeGreaterThan(15);
});

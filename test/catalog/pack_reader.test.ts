/** PackReader: many small files in one read, and packs as compaction looks for them. */
import { expect, test } from "bun:test";
import { idOf, sumsFor, World } from "./world.ts";

test("locateMany tells files of one extent, and each chunk once", () => {
  using world = new World();
  world.joinKeepers(3);
  for (
    const line of [
      ...["put /d/x x", "begin u /film", "place u 0 0 y 10 k0,k1", "place u 1 10 z 10 k0,k1"],
      ...["commit u y=10,z=10", "begin e /empty", "commit e", "packed p 100 k2,k0"],
      "fill p /d/e/a=10,/d/b=20,/none=0",
    ]
  ) expect(world.do(line)).not.toMatch(/^[a-z-]+: /);
  const paths = ["/d/e/a", "/d/x", "/d", "/film", "/d/b", "/no/file", "/d/x/y", "/", "/none"];
  const { files, chunks } = world.reader.locateMany([...paths, "/empty"]);
  const places = files.map((file) =>
    file.kind === "file" ? `${file.chunk ?? "empty"}@${file.chunkOffset}` : file.kind
  );
  expect(places.join(" "))
    .toBe("0@0 1@0 other other 0@10 other other other empty@30 empty@0");
  expect(files[4]).toMatchObject({ sizeBytes: 20, version: 12, mtimeMs: 7, mode: 0o644 });
  expect(chunks).toEqual([
    { no: 4, id: idOf("p"), sizeBytes: 100, sums: sumsFor("p", 100), keepers: [0, 2] },
    { no: 1, id: idOf("x"), sizeBytes: 10, sums: sumsFor("x", 10), keepers: [0, 1] },
  ]);
});

test("sparsePacks tells those of which more than half is dead, page by page", () => {
  using world = new World();
  world.joinKeepers(2);
  for (const [index, pack] of ["p", "q", "r", "s"].entries()) {
    world.do(`packed ${pack} 100 k0,k1`);
    if (pack !== "s") world.do(`fill ${pack} /${pack}=40,/${pack}2=${index + 43} 2 zone=a`);
  }
  // Small files: most of the pack is its manifest, and none of it is dead.
  world.do("packed t 100 k0,k1");
  world.do("fill t /t=1,/t2=1");
  // What was refused is dead from the first.
  world.do("mkdir /u2");
  world.do("packed u 100 k0,k1");
  world.do("fill u /u=10,/u2=12");
  const sparse = (after: number, limit: number) =>
    world.reader.sparsePacks(after, limit).map(({ id }) => Buffer.from(id, "hex")[0]);
  expect(sparse(0, 9)).toEqual([117]);
  world.do("put /u x");
  world.do("purge 9");
  for (const path of ["/p2", "/q2", "/r2"]) world.do(`rm ${path}`);
  // The trash counts.
  expect(sparse(0, 9)).toEqual([]);
  world.do("purge 9");
  expect(sparse(0, 2)).toEqual([112, 113]);
  expect(sparse(2, 2)).toEqual([114]);
  const [first] = world.reader.sparsePacks(0, 1);
  expect(first).toEqual({
    ...{ no: 1, id: idOf("p"), sizeBytes: 100, sums: sumsFor("p", 100), filled: 83 },
    ...{ live: 40, refs: 1, goal: 2, policy: 1, keepers: [0, 1] },
  });
  const place = { chunkOffset: 0, length: 40 };
  const wish = { goal: 2, policy: 1, trashed: 0 };
  expect(world.reader.packPlaces(1, 9)).toEqual([place]);
  expect(world.reader.packedWishes(1, 9)).toEqual([{ ...place, ...wish, inode: 2 }]);
  // Copies take no space.
  world.do("cp /p /copy");
  expect(sparse(0, 9)).toEqual([112, 113, 114]);
  expect(world.reader.packPlaces(1, 9)).toEqual([place]);
  expect(world.reader.packedWishes(1, 9)).toHaveLength(2);
  expect(world.reader.packedWishes(1, 1)).toHaveLength(1);
  // A parted pack is another list's.
  world.do("apply /copy 3");
  expect(sparse(0, 9)).toEqual([113, 114]);
  expect(world.reader.partedPacks(0, 9)).toMatchObject([{ no: 1, goal: 3, policy: 1, refs: 2 }]);
  expect(world.reader.partedPacks(1, 9)).toEqual([]);
  world.do("rm /r");
  world.do("purge 9");
  expect(sparse(0, 9)).toEqual([113]);
});

/** Keepers that are emptied and forgotten, said as sessions: each line an operation and its verdict. */
import { expect, test } from "bun:test";
import { session } from "./session.ts";
import { idOf, World } from "./world.ts";

session("drain marks a keeper, and is undone", [
  ["drain k1", "ok"],
  ["drain k1", "ok"],
  ["drain k1 stop", "ok"],
  [
    "drain k9",
    'not-found: Cannot drain keeper "6b390000000000000000000000000000": the cluster has none of this id',
  ],
]);

session("remove takes no copy that is needed", [
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["stored x 10 k2", "ok"],
  [
    "remove k1 10 k0,k2",
    'conflict: Cannot remove keeper "k1": 1 of its chunks would be left with too few copies; drain it first: tydfs drain k1',
  ],
  ["join k3 1", "number 3"],
  ["stored x 10 k3", "ok"],
  // k3 has a copy, but is away.
  [
    "remove k1 10 k0,k2",
    'conflict: Cannot remove keeper "k1": 1 of its chunks would be left with too few copies; drain it first: tydfs drain k1',
  ],
  ["remove k1 10 k0,k2,k3", "0 short, 0 lost"],
  ["chunk x", "1 refs, 3/3 copies on 0,2,3"],
  ["gone k2 x", "ok"],
  ["gone k3 x", "ok"],
  ["remove -f k0 10 k2,k3", "0 short, 1 lost"],
  ["chunk x", "1 refs, 0/3 copies on "],
]);

session("remove goes part by part, and needs no copies of what nothing refers to", [
  ["stored x 10 k0", "ok"],
  ["stored y 10 k0", "ok"],
  ["stored z 10 k0", "ok"],
  ["remove k0 2 k1", "0 short, 0 lost, more"],
  ["remove k0 2 k1", "0 short, 0 lost"],
  [
    "remove k0 2 k1",
    'not-found: Cannot remove keeper "6b300000000000000000000000000000": the cluster has none of this id',
  ],
]);

session("a removed keeper joins again when it is started anew, and its name is free", [
  ["drain k1", "ok"],
  ["remove k1 10 k0", "0 short, 0 lost"],
  [
    "join k1 1",
    'denied: Cannot join keeper "k1": it was removed from the cluster; start it again to have it join anew',
  ],
  [
    "inventory k1 * x=10 last",
    'not-found: Cannot take the inventory of keeper "6b310000000000000000000000000000": it has not joined',
  ],
  ["stored x 10 k0,k1", "ok"],
  ["chunk x", "0 refs, 1/3 copies on 0 orphan since 1007"],
  ["join k9 1 k1", "number 3"],
  [
    "join k1 2",
    'conflict: Cannot join keeper "k1": keeper "6b390000000000000000000000000000" has this name; choose another with --name',
  ],
  ["join k1 2 old-k1", "number 1"],
  ["inventory k1 * x=10 last", "0 unknown, 0 missing"],
  ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1007"],
]);

test("the reader tells members, removed ones and what each holds", () => {
  using world = new World();
  world.joinKeepers(3);
  const before = world.reader.keepersGeneration();
  world.do("put /f x");
  world.do("stored y 7 k1");
  world.do("drain k0");
  expect(world.reader.keepers().map(({ draining }) => draining)).toEqual([true, false, false]);
  expect(world.reader.heldByKeepers()).toEqual([
    { number: 0, replicas: 1, bytes: 10 },
    { number: 1, replicas: 2, bytes: 17 },
    { number: 2, replicas: 0, bytes: 0 },
  ]);
  world.do("remove k2 10 k0,k1");
  expect(world.reader.keepersGeneration()).toBe(before + 2);
  expect(world.reader.keepers()).toHaveLength(2);
  expect(world.reader.removedKeepers()).toEqual([{ number: 2, id: idOf("k2"), epoch: 1 }]);
  expect(world.do("balance on")).toBe("wanted");
  expect(world.do("balance off")).toBe("not wanted");
  expect(world.check()).toEqual([]);
});

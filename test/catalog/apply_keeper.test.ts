/** How keepers and masters register, said as sessions: each line an operation and its verdict. */
import { expect, test } from "bun:test";
import { session } from "./session.ts";
import { World } from "./world.ts";

session("join numbers keepers, and tells two with one id apart", [
  ["join k1 1", "number 1"],
  ["join k1 2", "number 1"],
  [
    "join k1 1",
    'stale-epoch: Cannot join keeper "k1": epoch 1 is older than 2, which has joined before',
  ],
  [
    "join k1 2 k1 other",
    'conflict: Cannot join keeper "k1": a keeper with this id runs already on "localhost"',
  ],
  [
    "join k9 1 k1",
    'conflict: Cannot join keeper "k1": keeper "6b310000000000000000000000000000" has this name; choose another with --name',
  ],
  [
    "join k1 3 k0",
    'conflict: Cannot join keeper "k0": keeper "6b300000000000000000000000000000" has this name; choose another with --name',
  ],
  ["join k1 3 kk", "number 1"],
  ["join k9 1 k1", "number 3"],
]);

test("join refuses the 1025th keeper", () => {
  using world = new World();
  world.database.run("BEGIN");
  world.database.run(`INSERT INTO keeper WITH RECURSIVE n(i) AS (
    SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1022)
    SELECT i, 'id' || i, 'name' || i, 'h', '[]', 1, '{}', 1, 'x', 0, 0, NULL, 0, 0 FROM n`);
  world.database.run("COMMIT");
  expect(world.do("join k0 1")).toBe("number 1023");
  expect(world.do("join k1 1")).toBe(
    'limit: Cannot join keeper "k1": the cluster has had 1024 keepers, which is the most',
  );
});

test("master.start counts epochs", () => {
  using world = new World();
  expect(world.apply({ kind: "master.start", atMs: 1 })).toEqual({ epoch: 1 });
  expect(world.apply({ kind: "master.start", atMs: 2 })).toEqual({ epoch: 2 });
  expect(world.reader.epoch()).toBe(2);
});

/** The check sees each kind of damage, at once and step by step. */
import { expect, test } from "bun:test";
import { checkCatalog, checkStep, planCheck } from "../../src/catalog/check.ts";
import { World } from "./world.ts";

const DAMAGES: [string, RegExp][] = [
  ["DELETE FROM dentry WHERE key = 'f'", /^an inode has one name or lies in the trash: not so/],
  ["INSERT INTO dentry VALUES (1, 'second', 3)", /^an inode has one name or lies in the trash/],
  ["UPDATE inode SET size = 99 WHERE kind = 'file'", /^a file's extents follow each other/],
  ["UPDATE extent SET offset = 3", /^a file's extents follow each other/],
  ["UPDATE chunk SET refs = 7", /^refs counts the extents and uploads of a chunk: not so/],
  ["UPDATE chunk SET live = 7", /^live counts the bytes of a pack/],
  ["UPDATE chunk SET filled = 1", /^only packs are filled: not so/],
  ["UPDATE chunk SET packed = 1", /^live counts the bytes of a pack/],
  ["UPDATE extent SET chunk_offset = 1", /^only of packs a part is a file: not so/],
  ["UPDATE chunk SET copies = 7", /^copies counts the replicas of a chunk: not so/],
  ["DELETE FROM replica WHERE keeper = 0", /^copies counts the replicas of a chunk: not so/],
  ["UPDATE inode SET goal = 9 WHERE kind = 'file'", /^a pack has as many copies as any of its/],
  ["UPDATE inode SET policy = 1 WHERE kind = 'file'", /^a pack requires what any of its files/],
  ["UPDATE inode SET goal = 1 WHERE kind = 'file'", /^a pack of files that want different things/],
  ["UPDATE inode SET policy = 7 WHERE kind = 'file'", /^a file's policy is on record: not so/],
  // A directory that lies in itself.
  [
    "UPDATE dentry SET parent = (SELECT inode FROM dentry WHERE key = 'd/') WHERE key = 'd/'",
    /^every name is reachable from the root: not so/,
  ],
  ["UPDATE meta SET value = 9 WHERE key = 'files'", /^the counter "files" equals what it counts/],
];

function damaged(sql: string): { whole: string[]; steps: string[] } {
  using world = new World();
  world.joinKeepers(3);
  for (const line of ["put /d/f x", "put /d/f y", "put /g z kind=v"]) world.do(line);
  for (const line of ["packed p 50 k0,k1", "fill p /p=10,/q=10"]) world.do(line);
  expect(world.check()).toEqual([]);
  world.database.run(sql);
  const steps = planCheck(world.database).flatMap((step) => checkStep(world.database, step));
  return { whole: checkCatalog(world.database), steps };
}

test.each(DAMAGES)("checkCatalog and checkStep see %s", (sql, words) => {
  const { whole, steps } = damaged(sql);
  expect(whole.some((line) => words.test(line))).toBe(true);
  expect(steps).toEqual(whole);
});

test("planCheck looks at tables in parts when they are large", () => {
  using world = new World();
  world.joinKeepers(1);
  const before = planCheck(world.database).length;
  world.database.run("UPDATE sqlite_sequence SET seq = 1000000 WHERE name = 'inode'");
  world.do("mkdir /d");
  expect(planCheck(world.database).length).toBe(before + 3 * 5);
  const steps = planCheck(world.database).flatMap((step) => checkStep(world.database, step));
  expect(steps).toEqual([]);
});

/** What the log tells of changes of names. */
import { expect, test } from "bun:test";
import { EVENTS_MAX } from "../../src/catalog/event_log.ts";
import { World } from "./world.ts";

test("each change of a name is logged with what it is about", () => {
  using world = new World();
  world.joinKeepers(3);
  expect(world.reader.events(0, 9)).toEqual({ events: [], forgotten: 0, latest: 0 });
  const lines = [
    ...["put /d/f x", "put /d/f x", "put /d/f y", "cp /d/f /g", "mv /g /h", "mv /h /h"],
    ...["mkdir /e", "set /h mode=600", "mv /d /e/d", "rm -r /e", "rm /none", "rm /h"],
    ...["begin u /big", "place u 0 0 z 7 k0,k1", "commit u z=7", "commit u z=7"],
  ];
  for (const line of lines) world.do(line);
  const file = { entry: "file", owner: "ann", sizeBytes: 10 } as const;
  const directory = { entry: "directory", owner: "ann" } as const;
  expect(world.reader.events(0, 99).events).toEqual([
    { seq: 1, kind: "put", atMs: 1003, path: "/d/f", version: 4, ...file },
    { seq: 2, kind: "replaced", atMs: 1005, path: "/d/f", version: 6, ...file },
    { seq: 3, kind: "put", atMs: 1006, path: "/g", version: 7, ...file, owner: "bob" },
    {
      seq: 4,
      kind: "renamed",
      atMs: 1007,
      path: "/g",
      to: "/h",
      version: 7,
      ...file,
      owner: "bob",
    },
    { seq: 5, kind: "renamed", atMs: 1011, path: "/d", to: "/e/d", version: 4, ...directory },
    { seq: 6, kind: "removed", atMs: 1012, path: "/e", version: 10, ...directory },
    { seq: 7, kind: "removed", atMs: 1014, path: "/h", version: 7, ...file, owner: "bob" },
    { seq: 8, kind: "put", atMs: 1017, path: "/big", version: 17, ...file, sizeBytes: 7 },
  ]);
  expect(world.check()).toEqual([]);
});

test("the log comes by pages, and forgets the oldest", () => {
  using world = new World();
  world.joinKeepers(2);
  for (const path of ["/a", "/b", "/c"]) world.do(`put ${path}`);
  const page = (after: number, limit: number) => {
    const { events, ...bounds } = world.reader.events(after, limit);
    return [events.map(({ path }) => path).join(" "), bounds];
  };
  expect(page(0, 2)).toEqual(["/a /b", { forgotten: 0, latest: 3 }]);
  expect(page(2, 2)).toEqual(["/c", { forgotten: 0, latest: 3 }]);
  expect(page(9, 2)).toEqual(["", { forgotten: 0, latest: 3 }]);
  // As if many came in between.
  world.database.run("UPDATE event SET no = ? WHERE no = 3", [EVENTS_MAX + 1]);
  world.do("rm /a");
  const latest = EVENTS_MAX + 2;
  expect(page(0, 1)).toEqual(["/c", { forgotten: latest - 2, latest }]);
  expect(page(0, 9)).toEqual(["/c /a", { forgotten: latest - 2, latest }]);
  expect(world.check()).toEqual([]);
});

/** Copies, facts that are set, and directories, through trackers. */
import { afterEach, expect, test } from "bun:test";
import { dirMake } from "../../src/wire/dir.ts";
import { fileCopy, fileLocate, fileRemove, fileSet, fileStat } from "../../src/wire/file.ts";
import { codeOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

test("file.copy makes a file of the same chunks that outlives the first", async () => {
  world = await World.start({ trash_ttl: "1s", grace: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/f");
  const request = { from: "/f", to: "/d/copy", replace: false, owner: "bob" };
  const { path, version } = await world.ask(fileCopy, request);
  expect(path).toBe("/d/copy");
  expect((await world.ask(fileStat, { path })).entry)
    .toMatchObject({ owner: "bob", version, size: 10, mtimeMs: 7, mode: 0o644 });
  expect(await codeOf(world.ask(fileCopy, request))).toBe("exists");
  expect((await world.ask(fileCopy, { ...request, replace: true })).version)
    .toBeGreaterThan(version);

  await world.ask(fileRemove, { path: "/f", recursive: false });
  await world.live(20_000);
  const { extents } = await world.ask(fileLocate, { path, fromSeq: 0 });
  expect(extents.map((extent) => [extent.chunk, extent.keepers.length])).toEqual([[chunk, 3]]);
  expect(world.commands("delete")).toEqual([]);
  await world.ask(fileRemove, { path, recursive: false });
  await world.live(20_000);
  expect(world.commands("delete")).toHaveLength(3);
});

test("file.set changes mode and time, and keeps the version", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/f");
  const { version } = (await world.ask(fileStat, { path: "/f" })).entry;
  await world.ask(fileSet, { path: "/f", mode: 0o600 });
  await world.ask(fileSet, { path: "/f", mtimeMs: -5 });
  expect((await world.ask(fileStat, { path: "/f" })).entry)
    .toMatchObject({ version, mode: 0o600, mtimeMs: -5 });
  expect(await codeOf(world.ask(fileSet, { path: "/f", mode: 2 ** 40 }))).toBe("invalid");
  expect(await codeOf(world.ask(fileSet, { path: "/none", mode: 0o600 }))).toBe("not-found");
});

test("dir.make records owner, mode and time", async () => {
  world = await World.start();
  const request = { path: "/d", parents: false, owner: "ann" };
  await world.ask(dirMake, { ...request, mode: 0o750, mtimeMs: 5 });
  expect((await world.ask(fileStat, { path: "/d" })).entry)
    .toMatchObject({ owner: "ann", mode: 0o750, mtimeMs: 5 });
  await world.ask(dirMake, { ...request, path: "/e" });
  expect((await world.ask(fileStat, { path: "/e" })).entry)
    .toMatchObject({ mode: 0o755, mtimeMs: world.clock.wallMs() });
  expect(await codeOf(world.ask(dirMake, { ...request, path: "/x", mode: 0o120777 })))
    .toBe("invalid");
});

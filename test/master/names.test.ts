/** Copies, facts that are set, directories, and what is told of changes, through trackers. */
import { afterEach, expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { encode } from "../../src/wire/codec.ts";
import { dirMake } from "../../src/wire/dir.ts";
import { eventList } from "../../src/wire/event.ts";
import {
  fileCopy,
  fileLocate,
  fileRemove,
  fileRename,
  fileSet,
  fileStat,
} from "../../src/wire/file.ts";
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

test("Changes of names are announced once, and logged with the same facts", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const bytes = new Uint8Array(10);
  const placement = await world.beginOnly("/d/f", bytes);
  await world.store(placement);
  await world.store(placement);
  await world.putLarge("/d/f", [new Uint8Array(2 * MIB), bytes]);
  await world.ask(fileCopy, { from: "/d/f", to: "/g", replace: false, owner: "bob" });
  await world.ask(fileRename, { from: "/g", to: "/h", replace: false });
  await world.ask(fileRemove, { path: "/d", recursive: true });

  const { events, forgotten, latest } = await world.ask(eventList, { after: 0, limit: 100 });
  expect([forgotten, latest]).toEqual([0, 5]);
  const file = { owner: "ann", sizeBytes: 10 };
  const large = { owner: "ann", sizeBytes: 2 * MIB + 10 };
  expect(events).toMatchObject([
    { kind: "put", path: "/d/f", entry: "file", ...file },
    { kind: "replaced", path: "/d/f", ...large },
    { kind: "put", path: "/g", ...large, owner: "bob" },
    { kind: "renamed", path: "/g", to: "/h", ...large, owner: "bob" },
    { kind: "removed", path: "/d", entry: "directory", owner: "ann" },
  ]);
  for (const kind of ["put", "replaced", "renamed", "removed"] as const) {
    const logged = events.filter((event) => event.kind === kind)
      .map(({ seq: _seq, entry: _entry, atMs: _atMs, ...facts }) => facts);
    expect(world.events(kind)).toMatchObject(logged);
    expect(world.events(kind)).toHaveLength(logged.length);
  }
  const { events: rest } = await world.ask(eventList, { after: 4, limit: 100 });
  expect(rest.map(({ seq }) => seq)).toEqual([5]);
});

test("A page of events with long paths is cut to what NATS carries", async () => {
  world = await World.start();
  const part = "x".repeat(250);
  const long = (n: number) => `/${n}${`/${part}`.repeat(15)}`;
  for (let n = 0; n < 200; n++) {
    const atMs = world.clock.wallMs();
    const facts = { owner: "ann", mode: 0o755, mtimeMs: 0, atMs };
    await world.writer.submit({ kind: "dir.make", path: long(n), parents: true, ...facts });
    await world.writer.submit({ kind: "file.remove", path: long(n), recursive: true, atMs });
  }
  const seen: number[] = [];
  for (let pages = 0; pages < 5; pages++) {
    const { events, latest } = await world.ask(eventList, { after: seen.at(-1) ?? 0, limit: 500 });
    expect(encode(events).length).toBeLessThan(500 * 1024);
    seen.push(...events.map(({ seq }) => seq));
    if (seen.at(-1) === latest) break;
  }
  expect(seen).toEqual(Array.from({ length: 200 }, (_, n) => n + 1));
});

test("Keepers are told of by their names", async () => {
  world = await World.start({ dead_after: "4s", suspect_after: "2s" });
  const [first] = await world.addKeepers(["a", "b"]);
  if (first === undefined) throw new Error("No keepers");
  await world.live(8_000, [first]);
  await world.live(2_000);
  const told = (kind: string) => world.events(kind).map(({ keeper }) => keeper);
  expect(told("keeper-joined")).toEqual(["a", "b"]);
  expect(told("keeper-lost")).toEqual(["a"]);
  expect(told("keeper-back")).toEqual(["a"]);
});

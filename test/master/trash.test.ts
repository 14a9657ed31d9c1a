/** The trash through trackers: pages, what is told of it, and what emptying it leaves. */
import { afterEach, expect, test } from "bun:test";
import { encode } from "../../src/wire/codec.ts";
import { eventList } from "../../src/wire/event.ts";
import { fileLocate, fileRemove, fileStat } from "../../src/wire/file.ts";
import type { TrashEntry } from "../../src/wire/trash.ts";
import { trashEmpty, trashList, trashRestore } from "../../src/wire/trash.ts";
import { codeOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

test("trash.restore brings the same chunks back, and tells of it once", async () => {
  world = await World.start({ trash_ttl: "1h", grace: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  const chunk = await world.put("/d/f");
  const { entry } = await world.ask(fileStat, { path: "/d/f" });
  await world.ask(fileRemove, { path: "/d", recursive: true });
  await world.live(20_000);
  const done = await world.ask(trashRestore, { path: "/d", replace: false });
  expect(done).toEqual({ path: "/d", files: 1, bytes: 10 });
  expect((await world.ask(fileStat, { path: "/d/f" })).entry).toEqual(entry);
  const { extents } = await world.ask(fileLocate, { path: "/d/f", fromSeq: 0 });
  expect(extents.map((extent) => extent.chunk)).toEqual([chunk]);
  expect(world.commands("delete")).toEqual([]);
  const { events } = await world.ask(eventList, { after: 0, limit: 10 });
  expect(events.map(({ kind, path }) => `${kind} ${path}`)).toEqual([
    ...["put /d/f", "removed /d", "put /d/f"],
  ]);
  expect(world.events("put")).toHaveLength(2);
  expect(await codeOf(world.ask(trashRestore, { path: "/d", replace: true }))).toBe("not-found");
});

test("trash.empty leaves what came into the trash after it began", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  for (const path of ["/e/1", "/e/2"]) await world.put(path);
  await world.ask(fileRemove, { path: "/e/1", recursive: false });
  const untilMs = world.clock.wallMs();
  await world.live(10);
  await world.ask(fileRemove, { path: "/e/2", recursive: false });
  const request = { under: "/e", untilMs };
  expect(await world.ask(trashEmpty, request)).toEqual({
    ...{ files: 1, bytes: 10, untilMs, more: false },
  });
  expect(await world.ask(trashEmpty, request)).toMatchObject({ files: 0, bytes: 0 });
  const { entries } = await world.ask(trashList, { under: "/", limit: 10 });
  expect(entries.map(({ path }) => path)).toEqual(["/e/2"]);
});

test("a page of the trash with long paths is cut to what NATS carries", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const long = (n: number) => `/${n}${`/${"x".repeat(250)}`.repeat(15)}`;
  for (let n = 0; n < 150; n++) {
    await world.put(long(n));
    const atMs = world.clock.wallMs();
    await world.writer.submit({ kind: "file.remove", path: long(n), recursive: false, atMs });
  }
  const seen: TrashEntry[] = [];
  for (let more = true; more;) {
    const after = seen.at(-1);
    const cursor = after &&
      { path: after.path, removedMs: after.removedMs, version: after.version };
    const request = { under: "/", limit: 500, ...(cursor && { after: cursor }) };
    const page = await world.ask(trashList, request);
    expect(encode(page).length).toBeLessThan(500 * 1024);
    seen.push(...page.entries);
    more = page.more;
  }
  expect(new Set(seen.map(({ path }) => path)).size).toBe(150);
  expect(seen).toHaveLength(150);
});

/** The attic keeps what is put aside until it is discarded, and knows since when. */
import { expect, test } from "bun:test";
import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { parseName } from "../../src/chunks/attic.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import { StoreShare } from "../../src/chunks/store_share.ts";
import { landBytes, makeChunk, openWorld, random } from "./fixture.ts";

test("Attic lists what quarantine has taken, sidecars with it, and discards both", async () => {
  using world = await openWorld();
  const { store, disk, directory } = world;
  const chunks = [makeChunk(10), makeChunk(20)];
  for (const { facts, bytes } of chunks) await landBytes(store, disk, facts, bytes);
  const beforeMs = systemClock.wallMs();
  for (const { facts } of chunks) expect(await store.quarantine(facts.chunk)).toBe(true);
  // A copy that came again, and was bad again.
  const [first] = chunks;
  if (first === undefined) throw new Error("no chunk");
  await landBytes(store, disk, first.facts, first.bytes);
  await store.quarantine(first.facts.chunk);
  expect([store.aside, world.sibling.aside, store.bad, store.chunks]).toEqual([3, 3, 3, 0]);
  writeFileSync(join(directory, "quarantine", "notes.txt"), "what people leave here");
  const files = await store.attic.list();
  expect(files.map(({ chunk }) => chunk)).toEqual(
    [first.facts.chunk, ...chunks.map(({ facts }) => facts.chunk)].sort(),
  );
  for (const { sinceMs = 0 } of files) {
    expect(sinceMs).toBeGreaterThanOrEqual(beforeMs);
    expect(sinceMs).toBeLessThanOrEqual(systemClock.wallMs());
  }
  for (const file of files.filter(({ chunk }) => chunk === first.facts.chunk)) {
    await store.attic.discard(file);
    await store.attic.discard(file);
  }
  expect(store.aside).toBe(1);
  expect(readdirSync(join(directory, "quarantine"))).toHaveLength(3);
});

test("Attic is counted at the start, with what has lost its sidecar", async () => {
  using world = await openWorld();
  const { store, disk, share, directory } = world;
  const { facts, bytes } = makeChunk(10);
  await landBytes(store, disk, facts, bytes);
  rmSync(join(directory, sidecarPath(facts.chunk)));
  // As versions before this one named it.
  const old = join(directory, "quarantine", `${facts.chunk}.0a0b0c0d`);
  writeFileSync(old, "x");
  const again = new StoreShare();
  const options = { disk, share: again, reserveBytes: 0, clock: systemClock, random };
  const restarted = new ChunkStore(options);
  await restarted.prepare();
  expect([restarted.aside, restarted.chunks, restarted.bad, share.aside]).toEqual([2, 0, 0, 0]);
  const files = await restarted.attic.list();
  expect(files.filter(({ sinceMs }) => sinceMs === undefined)).toHaveLength(1);
});

test("restore brings back what is whole, sidecar and all, and nothing over another copy", async () => {
  using world = await openWorld();
  const { store, disk, directory } = world;
  const { facts, bytes } = makeChunk(10);
  const { chunk } = facts;
  await landBytes(store, disk, facts, bytes);
  await store.quarantine(chunk);
  const [file] = await store.attic.list();
  if (file === undefined) throw new Error("nothing lies aside");
  expect(await store.restore(file)).toMatchObject({ chunk, sizeBytes: 10 });
  expect([store.aside, store.chunks, await store.verify(chunk)]).toEqual([0, 1, "good"]);
  expect(readdirSync(join(directory, "quarantine"))).toEqual([]);
  await store.quarantine(chunk);
  await landBytes(store, disk, facts, bytes);
  const [again] = await store.attic.list();
  if (again === undefined) throw new Error("nothing lies aside");
  expect(await store.restore(again)).toBeUndefined();
  expect([store.aside, store.chunks]).toEqual([1, 1]);
  // Without its sidecar nobody can tell that it is whole.
  await store.remove(chunk);
  rmSync(join(directory, "quarantine", `${again.name}.json`));
  expect(await store.restore(again)).toBeUndefined();
  expect([store.aside, store.chunks]).toEqual([1, 0]);
});

test("parseName knows its own names, and those of older versions", () => {
  const id = "ab".repeat(16);
  expect(parseName(`${id}.1700000000000.0a0b0c0d`))
    .toEqual({ name: `${id}.1700000000000.0a0b0c0d`, chunk: id, sinceMs: 1_700_000_000_000 });
  expect(parseName(`${id}.0a0b0c0d`)?.sinceMs).toBeUndefined();
  for (const name of [id, `${id}.json`, `${id}.17.0a0b0c0d.json`, "x", `${id}.0a0b0c0`, ""]) {
    expect(parseName(name)).toBeUndefined();
  }
});

test("verify reads at the pace that it is given, and rests nowhere else", async () => {
  using world = await openWorld();
  const { store, disk, directory } = world;
  const { facts, bytes } = makeChunk(3 * 2 ** 20 + 5);
  await landBytes(store, disk, facts, bytes);
  const paced: number[] = [];
  const pace = (count: number) => Promise.resolve(void paced.push(count));
  expect(await store.verify(facts.chunk, pace)).toBe("good");
  expect(paced).toEqual([2 ** 20, 2 ** 20, 2 ** 20, 5]);
  renameSync(join(directory, chunkPath(facts.chunk)), join(directory, "away"));
  expect(await store.verify(facts.chunk, pace)).toBe("missing");
  const ids: string[] = [];
  for await (const id of store.ids("")) ids.push(id);
  expect(ids).toEqual([]);
});

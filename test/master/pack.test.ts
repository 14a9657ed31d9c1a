/** Packs through trackers and reports: placed, stored, committed, located; refused file by file. */
import { afterEach, expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { locateMany } from "../../src/master/rpc/locate_many.ts";
import type { Desk } from "../../src/master/rpc/desk.ts";
import { Roster } from "../../src/master/roster.ts";
import { encode, MESSAGE_BYTES_MAX } from "../../src/wire/codec.ts";
import { dirMake } from "../../src/wire/dir.ts";
import { fileLocate } from "../../src/wire/file.ts";
import { fileLocateMany, LOCATE_MANY_MAX } from "../../src/wire/locate_many.ts";
import { packBegin, packCommit } from "../../src/wire/pack.ts";
import { ruleAdd, ruleApply, ruleRemove } from "../../src/wire/rule.ts";
import { beginOf, bundleOf, FakeStore, someFiles } from "./fake_store.ts";
import { codeOf, TICKET_KEY, World } from "./world.ts";

let world: World;
let store: FakeStore;
afterEach(() => world.stop());

async function start(keepers = ["a", "b", "c", "d"], zones: Record<string, string> = {}) {
  world = await World.start({ dead_after: "4s", suspect_after: "2s" });
  store = new FakeStore(world);
  await store.addKeepers(keepers, zones);
}

const commit = (chunk: string, files: ReturnType<typeof bundleOf>["files"], exclusive = false) =>
  world.ask(packCommit, { chunk, files, exclusive });

test("A pack is nobody's until its commit, which makes all files at once", async () => {
  await start();
  const bundle = bundleOf([
    ...someFiles("/d", 3, 1000),
    { path: "/d/empty", bytes: new Uint8Array(0) },
  ]);
  const chunk = await store.store(bundle);
  expect(world.reader.chunk(chunk)).toMatchObject({ refs: 0, stray: 0, copies: 3, goal: 3 });
  expect(world.reader.entry("/d/0")).toBeUndefined();
  expect(store.originOf(chunk)).toMatchObject({
    ...{ path: "/d/0", seq: 0, offset: 0, packed: true, placedMs: world.clock.wallMs() },
  });
  expect(world.inUse()).toBe(0);

  const { outcomes } = await commit(chunk, bundle.files);
  expect(outcomes).toHaveLength(4);
  for (const [index, outcome] of outcomes.entries()) {
    const { path, sizeBytes, checksum } = bundle.files[index] ?? {};
    const file = { path, sizeBytes, checksum, copies: 3, goal: 3 };
    expect(outcome).toMatchObject({ ok: true, file });
  }
  expect(world.events("put").map(({ path }) => path)).toEqual(
    bundle.files.map(({ path }) => path),
  );
  const { extents } = await world.ask(fileLocate, { path: "/d/2", fromSeq: 0 });
  expect(extents).toMatchObject([{ chunk, length: 1000, chunkOffset: 2000 }]);
});

test("A repeated commit answers the same and tells of nothing", async () => {
  await start();
  const bundle = bundleOf(someFiles("/d", 5, 10));
  const chunk = await store.store(bundle);
  const first = await commit(chunk, bundle.files);
  expect(await commit(chunk, bundle.files)).toEqual(first);
  expect(world.events("put")).toHaveLength(5);
  expect(world.reader.counts()).toMatchObject({ files: 5, chunks: 1 });
});

test("A file that is refused does not stop the others", async () => {
  await start();
  await world.put("/d/1");
  await world.ask(dirMake, { path: "/d/2", parents: true, owner: "ann", mode: 0o755, mtimeMs: 1 });
  const bundle = bundleOf(someFiles("/d", 4, 10));
  const { outcomes } = await commit(await store.store(bundle), bundle.files, true);
  expect(outcomes.map((outcome) => outcome.ok ? "ok" : outcome.code)).toEqual([
    ...["ok", "exists", "is-directory", "ok"],
  ]);
});

test("Paths under different rules are told apart, and nothing is placed", async () => {
  await start(["a", "b", "c", "d"], { a: "x", b: "x", c: "y", d: "y" });
  const rule = { require: { zone: "x" }, prefer: {} };
  await world.ask(ruleAdd, { pattern: "/x/**", ...rule, copies: 2 });
  await world.ask(ruleAdd, { pattern: "/two/**", require: {}, prefer: {}, copies: 2 });
  // Another rule that wants the same.
  await world.ask(ruleAdd, { pattern: "/alike/**", ...rule, copies: 2 });
  const paths = ["/x/0", "/0", "/two/0", "/x/1", "/1", "/alike/0"];
  const contents = paths.map((path) => ({ path, bytes: new Uint8Array(10) }));
  const reply = await world.ask(packBegin, beginOf(bundleOf(contents)));
  expect(reply).toEqual({ groups: [[0, 3, 5], [1, 4], [2]] });
  expect(world.inUse()).toBe(0);

  const bundle = bundleOf(someFiles("/x", 3, 10));
  const chunk = await store.store(bundle);
  expect(world.holders(chunk)).toEqual(["a", "b"]);
  await commit(chunk, bundle.files);
  const { goal, policy } = world.reader.chunk(chunk) ?? {};
  expect(goal).toBe(2);
  expect(world.reader.policy(policy ?? 0)).toEqual(rule);
});

test("A file whose rule has changed since is refused alone", async () => {
  await start();
  const bundle = bundleOf([...someFiles("/a", 3, 10), ...someFiles("/b", 1, 10)]);
  const chunk = await store.store(bundle);
  await world.ask(ruleAdd, { pattern: "/b/**", require: {}, prefer: {}, copies: 1 });
  const { outcomes } = await commit(chunk, bundle.files);
  expect(outcomes.map((outcome) => outcome.ok ? "ok" : outcome.code)).toEqual([
    ...["ok", "ok", "ok", "conflict"],
  ]);
  expect(world.reader.entry("/b/0")).toBeUndefined();
});

test("rule.apply places a pack as the rules want its files, and ends the same each time", async () => {
  await start(["a", "b", "c", "d"], { a: "x", b: "x", c: "y", d: "y" });
  const bundle = bundleOf([...someFiles("/a", 3, 10), ...someFiles("/b", 3, 10)]);
  const chunk = await store.store(bundle);
  await commit(chunk, bundle.files);
  const rule = { require: { zone: "x" }, prefer: {} };
  const all = await world.ask(ruleAdd, { pattern: "/**", ...rule, copies: 2 });
  const policy = () => world.reader.policy(world.reader.chunk(chunk)?.policy ?? 0);
  expect((await world.ask(ruleApply, {})).changed).toBe(6);
  expect([policy(), world.reader.chunk(chunk)?.goal]).toEqual([rule, 2]);
  expect((await world.ask(ruleApply, {})).changed).toBe(0);

  await world.ask(ruleRemove, all);
  const other = { require: { zone: "y" }, prefer: {} };
  await world.ask(ruleAdd, { pattern: "/b/**", ...other });
  for (let run = 0; run < 3; run++) {
    await world.ask(ruleApply, {});
    expect([policy(), world.reader.chunk(chunk)?.goal]).toEqual([other, 3]);
  }
});

test("pack.begin refuses what can't be placed, and pack.commit what is not there", async () => {
  await start(["a"]);
  const bundle = bundleOf(someFiles("/d", 2, 10));
  const request = beginOf(bundle);
  expect(await codeOf(world.ask(packBegin, request))).toBe("no-keepers");
  expect(await codeOf(world.ask(packBegin, { ...request, minCopies: 4 }))).toBe("invalid");
  const sums = new Uint8Array(16);
  expect(await codeOf(world.ask(packBegin, { ...request, sums }))).toBe("invalid");
  expect(await codeOf(world.ask(packBegin, { ...request, sizeBytes: 17 * MIB }))).toBe("invalid");
  expect(await codeOf(commit("ab".repeat(16), bundle.files))).toBe("not-found");
  expect(world.inUse()).toBe(0);
});

test("pack.begin takes no pack that is larger than the cluster's chunks", async () => {
  world = await World.start({ chunk_size: "1MiB" });
  store = new FakeStore(world);
  await store.addKeepers(["a", "b", "c"]);
  const bundle = bundleOf(someFiles("/d", 3, MIB / 2));
  expect(await codeOf(world.ask(packBegin, beginOf(bundle)))).toBe("invalid");
});

test("file.locate-many tells each chunk once, and what is to be asked for by itself", async () => {
  await start();
  const bundle = bundleOf([
    ...someFiles("/d", 3, 10),
    { path: "/d/empty", bytes: new Uint8Array(0) },
  ]);
  const chunk = await store.store(bundle);
  await commit(chunk, bundle.files);
  const alone = await world.put("/alone");
  await world.putLarge("/large", [new Uint8Array(MIB), new Uint8Array(1)]);
  const paths = ["/d/2", "/d", "/alone", "/d/empty", "/large", "/nothing", "/d/0"];
  const reply = await world.ask(fileLocateMany, { paths });
  expect(reply.files.map((file) => file.kind === "file" ? file.chunk ?? "empty" : "other")).toEqual(
    [0, "other", 1, "empty", "other", "other", 0],
  );
  expect(reply.files[0]).toMatchObject({ sizeBytes: 10, chunkOffset: 20, mode: 0o644, mtimeMs: 7 });
  expect(reply.chunks.map(({ chunk }) => chunk)).toEqual([chunk, alone]);
  expect(reply.chunks[0]?.keepers).toHaveLength(3);
  const named = new Set(reply.chunks.flatMap(({ keepers }) => keepers));
  expect(new Set(reply.holders.map(({ keeper }) => keeper))).toEqual(named);
});

test("file.locate-many stops where a message would grow too large", async () => {
  await start();
  const keepers = world.keepers.map(({ number }) => number);
  const facts = { version: 1, sizeBytes: 10, checksum: "0".repeat(16), mtimeMs: 7, mode: 0o644 };
  // Each file in a chunk of its own.
  const reader = {
    locateMany: (paths: readonly string[]) => ({
      files: paths.map((_, chunk) => {
        return { kind: "file" as const, inode: chunk + 1, ...facts, chunk, chunkOffset: 0 };
      }),
      chunks: paths.map((_, no) => {
        const id = no.toString(16).padStart(32, "0");
        return { no, id, sizeBytes: 10, sums: new Uint8Array(8), keepers };
      }),
    }),
  };
  const { clock, tables } = world;
  const roster = new Roster(world.reader);
  const desk = { reader, clock, tables, roster, ticketKey: TICKET_KEY } as unknown as Desk;
  const paths = Array.from({ length: LOCATE_MANY_MAX }, (_, index) => `/${index}`);
  let left = paths;
  for (let pages = 0; left.length > 0; pages++) {
    const reply = locateMany(desk, { paths: left });
    expect(reply.files.length).toBeGreaterThanOrEqual(Math.min(500, left.length));
    expect(encode(reply).length).toBeLessThan(MESSAGE_BYTES_MAX * 0.6);
    expect(reply.chunks).toHaveLength(reply.files.length);
    left = left.slice(reply.files.length);
    expect(pages).toBeLessThan(5);
  }
});

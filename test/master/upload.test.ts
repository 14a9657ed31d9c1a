/**
 * Uploads through trackers and reports: begun, stored, committed; refused with nothing left behind.
 */
import { afterEach, expect, test } from "bun:test";
import { GIB, MIB } from "../../src/base/bytes.ts";
import { hasCode } from "../../src/wire/errors.ts";
import { fileLocate, fileStat } from "../../src/wire/file.ts";
import { uploadAbort, uploadBegin, uploadCommit, uploadExtend } from "../../src/wire/upload.ts";
import { sumsOf } from "../../src/wire/sums.ts";
import { beginRequest, codeOf, failureOf, offerOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const small = new Uint8Array(100).fill(1);
/** Too large to go without a slot. */
const medium = new Uint8Array(0.5 * MIB).fill(3);
const large = new Uint8Array(2 * MIB).fill(2);

test("A file of one chunk is committed by its keeper's report", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c", "d"]);
  const placement = await world.beginOnly("/one", small);
  expect(placement.hops).toHaveLength(3);
  expect(world.inUse()).toBe(3);
  expect(world.reader.entry("/one")).toBeUndefined();

  const { committed } = await world.store(placement);
  expect(committed).toMatchObject({ path: "/one", sizeBytes: 100, copies: 3, goal: 3 });
  expect(world.inUse()).toBe(0);
  expect(world.events("put")).toMatchObject([{ path: "/one", version: committed?.version }]);

  const located = await world.ask(fileLocate, { path: "/one", fromSeq: 0 });
  expect(located.extents).toHaveLength(1);
  expect(located.extents[0]?.keepers).toHaveLength(3);
  expect(located.holders).toHaveLength(3);
  expect(located.more).toBe(false);
});

test("A file of several chunks appears with its commit, and not before", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const { upload } = await world.ask(uploadBegin, beginRequest("/dir/two", 2 * large.length));
  const placement = (offset: number, seq: number) =>
    world.ask(uploadExtend, { upload, offer: { ...offerOf(large), offset, seq } });
  for (const seq of [0, 1]) {
    const { placement: placed } = await placement(seq * large.length, seq);
    if (placed !== undefined) await world.store(placed);
  }
  expect(await codeOf(world.ask(fileStat, { path: "/dir/two" }))).toBe("not-found");
  const wrong = { upload, sizeBytes: 2 * large.length, chunks: 2, checksum: "0".repeat(16) };
  expect(await codeOf(world.ask(uploadCommit, wrong))).toBe("conflict");
  expect(await codeOf(world.ask(uploadCommit, { ...wrong, chunks: 3 }))).toBe("conflict");

  await world.putLarge("/dir/other", [large, small]);
  const stat = await world.ask(fileStat, { path: "/dir/other", fromSeq: 0 });
  expect(stat.chunks.map(({ size }) => size)).toEqual([large.length, small.length]);
  expect(stat.chunks[0]?.holders[0]?.path).toMatch(/^chunks\/(..)\/(..)\/\1\2.{28}$/);
  expect(world.inUse()).toBe(0);
});

test("A ticket tells what its chunk's sidecar is to know of the file", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const file = { mode: 0o644, mtimeMs: 7, owner: "ann" };
  const { origin } = world.open(await world.beginOnly("/one", small));
  const placedMs = world.clock.wallMs();
  expect(origin).toMatchObject({ ...file, path: "/one", fileBytes: 100, placedMs });
  const begin = async (sizeBytes?: number) => {
    const { sizeBytes: _size, ...request } = beginRequest("/two", 0);
    const known = sizeBytes === undefined ? {} : { sizeBytes };
    const { upload } = await world.ask(uploadBegin, { ...request, ...known });
    const { placement } = await world.ask(uploadExtend, { upload, offer: offerOf(large) });
    if (placement === undefined) throw new Error("The chunk was not placed");
    return world.open(placement).origin;
  };
  expect(await begin(5 * MIB)).toMatchObject({ ...file, fileBytes: 5 * MIB });
  expect((await begin()).fileBytes).toBeUndefined();
});

test("A repeated report answers the same and makes no second version", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const placement = await world.beginOnly("/twice", small);
  const first = await world.store(placement);
  const second = await world.store(placement);
  expect(second.committed).toEqual(first.committed);
  expect(world.reader.counts()).toMatchObject({ files: 1, chunks: 1 });
});

test("A second put replaces the file and says so", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/again");
  const placement = await world.beginOnly("/again", small);
  await world.store(placement);
  expect(world.events("replaced")).toMatchObject([{ path: "/again" }]);
  expect(await codeOf(world.beginOnly("/again", small, { exclusive: true }))).toBe("exists");
});

test("A one-chunk upload of more than 1 MiB shows as updating until its commit", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  await world.store(await world.beginOnly("/film", small));
  expect((await world.ask(fileStat, { path: "/film" })).entry.updating).toBe(false);
  const placement = await world.beginOnly("/film", large);
  expect((await world.ask(fileStat, { path: "/film" })).entry.updating).toBe(true);
  await world.store(placement);
  await world.clock.advance(0);
  expect((await world.ask(fileStat, { path: "/film" })).entry.updating).toBe(false);
});

test("Too few keepers are told with numbers, and nothing is left behind", async () => {
  world = await World.start();
  await world.addKeepers(["a"]);
  for (const attempt of [world.beginOnly("/few", large), world.put("/few")]) {
    const failure = await failureOf(attempt);
    expect(failure.code).toBe("no-keepers");
    expect(failure.data).toEqual({ alive: 1, needed: 2, retryAfterMs: 25 });
  }
  expect(await codeOf(world.ask(uploadBegin, beginRequest("/few", GIB)))).toBe("no-keepers");
  // A master that has been there for a while expects no keepers in the next moment.
  await world.clock.advance(5_000);
  const failure = await failureOf(world.put("/few"));
  expect(failure.code).toBe("no-keepers");
  expect(failure.data).not.toHaveProperty("retryAfterMs");
  expect(world.inUse()).toBe(0);
  const later = world.clock.wallMs() + 1e6;
  expect(world.reader.uploadsIdleSince(later, 10)).toEqual([]);
});

test("A file that fits nowhere is refused at once", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"], { freeBytes: MIB });
  expect(await codeOf(world.beginOnly("/big", large))).toBe("no-space");
  // Two copies of 1.5 MiB would fit onto three keepers of 1 MiB, chunk by chunk; two of 2 MiB
  // don't.
  expect(await codeOf(world.ask(uploadBegin, beginRequest("/big", 2 * MIB)))).toBe("no-space");
  expect((await world.ask(uploadBegin, beginRequest("/big", 1.5 * MIB))).upload).toHaveLength(32);
});

test("Busy ports are told with a pause, and are free again after the lease", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b"], { slots: 1, ports: [7000] });
  await world.beginOnly("/first", medium);
  const failure = await failureOf(world.beginOnly("/second", medium));
  expect(failure.code).toBe("busy");
  expect(failure.data["retryAfterMs"]).toBeGreaterThan(0);
  expect(world.inUse()).toBe(2);
  // C7: a client that never comes holds its slots for less than 2 s.
  await world.live(2_000);
  expect(world.inUse()).toBe(0);
  await world.put("/second");
});

test("An upload takes fewer copies than wanted when some ports are busy", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"], { slots: 1, ports: [7000] });
  await world.beginOnly("/first", medium, { replicas: 1, minCopies: 1 });
  const placement = await world.beginOnly("/second", medium);
  expect(placement.hops).toHaveLength(2);
  expect(world.open(placement)).toMatchObject({ goal: 3, minCopies: 2 });
});

test("A short chunk goes without slots where none are free, with all its copies", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"], { slots: 1, ports: [7000] });
  await world.beginOnly("/first", medium, { replicas: 1, minCopies: 1 });
  const { hops } = world.open(await world.beginOnly("/second", small));
  expect(hops).toHaveLength(3);
  expect(hops.filter(({ grant }) => grant === 0)).toHaveLength(1);
  expect(world.inUse()).toBe(3);
  expect(world.open(await world.beginOnly("/third", small)).hops).toHaveLength(3);
  expect(world.inUse()).toBe(3);
  await world.put("/fourth");
});

test("Reports that come together are recorded, but for those that are refused", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b", "c"]);
  if (keeper === undefined) throw new Error("No keeper");
  const reports = [];
  for (const path of ["/one", "/two", "/bad"]) {
    const placement = await world.beginOnly(path, small);
    const { chunk, sizeBytes, sums } = world.open(placement);
    await world.store(placement, 2);
    const ticket = placement.ticket;
    reports.push({ chunk, sizeBytes, sums, keepers: [keeper.id], ticket, head: false });
  }
  const [one, two, bad] = reports;
  if (one === undefined || two === undefined || bad === undefined) throw new Error("No report");
  const wrong = { ...bad, sums: sumsOf(new Uint8Array(100).fill(9)) };
  expect(await keeper.storedMany([one, wrong, two])).toEqual({ failed: [bad.chunk] });
  for (const { chunk } of [one, two]) {
    expect(world.reader.chunk(chunk)?.keepers).toContain(keeper.number);
  }
});

test("A report with other sums than the client's is refused as corrupt", async () => {
  world = await World.start();
  const [keeper] = await world.addKeepers(["a", "b", "c"]);
  const placement = await world.beginOnly("/bad", small);
  const { chunk, hops } = world.open(placement);
  const keepers = hops.map((hop) => hop.keeper);
  const sums = sumsOf(new Uint8Array(100).fill(9));
  const report = { chunk, sizeBytes: 100, sums, keepers, ticket: placement.ticket, head: true };
  expect(await codeOf(world.keeper(keepers[0] ?? "").stored(report))).toBe("corrupt");
  expect(world.reader.chunk(chunk)).toBeUndefined();
  const forged = { ...report, sums: sumsOf(small), ticket: `${placement.ticket.slice(0, -4)}AAAA` };
  expect(await codeOf(world.keeper(keepers[0] ?? "").stored(forged))).toBe("denied");
  expect(await codeOf(world.beginOnly("/bad", small, { replicas: 2, minCopies: 3 })))
    .toBe("invalid");
  expect(keeper).toBeDefined();
});

test("A head with too few copies records them, but commits nothing", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const placement = await world.beginOnly("/lone", small);
  expect(await world.store(placement, 1)).toEqual({});
  expect(world.reader.entry("/lone")).toBeUndefined();
  expect(world.holders(placement.chunk)).toHaveLength(1);
  expect((await world.store(placement, 2)).committed?.copies).toBe(2);
});

test("A forgotten upload is closed in the end, and its chunks become orphans", async () => {
  world = await World.start({ upload_lease: "5s", upload_ttl: "5s", grace: "1h" });
  await world.addKeepers(["a", "b", "c"]);
  const { upload } = await world.ask(uploadBegin, beginRequest("/left", 2 * large.length));
  const { placement } = await world.ask(uploadExtend, { upload, offer: offerOf(large) });
  if (placement !== undefined) await world.store(placement);
  await world.live(3_000);
  await world.ask(uploadExtend, { upload });
  await world.live(4_000);
  expect(world.reader.upload(upload)).toBeDefined();
  await world.live(8_000);
  expect(world.reader.upload(upload)).toBeUndefined();
  expect(world.reader.orphans(world.clock.wallMs() + 1, 10)).toHaveLength(1);
  expect(await codeOf(world.ask(uploadExtend, { upload }))).toBe("not-found");
  expect(await world.ask(uploadAbort, { upload, keep: false })).toEqual({});
});

test("Keepers that failed a client are avoided while others are enough", async () => {
  world = await World.start();
  const keepers = await world.addKeepers(["a", "b", "c", "d"]);
  const avoid = keepers.slice(0, 1).map(({ id }) => id);
  for (let times = 0; times < 10; times++) {
    const only = { ...offerOf(small), avoid };
    const { hops } = await world.beginOnly(`/f${times}`, small, { only });
    expect(hops.map(({ keeper }) => keeper)).not.toContain(avoid[0]);
    await world.live(2_000);
  }
});

test("A read-only or suspect keeper gets no new chunks", async () => {
  world = await World.start();
  const [full, silent] = await world.addKeepers(["a", "b", "c", "d"]);
  if (full === undefined || silent === undefined) throw new Error("No keepers");
  full.readOnly = true;
  await world.live(4_000, [silent]);
  const { hops } = await world.beginOnly("/x", small);
  expect(hops.map(({ keeper }) => keeper).sort()).toEqual(
    [world.keeper("c").id, world.keeper("d").id].sort(),
  );
});

test("A catalog that answers is left consistent when a request is malformed", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b"]);
  const bad = world.beginOnly("/bad", small, { only: { ...offerOf(small), seq: 3 } });
  expect(hasCode(await failureOf(bad), "invalid")).toBe(true);
  const sums = new Uint8Array(0);
  expect(await codeOf(world.beginOnly("/bad", small, { only: { ...offerOf(small), sums } })))
    .toBe("invalid");
  expect(await codeOf(world.ask(uploadBegin, beginRequest("/", 1)))).toBe("is-directory");
});

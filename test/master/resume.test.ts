/** Interrupted uploads through trackers: kept, taken over chunk by chunk, dropped in the end. */
import { afterEach, expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { fileStat } from "../../src/wire/file.ts";
import { ruleAdd, ruleRemove } from "../../src/wire/rule.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import type { ChunkOffer, UploadBeginRequest } from "../../src/wire/upload.ts";
import { uploadAbort, uploadBegin, uploadCommit, uploadExtend } from "../../src/wire/upload.ts";
import { beginRequest, codeOf, offerOf, World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

const piece = (fill: number, sizeBytes = 2 * MIB) => new Uint8Array(sizeBytes).fill(fill);

/** The offers of a file of these pieces. */
function offersOf(pieces: Uint8Array[]): ChunkOffer[] {
  let offset = 0;
  return pieces.map((bytes, seq) => {
    const offer = { ...offerOf(bytes), seq, offset };
    offset += bytes.length;
    return offer;
  });
}

async function begin(path: string, more: Partial<UploadBeginRequest> = {}) {
  const request = { ...beginRequest(path, 6 * MIB), resume: true, ...more };
  return await world.ask(uploadBegin, request);
}

/** Sends what is not stored; returns what the tracker said of each chunk. */
async function send(upload: string, offers: ChunkOffer[], copies?: number): Promise<string[]> {
  const said: string[] = [];
  for (const offer of offers) {
    const { placement, stored } = await world.ask(uploadExtend, { upload, offer });
    said.push(stored === true ? "stored" : "placed");
    if (placement !== undefined) await world.store(placement, copies);
  }
  return said;
}

async function commit(upload: string, pieces: Uint8Array[]) {
  const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0);
  const checksum = fileChecksum(pieces.map(sumsOf));
  return await world.ask(uploadCommit, { upload, sizeBytes, chunks: pieces.length, checksum });
}

test("A resumed upload sends only what is not stored, or differs", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const first = await begin("/film", { sizeBytes: 100 * MIB });
  expect(first.resumedBytes).toBe(0);
  await send(first.upload, offersOf([piece(1), piece(2), piece(3), piece(4)]));
  expect(await world.ask(uploadAbort, { upload: first.upload, keep: true })).toEqual({});

  const pieces = [piece(1), piece(9), piece(3, MIB)];
  const second = await begin("/film", { sizeBytes: 5 * MIB });
  expect(second.resumedBytes).toBe(5 * MIB);
  expect(await send(second.upload, offersOf(pieces))).toEqual(["stored", "placed", "placed"]);
  expect(await send(second.upload, offersOf(pieces))).toEqual(["stored", "stored", "stored"]);
  expect(await commit(second.upload, pieces)).toMatchObject({ sizeBytes: 5 * MIB, copies: 3 });
  // The two that differed, and the one that was too many.
  expect(world.reader.orphans(world.clock.wallMs() + 1, 10)).toHaveLength(3);
  expect(await codeOf(world.ask(uploadExtend, { upload: first.upload }))).toBe("not-found");
});

test("A chunk of a client that has gone is kept for the next one", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c"]);
  const pieces = [piece(1), piece(2)];
  const first = await begin("/film");
  for (const offer of offersOf(pieces)) {
    const { placement } = await world.ask(uploadExtend, { upload: first.upload, offer });
    if (placement === undefined) throw new Error("The chunk was not placed");
    // Its head tells of enough copies of the first chunk only.
    await world.store(placement, offer.seq === 0 ? 3 : 1, false);
  }
  const second = await begin("/film");
  expect(second.resumedBytes).toBe(2 * MIB);
  expect(await send(second.upload, offersOf(pieces))).toEqual(["stored", "placed"]);
  expect(await commit(second.upload, pieces)).toMatchObject({ sizeBytes: 4 * MIB });
});

test("What is stored at another place, or on too few living keepers, is sent anew", async () => {
  world = await World.start({ dead_after: "4s", suspect_after: "2s", upload_lease: "1h" });
  const keepers = await world.addKeepers(["a", "b", "c", "d"]);
  const offers = offersOf([piece(1)]);
  const { upload } = await begin("/film", { minCopies: 3 });
  await send(upload, offers);
  expect(await send(upload, offers)).toEqual(["stored"]);
  for (const more of [{ offset: MIB }, { seq: 1 }, offerOf(piece(2)), offerOf(piece(1, MIB))]) {
    const [offer] = offers.map((offer) => ({ ...offer, ...more }));
    expect((await world.ask(uploadExtend, { upload, offer })).placement).toBeDefined();
  }
  const held = world.reader.storedChunk(upload, 0)?.keepers ?? [];
  const dead = keepers.filter(({ number }) => number === held[0]);
  await world.live(8_000, dead);
  expect(await send(upload, offers)).toEqual(["placed"]);
  expect(world.reader.storedChunk(upload, 0)?.keepers).not.toContain(held[0]);
  expect((await commit(upload, [piece(1)])).copies).toBe(3);
});

test("A copy counts as stored only while its keeper is surely there", async () => {
  const flags = { suspect_after: "2s", dead_after: "1h", upload_lease: "1h" };
  world = await World.start({ ...flags, repair_delay: "1h" });
  const keepers = await world.addKeepers(["a", "b", "c"]);
  const offers = offersOf([piece(1)]);
  const { upload } = await begin("/film", { replicas: 2, minCopies: 2 });
  await send(upload, offers);
  const held = world.reader.storedChunk(upload, 0)?.keepers ?? [];
  const silent = keepers.filter(({ number }) => number === held[0]);
  await world.live(4_000, silent);
  expect(silent.map((keeper) => world.state(keeper))).toEqual(["SUSPECT"]);
  expect(await send(upload, offers)).toEqual(["placed"]);
  expect(world.reader.storedChunk(upload, 0)?.keepers).not.toContain(held[0]);
  expect(await send(upload, offers)).toEqual(["stored"]);
});

test("What a resumed upload takes over lies where the rules of now want it", async () => {
  world = await World.start({ upload_lease: "1h" });
  await world.addKeepers(["a", "b"], { labels: { kind: "old" } });
  await world.addKeepers(["c", "d"], { labels: { kind: "new" } });
  const rule = (kind: string) => ({ pattern: "/film", require: { kind }, prefer: {} });
  const { id } = await world.ask(ruleAdd, rule("old"));
  const pieces = [piece(1)];
  const first = await begin("/film", { replicas: 2 });
  await send(first.upload, offersOf(pieces));
  await world.ask(uploadAbort, { upload: first.upload, keep: true });
  await world.ask(ruleRemove, { id });
  await world.ask(ruleAdd, rule("new"));
  const { upload } = await begin("/film", { replicas: 2 });
  await send(upload, offersOf(pieces));
  await commit(upload, pieces);
  const chunk = world.reader.locate("/film", undefined, 0, 1).extents[0]?.chunk ?? "";
  await world.live(30_000);
  expect(world.holders(chunk)).toEqual(["c", "d"]);
});

test("An upload that is heard while the master drops what was left stays", async () => {
  world = await World.start({ upload_lease: "5s", upload_ttl: "30s" });
  await world.addKeepers(["a", "b", "c"]);
  const { upload } = await begin("/film");
  await send(upload, offersOf([piece(1)]));
  for (const keep of [true, false]) {
    const atMs = world.clock.wallMs();
    // Both have waited for the writer: the sweeper has looked before, and is done after.
    const beforeMs = atMs;
    const touched = world.writer.submit({ kind: "upload.touch", upload, atMs });
    const abort = { kind: "upload.abort", upload, keep, beforeMs, atMs } as const;
    expect(await world.writer.submit(abort)).toEqual({ kept: true });
    await touched;
    expect(world.reader.upload(upload)?.paused).toBe(false);
  }
});

test("An upload that falls silent is paused, goes on when it is heard, and ends at last", async () => {
  world = await World.start({ upload_lease: "5s", upload_ttl: "30s", grace: "1h" });
  await world.addKeepers(["a", "b", "c"]);
  await world.put("/film");
  const { upload } = await begin("/film");
  const [offer] = offersOf([piece(1)]);
  if (offer === undefined) throw new Error("No offer");
  await send(upload, [offer]);
  const updating = async () => (await world.ask(fileStat, { path: "/film" })).entry.updating;
  expect(await updating()).toBe(true);
  await world.live(8_000);
  expect(await updating()).toBe(false);
  expect(world.reader.upload(upload)?.paused).toBe(true);

  expect(await world.ask(uploadExtend, { upload, offer })).toEqual({ stored: true });
  expect(await updating()).toBe(true);
  await world.live(20_000);
  expect(world.reader.upload(upload)?.paused).toBe(true);
  await world.live(20_000);
  expect(world.reader.upload(upload)).toBeUndefined();
  expect(world.reader.orphans(world.clock.wallMs() + 1, 10)).toHaveLength(1);
  expect((await begin("/film")).resumedBytes).toBe(0);
});

test("Nothing is kept of an upload without chunks, nor of a file of one chunk", async () => {
  world = await World.start({ upload_lease: "5s" });
  await world.addKeepers(["a", "b", "c"]);
  const { upload } = await begin("/film");
  const placement = await world.beginOnly("/one", piece(1), { resume: true });
  const one = world.open(placement).origin.upload;
  await world.ask(uploadAbort, { upload: one, keep: true });
  expect(await codeOf(world.store(placement))).toBe("expired");
  await world.live(8_000);
  expect(world.reader.upload(upload)).toBeUndefined();
  expect(world.reader.upload(one)).toBeUndefined();
});

test("A resumed upload needs room only for what is not stored", async () => {
  world = await World.start();
  const keepers = await world.addKeepers(["a", "b"], { freeBytes: 100 * MIB });
  const pieces = [piece(1), piece(2)];
  const { upload } = await begin("/film", { replicas: 2 });
  await send(upload, offersOf(pieces));
  await world.ask(uploadAbort, { upload, keep: true });
  for (const keeper of keepers) keeper.freeBytes = 3 * MIB;
  await world.live(2_000);
  const request = { sizeBytes: 6 * MIB, replicas: 2 };
  expect(await codeOf(begin("/film", { ...request, resume: false }))).toBe("no-space");
  expect((await begin("/film", request)).resumedBytes).toBe(4 * MIB);
});

test("A higher goal than the interrupted upload's is reached by the replicator", async () => {
  world = await World.start();
  await world.addKeepers(["a", "b", "c", "d"]);
  const pieces = [piece(1)];
  const first = await begin("/film", { replicas: 2 });
  await send(first.upload, offersOf(pieces));
  await world.ask(uploadAbort, { upload: first.upload, keep: true });
  const { upload } = await begin("/film", { replicas: 4 });
  expect(await send(upload, offersOf(pieces))).toEqual(["stored"]);
  expect(await commit(upload, pieces)).toMatchObject({ copies: 2, goal: 4 });
  const chunk = world.reader.locate("/film", undefined, 0, 1).extents[0]?.chunk ?? "";
  await world.live(20_000);
  expect(world.holders(chunk)).toHaveLength(4);
});

test("A copy that lands when its chunk was removed is removed too", async () => {
  world = await World.start({ upload_lease: "5s", grace: "1s" });
  await world.addKeepers(["a", "b", "c"]);
  const { upload } = await begin("/film");
  const [offer] = offersOf([piece(1)]);
  const { placement } = await world.ask(uploadExtend, { upload, offer });
  if (placement === undefined) throw new Error("The chunk was not placed");
  await world.ask(uploadAbort, { upload, keep: false });
  await world.store(placement, 2);
  await world.live(20_000);
  expect(world.reader.chunk(placement.chunk)?.keepers).toEqual([]);
  expect(await codeOf(world.store(placement, 3))).toBe("expired");
  await world.live(5_000);
  for (const { chunks } of world.keepers) expect([...chunks]).toEqual([]);
});

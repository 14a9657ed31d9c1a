/** Packs as they land on keepers: each lists their files by itself, or refuses them. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import { formatSidecar, parseFileList, parseSidecar } from "../../src/chunks/sidecar.ts";
import { call } from "../../src/wire/bus.ts";
import { httpTransport } from "../../src/wire/chunk_http.ts";
import { commandReplicate } from "../../src/wire/command.ts";
import type { PackedFile } from "../../src/wire/pack.ts";
import { encodeManifest, MANIFEST_END_BYTES } from "../../src/wire/pack.ts";
import type { PutTicket } from "../../src/wire/ticket.ts";
import { makePack } from "../chunks/pack_fixture.ts";
import type { TestKeeper } from "./world.ts";
import { getTicket, put, putTicket, random, subjects, World } from "./world.ts";

const { bytes: PACK, files: FILES } = makePack([
  { path: "/tree/a", bytes: random.bytes(700_000) },
  { path: "/tree/empty", bytes: new Uint8Array() },
  { path: "/tree/sub/ü b", bytes: random.bytes(800_000), mode: 0o600, mtimeMs: -7, placedMs: 3 },
]);

function packTicket(bytes: Uint8Array, keepers: TestKeeper[]): PutTicket {
  const ticket = putTicket(bytes, keepers.map(({ hop }) => hop));
  const { upload } = ticket.origin;
  const origin = { path: "/tree/a", upload, seq: 0, offset: 0, placedMs: 7, packed: true } as const;
  return { ...ticket, origin };
}

/** What the sidecar on a keeper says. */
function sidecarOn({ directory }: TestKeeper, { chunk, sizeBytes }: PutTicket) {
  const bytes = readFileSync(join(directory, sidecarPath(chunk)));
  return { facts: parseSidecar(chunk, bytes), files: parseFileList(chunk, sizeBytes, bytes) };
}

function replicate(world: World, to: TestKeeper, ticket: PutTicket, from: TestKeeper) {
  const { chunk, sizeBytes, sums } = ticket;
  const holder = { keeper: from.id, name: "a", host: "127.0.0.1", ports: [from.port] };
  const request = { epoch: 1, chunk, sizeBytes, sums, goal: 3, sources: [holder] };
  const subject = subjects.command(to.id, "replicate");
  const whole = { ...request, ticket: getTicket(chunk) };
  return call(world.bus, subject, commandReplicate, whole, { timeoutMs: 5_000 });
}

test("a pack is listed in the sidecar of each copy, made by a PUT, a chain or a repair", async () => {
  await using world = new World();
  const [head, tail, late] = [await world.keeper(), await world.keeper(), await world.keeper()];
  const ticket = packTicket(PACK, [head, tail]);
  expect(await put(head, ticket, PACK)).toMatchObject({ status: 200 });
  await replicate(world, late, ticket, tail);
  for (const keeper of [head, tail, late]) {
    const { facts, files } = sidecarOn(keeper, ticket);
    expect(facts.origin).toEqual(ticket.origin);
    expect(files).toEqual(FILES);
    expect(await keeper.store.verify(ticket.chunk)).toBe("good");
  }
});

test("origin says that a chunk is a pack, and does not send its list", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const ticket = packTicket(PACK, [keeper]);
  await put(keeper, ticket, PACK);
  const signal = new AbortController().signal;
  const request = { chunk: ticket.chunk, ticket: getTicket(ticket.chunk), signal };
  const address = { host: "127.0.0.1", port: keeper.port };
  expect(await httpTransport.origin(address, request)).toEqual(ticket.origin);
});

/** Chunks that are said to be packs, and end wrongly. */
function wrongPacks(): Record<string, Uint8Array> {
  const manifest = encodeManifest(FILES);
  const data = PACK.subarray(0, PACK.length - manifest.length);
  const { bytes: twice } = makePack([{ path: "/../etc", bytes: new Uint8Array(5) }]);
  const outside = FILES.map((file): PackedFile => ({ ...file, offset: file.offset + 1 }));
  const length = Buffer.alloc(4, 0xff);
  return {
    "no manifest": random.bytes(2 * MIB),
    "nothing at all": new Uint8Array(),
    "less than an end": PACK.subarray(-MANIFEST_END_BYTES + 1),
    "an end only": PACK.subarray(-MANIFEST_END_BYTES),
    "a cut manifest": PACK.subarray(0, -1),
    "a manifest that lacks its beginning": PACK.subarray(data.length + 1),
    "a length beyond all bounds": Buffer.concat([data, length, PACK.subarray(-8)]),
    "a forbidden path": twice,
    "bytes that are not there": Buffer.concat([data, encodeManifest(outside)]),
  };
}

test("a pack without a right manifest is refused before anything is kept or reported", async () => {
  await using world = new World();
  const [head, tail] = [await world.keeper(), await world.keeper()];
  for (const [what, bytes] of Object.entries(wrongPacks())) {
    const ticket = packTicket(bytes, [head, tail]);
    const { code } = await put(head, ticket, bytes);
    expect([what, code]).toEqual([what, "invalid"]);
    for (const { store } of [head, tail]) {
      await world.until(() => store.chunks === 0);
      expect(await store.facts(ticket.chunk)).toBeUndefined();
    }
  }
  await Promise.all([head, tail].map(({ streamer }) => streamer.stop(5_000)));
  for (const { directory } of [head, tail]) {
    expect(readdirSync(join(directory, "tmp"))).toEqual([]);
  }
  expect(world.stored).toEqual([]);
});

test("a pack with a wrong block is corrupt, whatever its manifest is", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const ticket = packTicket(PACK, [keeper]);
  const wrong = PACK.with(MIB + 3, (PACK[MIB + 3] ?? 0) ^ 1);
  expect((await put(keeper, ticket, wrong)).code).toBe("corrupt");
  expect((await put(keeper, ticket, PACK)).status).toBe(200);
});

test("a copy of a pack whose manifest is wrong is made all the same, without a list", async () => {
  await using world = new World();
  const [from, to] = [await world.keeper(), await world.keeper()];
  const bytes = random.bytes(MIB + 5);
  const ticket = packTicket(bytes, [from]);
  const plain = { ...ticket, origin: putTicket(bytes, [from.hop]).origin };
  await put(from, plain, bytes);
  const { origin, chunk, sizeBytes, sums, goal } = ticket;
  const sidecar = formatSidecar({ chunk, sizeBytes, sums, goal, origin }, 1);
  writeFileSync(join(from.directory, sidecarPath(chunk)), sidecar);
  await replicate(world, to, ticket, from);
  const { facts, files } = sidecarOn(to, ticket);
  expect([facts.origin, files]).toEqual([origin, undefined]);
  expect(readFileSync(join(to.directory, chunkPath(chunk)))).toEqual(Buffer.from(bytes));
});

test("a damaged list of files costs no copy: neither in place, nor when it lies aside", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { store, directory } = keeper;
  const ticket = packTicket(PACK, [keeper]);
  await put(keeper, ticket, PACK);
  const path = join(directory, sidecarPath(ticket.chunk));
  const sidecar = readFileSync(path);
  writeFileSync(path, sidecar.subarray(0, -20));
  expect(() => sidecarOn(keeper, ticket)).toThrow("does not match its sum");
  expect(await store.verify(ticket.chunk)).toBe("good");
  expect(await store.find(ticket.chunk)).toMatchObject({ kind: "found" });
  await store.quarantine(ticket.chunk);
  const [aside] = await store.attic.list();
  if (aside === undefined) throw new Error("nothing lies aside");
  expect(await store.restore(aside)).toMatchObject({ chunk: ticket.chunk });
});

test("the bytes of a pack are synced while its manifest is read", async () => {
  await using world = new World();
  const steps: string[] = [];
  const keeper = await world.keeper({
    disk: (disk) => ({
      open: (path) => {
        const file = disk.open(path);
        return {
          ...file,
          readNow: (buffer, position) => {
            if (position > PACK.length - 1000) steps.push("manifest");
            return file.readNow(buffer, position);
          },
          datasync: async () => {
            steps.push("sync");
            await file.datasync();
          },
        };
      },
    }),
  });
  expect((await put(keeper, packTicket(PACK, [keeper]), PACK)).status).toBe(200);
  expect(steps).toEqual(["sync", "manifest", "manifest"]);
});

/** The chunk store on a real file system: what lands is whole and durable, or leaves nothing. */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB } from "../../src/base/bytes.ts";
import { randomHex } from "../../src/base/random.ts";
import { chunkPath, sidecarPath } from "../../src/chunks/places.ts";
import { parseSidecar } from "../../src/chunks/sidecar.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { factsOf, landBytes, makeChunk, openWorld, random } from "./fixture.ts";

async function codeOf(task: Promise<unknown>): Promise<ErrorCode | "ok"> {
  try {
    await task;
    return "ok";
  } catch (error) {
    if (error instanceof TydfsError) return error.code;
    throw error;
  }
}

describe("land", () => {
  test("stores bytes and sidecar at their places, and nothing else", async () => {
    using world = await openWorld();
    const { facts, bytes } = makeChunk(3 * MIB + 17);
    expect(await landBytes(world.store, world.disk, facts, bytes)).toBe("new");
    const path = join(world.directory, chunkPath(facts.chunk));
    expect(readFileSync(path).equals(bytes)).toBe(true);
    const sidecar = readFileSync(join(world.directory, sidecarPath(facts.chunk)));
    const landedMs = expect.any(Number);
    expect(parseSidecar(facts.chunk, sidecar)).toEqual({ ...facts, landedMs });
    expect(readdirSync(join(world.directory, "tmp"))).toEqual([]);
    expect(world.store.chunks).toBe(1);
    expect(await world.store.find(facts.chunk)).toMatchObject({
      kind: "found",
      sizeBytes: bytes.length,
    });
  });

  test("takes chunks of one byte and of none", async () => {
    using world = await openWorld();
    for (const sizeBytes of [0, 1]) {
      const { facts, bytes } = makeChunk(sizeBytes);
      await landBytes(world.store, world.disk, facts, bytes);
      expect(await world.store.verify(facts.chunk)).toBe("good");
    }
  });

  test("refuses what is too short, too long or wrong, and leaves nothing behind", async () => {
    using world = await openWorld();
    const { store, disk } = world;
    const { facts, bytes } = makeChunk(2 * MIB + 5);
    const longer = Buffer.concat([bytes, new Uint8Array(1)]);
    const wrong = bytes.slice();
    wrong[MIB + 7] = (wrong[MIB + 7] ?? 0) ^ 1;
    expect(await codeOf(landBytes(store, disk, facts, bytes.subarray(1)))).toBe("invalid");
    expect(await codeOf(landBytes(store, disk, facts, longer))).toBe("invalid");
    expect(await codeOf(landBytes(store, disk, facts, wrong))).toBe("corrupt");
    expect(readdirSync(join(world.directory, "tmp"))).toEqual([]);
    expect(await store.find(facts.chunk)).toEqual({ kind: "missing" });
    expect(world.share.promisedBytes).toBe(0);
    expect(world.store.chunks).toBe(0);
  });

  test("of a chunk that is here says so, and refuses other bytes under its id", async () => {
    using world = await openWorld();
    const { store, disk } = world;
    const { facts, bytes } = makeChunk(1000);
    await landBytes(store, disk, facts, bytes);
    expect(await landBytes(store, disk, facts, bytes)).toBe("present");
    expect(await store.has(facts)).toBe(true);
    const other = random.bytes(1000);
    const otherFacts = factsOf(other, facts.chunk);
    expect(await codeOf(landBytes(store, disk, otherFacts, other))).toBe("conflict");
    expect(await codeOf(store.has(otherFacts))).toBe("conflict");
    expect(await store.verify(facts.chunk)).toBe("good");
    expect(store.chunks).toBe(1);
  });

  test("at the same time in two threads stores one copy; of two contents one wins", async () => {
    using world = await openWorld();
    const { store, sibling, disk } = world;
    const { facts, bytes } = makeChunk(MIB);
    const stores = [store, sibling, store, sibling];
    const kept = await Promise.all(stores.map((each) => landBytes(each, disk, facts, bytes)));
    expect(kept.filter((how) => how === "new").length).toBe(1);
    expect(store.chunks).toBe(1);

    const contents = stores.map(() => random.bytes(5000));
    const id = randomHex(random, 16);
    const codes = await Promise.all(
      contents.map((content, index) =>
        codeOf(landBytes(stores[index] ?? store, disk, factsOf(content, id), content))
      ),
    );
    expect(codes.toSorted()).toEqual(["conflict", "conflict", "conflict", "ok"]);
    expect(await store.verify(id)).toBe("good");
    expect(readdirSync(join(world.directory, "tmp"))).toEqual([]);
  });

  test("lends its bytes before and after they get their name", async () => {
    using world = await openWorld();
    const { facts, bytes } = makeChunk(MIB);
    const { store, disk } = world;
    const draft = await store.receive(facts, (path) => disk.write(path, [bytes], { sync: false }));
    expect((await new Blob([draft.body() as BlobPart]).bytes()).length).toBe(MIB);
    await draft.keep();
    expect((await new Blob([draft.body() as BlobPart]).bytes()).length).toBe(MIB);
  });

  test("refuses ids that are none before any path is built", async () => {
    using world = await openWorld();
    for (const id of ["../../etc/passwd", "", "A".repeat(32), "0".repeat(31), "a/b"]) {
      const { facts } = makeChunk(1);
      const land = landBytes(world.store, world.disk, { ...facts, chunk: id }, new Uint8Array(1));
      await expect(land).rejects.toThrow("Invariant");
    }
  });
});

describe("prepare", () => {
  test("clears what a crash leaves, and keeps what is whole", async () => {
    using world = await openWorld();
    const { store, disk, directory } = world;
    const chunks = [makeChunk(10), makeChunk(20), makeChunk(30)] as const;
    for (const { facts, bytes } of chunks) await landBytes(store, disk, facts, bytes);
    const [whole, noSidecar, noChunk] = chunks;
    rmSync(join(directory, sidecarPath(noSidecar.facts.chunk)));
    rmSync(join(directory, chunkPath(noChunk.facts.chunk)));
    writeFileSync(join(directory, "tmp", `${whole.facts.chunk}.0011`), "half");
    writeFileSync(join(directory, "tmp", `${whole.facts.chunk}.0011.json`), "{");

    using again = await openWorld(() => disk);
    expect(readdirSync(join(directory, "tmp"))).toEqual([]);
    expect(again.store.chunks).toBe(1);
    expect(await again.store.verify(whole.facts.chunk)).toBe("good");
    expect(existsSync(join(directory, sidecarPath(noChunk.facts.chunk)))).toBe(false);
    expect(readdirSync(join(directory, "quarantine")).length).toBe(1);
  });
});

describe("verify", () => {
  test("finds a flipped byte, a lost sidecar and a missing chunk", async () => {
    using world = await openWorld();
    const { store, disk, directory } = world;
    const { facts, bytes } = makeChunk(2 * MIB);
    await landBytes(store, disk, facts, bytes);
    expect(await store.verify(facts.chunk)).toBe("good");
    const path = join(directory, chunkPath(facts.chunk));
    const flipped = bytes.slice();
    flipped[MIB + 1] = (flipped[MIB + 1] ?? 0) ^ 0x80;
    writeFileSync(path, flipped);
    expect(await store.verify(facts.chunk)).toBe("corrupt");
    writeFileSync(path, bytes);
    renameSync(join(directory, sidecarPath(facts.chunk)), join(directory, "aside"));
    expect(await store.verify(facts.chunk)).toBe("corrupt");
    expect(await store.verify(randomHex(random, 16))).toBe("missing");
  });
});

describe("find", () => {
  test("tells a chunk of the wrong size; quarantine takes it away", async () => {
    using world = await openWorld();
    const { store, disk, directory } = world;
    const { facts, bytes } = makeChunk(100);
    await landBytes(store, disk, facts, bytes);
    writeFileSync(join(directory, chunkPath(facts.chunk)), "short");
    expect((await store.find(facts.chunk)).kind).toBe("damaged");
    expect(await store.quarantine(facts.chunk)).toBe(true);
    expect(await store.quarantine(facts.chunk)).toBe(false);
    expect(await store.find(facts.chunk)).toEqual({ kind: "missing" });
    expect(readdirSync(join(directory, "quarantine")).length).toBe(2);
    expect(store.chunks).toBe(0);
    expect(await landBytes(store, disk, facts, bytes)).toBe("new");
  });
});

test("remove takes chunk and sidecar, and bears chunks that are not here", async () => {
  using world = await openWorld();
  const { store, disk } = world;
  const { facts, bytes } = makeChunk(100);
  await landBytes(store, disk, facts, bytes);
  expect(await store.remove(facts.chunk)).toBe(true);
  expect(await store.remove(facts.chunk)).toBe(false);
  expect(existsSync(join(world.directory, sidecarPath(facts.chunk)))).toBe(false);
  expect(store.chunks).toBe(0);
});

test("inventory gives every id in order, whatever the size of a page", async () => {
  using world = await openWorld();
  const { store, disk } = world;
  // Some share a shelf, so that pages end within one.
  const ids = Array.from({ length: 60 }, (_, index) => {
    const id = randomHex(random, 16);
    return index % 3 === 0 ? `abcd${id.slice(4)}` : index % 3 === 1 ? `ab${id.slice(2)}` : id;
  });
  for (const id of ids) {
    const bytes = random.bytes(id.charCodeAt(8));
    await landBytes(store, disk, factsOf(bytes, id), bytes);
  }
  const due = ids.toSorted().map((id) => [id, id.charCodeAt(8)]);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 70 }), async (limit) => {
      const seen: [string, number][] = [];
      for (let last = false; !last;) {
        const page = await store.inventory(seen.at(-1)?.[0] ?? "", limit);
        expect(page.chunks.length).toBeLessThanOrEqual(limit);
        seen.push(...page.chunks);
        last = page.last;
      }
      expect(seen).toEqual(due as [string, number][]);
    }),
    { numRuns: 15 },
  );
});

// A process that died between the rename and the sync leaves names that a power loss takes.
test("inventory makes the names durable that it tells", async () => {
  const synced: string[] = [];
  using world = await openWorld((disk) => ({
    syncDirectory: (path) => {
      synced.push(path);
      return disk.syncDirectory(path);
    },
  }));
  const { facts, bytes } = makeChunk(1000);
  await landBytes(world.store, world.disk, facts, bytes);
  synced.splice(0);
  expect((await world.sibling.inventory("", 10)).chunks.length).toBe(1);
  const [aisle, shelf] = [facts.chunk.slice(0, 2), facts.chunk.slice(2, 4)];
  expect(synced.sort()).toEqual(["chunks", `chunks/${aisle}`, `chunks/${aisle}/${shelf}`]);
});

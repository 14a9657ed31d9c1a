/** The chunk store on a disk that fails: what passes harms no chunk, what stays is not hidden. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { GIB, MIB } from "../../src/base/bytes.ts";
import { systemClock } from "../../src/base/clock.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import { chunkPath } from "../../src/chunks/places.ts";
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

function fault(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

describe("an error that may pass", () => {
  for (const code of ["EMFILE", "ENFILE", "ENOMEM"]) {
    test(`(${code}) is unavailable to all who ask, and says nothing about the chunk`, async () => {
      let isShort = false;
      using world = await openWorld((disk) => ({
        read: (path) => isShort ? Promise.reject(fault(code)) : disk.read(path),
        list: (path) => isShort ? Promise.reject(fault(code)) : disk.list(path),
      }));
      const { store, disk } = world;
      const { facts, bytes } = makeChunk(1000);
      await landBytes(store, disk, facts, bytes);
      isShort = true;
      const asks: Record<string, () => Promise<unknown>> = {
        find: () => store.find(facts.chunk),
        facts: () => store.facts(facts.chunk),
        verify: () => store.verify(facts.chunk),
        has: () => store.has(facts),
        land: () => landBytes(store, disk, facts, bytes),
        inventory: () => store.inventory("", 10),
      };
      for (const [name, ask] of Object.entries(asks)) {
        expect([name, await codeOf(ask())]).toEqual([name, "unavailable"]);
      }
      isShort = false;
      expect(await store.verify(facts.chunk)).toBe("good");
      expect((await store.find(facts.chunk)).kind).toBe("found");
      expect(store.chunks).toBe(1);
    });
  }

  test("while a draft gets its name leaves the chunk that is there alone", async () => {
    let isShort = false;
    using world = await openWorld((disk) => ({
      read: (path) => isShort ? Promise.reject(fault("EMFILE")) : disk.read(path),
    }));
    const { store, disk, directory } = world;
    const { facts, bytes } = makeChunk(1000);
    const other = random.bytes(1000);
    const fill = (path: string) => disk.write(path, [other], { sync: false });
    const draft = await store.receive(factsOf(other, facts.chunk), fill);
    await landBytes(store, disk, facts, bytes);
    isShort = true;
    expect(await codeOf(draft.keep())).toBe("unavailable");
    isShort = false;
    expect(readFileSync(join(directory, chunkPath(facts.chunk))).equals(bytes)).toBe(true);
    expect(readdirSync(join(directory, "tmp"))).toEqual([]);
  });

  test("is told from bytes that the disk can't give: those are corrupt", async () => {
    let code = "";
    using world = await openWorld((disk) => ({
      open: (path) => ({
        ...disk.open(path),
        read: (buffer, position) =>
          code === "" ? disk.open(path).read(buffer, position) : Promise.reject(fault(code)),
      }),
      read: (path) => code === "EUCLEAN" ? Promise.reject(fault(code)) : disk.read(path),
    }));
    const { store, disk } = world;
    const { facts, bytes } = makeChunk(1000);
    await landBytes(store, disk, facts, bytes);
    const verify = () => store.verify(facts.chunk);
    code = "ENOMEM";
    expect(await codeOf(verify())).toBe("unavailable");
    code = "EIO";
    expect(await verify()).toBe("corrupt");
    code = "EUCLEAN";
    expect(await verify()).toBe("corrupt");
    code = "";
    expect(await verify()).toBe("good");
  });
});

describe("a read that fails once", () => {
  test("makes no chunk corrupt", async () => {
    let failures = 0;
    using world = await openWorld((disk) => ({
      open: (path) => ({
        ...disk.open(path),
        read: (buffer, position) =>
          failures-- > 0 ? Promise.reject(fault("EIO")) : disk.open(path).read(buffer, position),
      }),
    }));
    const { store, disk } = world;
    const { facts, bytes } = makeChunk(1000);
    await landBytes(store, disk, facts, bytes);
    failures = 1;
    expect(await store.verify(facts.chunk)).toBe("good");
    failures = 2;
    expect(await store.verify(facts.chunk)).toBe("corrupt");
  });
});

test("check calls nothing missing in another keeper's directory", async () => {
  using world = await openWorld();
  const foreign = new TydfsError("local", "This is another keeper's directory");
  const { disk, share } = world;
  const options = { disk, share, reserveBytes: 0, clock: systemClock, random };
  const store = new ChunkStore({ ...options, checkPremises: () => Promise.reject(foreign) });
  expect(await codeOf(store.check([["ab".repeat(16), 5]]))).toBe("local");
});

describe("a failing disk", () => {
  test("is read-only after three failed syncs, none of which is retried", async () => {
    let syncs = 0;
    using world = await openWorld((disk) => ({
      open: (path) => ({
        ...disk.open(path),
        datasync() {
          syncs++;
          return Promise.reject(fault("EIO"));
        },
      }),
    }));
    const { store, disk } = world;
    for (const attempt of [1, 2, 3]) {
      const { facts, bytes } = makeChunk(10);
      expect(store.writable).toBe(true);
      expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
      expect(syncs).toBe(attempt);
      expect(await store.find(facts.chunk)).toEqual({ kind: "missing" });
    }
    expect(store.writable).toBe(false);
    expect(world.sibling.writable).toBe(false);
    const { facts, bytes } = makeChunk(10);
    expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
    expect(syncs).toBe(3);
    expect(readdirSync(join(world.directory, "tmp"))).toEqual([]);
  });

  // Three times too many open files had made a good disk read-only until the next start.
  test("is not one that lacks files, memory or patience for a moment", async () => {
    for (const code of ["EMFILE", "ENFILE", "ENOMEM", "EINTR", "EAGAIN"]) {
      let isShort = true;
      using world = await openWorld((disk) => ({
        syncDirectory: (path) =>
          isShort && path !== "." ? Promise.reject(fault(code)) : disk.syncDirectory(path),
      }));
      const { store, disk } = world;
      const { facts, bytes } = makeChunk(10);
      for (let attempt = 0; attempt < 5; attempt++) {
        expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
      }
      expect([code, store.writable, store.fault]).toEqual([code, true, undefined]);
      isShort = false;
      expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("ok");
    }
  });

  test("says why it takes nothing, in all threads", async () => {
    for (const [code, expected] of [["EIO", "broken"], ["EROFS", "read-only"]] as const) {
      using world = await openWorld(() => ({ write: () => Promise.reject(fault(code)) }));
      const { store, sibling, disk } = world;
      for (let attempt = 0; attempt < 3; attempt++) {
        const { facts, bytes } = makeChunk(10);
        expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
      }
      expect([store.fault, sibling.fault]).toEqual([expected, expected]);
    }
  });

  test("whose directory can't be synced keeps no chunk that may be lost", async () => {
    let isBroken = false;
    using world = await openWorld((disk) => ({
      syncDirectory: (path) => isBroken ? Promise.reject(fault("EIO")) : disk.syncDirectory(path),
    }));
    isBroken = true;
    const { facts, bytes } = makeChunk(10);
    const { store, disk } = world;
    expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
    expect(await store.find(facts.chunk)).toEqual({ kind: "missing" });
    expect(store.chunks).toBe(0);
    isBroken = false;
    expect(await landBytes(store, disk, facts, bytes)).toBe("new");
  });

  test("whose directory can't be synced leaves a copy that was kept before", async () => {
    let isBroken = false;
    using world = await openWorld((disk) => ({
      syncDirectory: (path) => isBroken ? Promise.reject(fault("EIO")) : disk.syncDirectory(path),
    }));
    const { facts, bytes } = makeChunk(10);
    const { store, disk } = world;
    expect(await landBytes(store, disk, facts, bytes)).toBe("new");
    isBroken = true;
    expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
    isBroken = false;
    expect(await store.verify(facts.chunk)).toBe("good");
    expect(store.chunks).toBe(1);
  });

  test("takes no copy back that a sibling has called present", async () => {
    const failing = Promise.withResolvers<void>();
    let syncs = 0;
    using world = await openWorld((disk) => ({
      // Of the shelf's syncs the first fails, late; any other is good at once.
      syncDirectory: (path) =>
        /\w\w\/\w\w$/.test(path) && ++syncs === 1 ? failing.promise : disk.syncDirectory(path),
    }));
    const { facts, bytes } = makeChunk(10);
    const { store, sibling, disk } = world;
    const first = codeOf(landBytes(store, disk, facts, bytes));
    while (syncs === 0) await systemClock.sleep(1);
    const second = landBytes(sibling, disk, facts, bytes);
    await systemClock.sleep(20);
    failing.reject(fault("EIO"));
    expect(await first).toBe("unavailable");
    expect(await second).toBe("new");
    expect(await store.verify(facts.chunk)).toBe("good");
    expect(store.chunks).toBe(1);
  });

  test("that is mounted read-only is so at once", async () => {
    using world = await openWorld(() => ({ write: () => Promise.reject(fault("EROFS")) }));
    const { facts, bytes } = makeChunk(10);
    const { store, disk } = world;
    expect(await codeOf(landBytes(store, disk, facts, bytes))).toBe("unavailable");
    expect(store.writable).toBe(false);
  });

  test("that is full refuses, keeps its reserve, and recovers with its space", async () => {
    let freeBytes = 10 * MIB;
    let isFull = false;
    using world = await openWorld((disk) => ({
      space: () => Promise.resolve({ totalBytes: 100 * MIB, freeBytes }),
      write: (path, pieces, options) =>
        isFull ? Promise.reject(fault("ENOSPC")) : disk.write(path, pieces, options),
    }), 8 * MIB);
    const { store, disk } = world;
    const big = makeChunk(3 * MIB);
    const small = makeChunk(1000);
    expect(await store.space()).toEqual({ totalBytes: 100 * MIB, freeBytes: 2 * MIB });
    expect(await codeOf(landBytes(store, disk, big.facts, big.bytes))).toBe("no-space");
    expect(store.writable).toBe(true);
    isFull = true;
    freeBytes = MIB;
    expect(await codeOf(landBytes(store, disk, small.facts, small.bytes))).toBe("no-space");
    expect(store.writable).toBe(false);
    expect(await codeOf(landBytes(store, disk, small.facts, small.bytes))).toBe("no-space");
    isFull = false;
    expect([store.fault, world.sibling.fault]).toEqual(["full", "full"]);
    freeBytes = 20 * MIB;
    expect(await codeOf(landBytes(world.sibling, disk, small.facts, small.bytes))).toBe("ok");
    expect(world.share.full).toBe(false);
  });

  test("keeps 1 GiB or 1 % of the disk free where nothing is said of a reserve", async () => {
    const table: [totalBytes: number, freeBytes: number, roomBytes: number][] = [
      [10 * GIB, 3 * GIB, 2 * GIB],
      [400 * GIB, 9 * GIB, 5 * GIB],
      [400 * GIB, 4 * GIB, 0],
      [GIB, GIB, 0],
    ];
    for (const [totalBytes, freeBytes, roomBytes] of table) {
      const space = () => Promise.resolve({ totalBytes, freeBytes });
      using world = await openWorld(() => ({ space }), "default");
      expect(await world.store.space()).toEqual({ totalBytes, freeBytes: roomBytes });
      expect(world.store.fault).toBe(roomBytes > 0 ? undefined : "full");
    }
  });
});

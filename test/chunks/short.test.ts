/** Short chunks, which land from memory: the same promises as of those that come into a file. */
import { describe, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "../../src/base/random.ts";
import type { ChunkStore } from "../../src/chunks/chunk_store.ts";
import { chunkPath, SIDECAR_ENDING } from "../../src/chunks/places.ts";
import type { ChunkFacts } from "../../src/chunks/sidecar.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { factsOf, makeChunk, openWorld, random } from "./fixture.ts";

async function land(store: ChunkStore, facts: ChunkFacts, bytes: Uint8Array) {
  return await (await store.receiveShort(facts, () => Promise.resolve(bytes))).keep();
}

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

describe("receiveShort", () => {
  test("keeps the bytes with their sidecar, as any chunk's", async () => {
    using world = await openWorld();
    const { store, directory } = world;
    for (const size of [0, 1, 4096, 60_000]) {
      const { facts, bytes } = makeChunk(size);
      const draft = await store.receiveShort(facts, () => Promise.resolve(bytes));
      expect(draft.body()).toBe(bytes);
      expect(await draft.keep()).toBe("new");
      expect(readFileSync(join(directory, chunkPath(facts.chunk))).equals(bytes)).toBe(true);
      expect(await store.facts(facts.chunk)).toMatchObject(facts);
      expect(await store.verify(facts.chunk)).toBe("good");
    }
    expect(store.chunks).toBe(4);
    expect(readdirSync(join(directory, "tmp"))).toEqual([]);
  });

  test("writes nothing of a wrong length, of wrong bytes, or of a body that breaks off", async () => {
    let created = 0;
    using world = await openWorld((disk) => ({
      create: (path, bytes) => {
        created++;
        return disk.create(path, bytes);
      },
    }));
    const { store, share } = world;
    const { facts, bytes } = makeChunk(5000);
    expect(await codeOf(land(store, facts, bytes.subarray(1)))).toBe("invalid");
    const wrong = bytes.with(77, (bytes[77] ?? 0) ^ 1);
    expect(await codeOf(land(store, facts, wrong))).toBe("corrupt");
    const gone = new TydfsError("interrupted", "The sender has gone");
    expect(await codeOf(store.receiveShort(facts, () => Promise.reject(gone)))).toBe("interrupted");
    expect(created).toBe(0);
    expect(share.promisedBytes).toBe(0);
    expect(await store.find(facts.chunk)).toEqual({ kind: "missing" });
  });

  test("stores one copy in two threads at once; of two contents one wins", async () => {
    using world = await openWorld();
    const { store, sibling, directory } = world;
    const { facts, bytes } = makeChunk(3000);
    const stores = [store, sibling, store, sibling];
    const kept = await Promise.all(stores.map((each) => land(each, facts, bytes)));
    expect(kept.filter((how) => how === "new").length).toBe(1);
    const id = randomHex(random, 16);
    const contents = stores.map(() => random.bytes(2000));
    const codes = await Promise.all(
      contents.map((each, at) => codeOf(land(stores[at] ?? store, factsOf(each, id), each))),
    );
    expect(codes.toSorted()).toEqual(["conflict", "conflict", "conflict", "ok"]);
    expect(store.chunks).toBe(2);
    expect(readdirSync(join(directory, "tmp"))).toEqual([]);
  });

  for (const which of ["", SIDECAR_ENDING]) {
    const what = which === "" ? "bytes" : "sidecar";

    test(`keeps no chunk whose ${what} can't be synced, and does not try again`, async () => {
      let syncs = 0;
      using world = await openWorld((disk) => ({
        create(path, bytes) {
          const file = disk.create(path, bytes);
          if (path.endsWith(SIDECAR_ENDING) !== (which !== "")) return file;
          return {
            ...file,
            datasync: () => {
              syncs++;
              return Promise.reject(fault("EIO"));
            },
          };
        },
      }));
      const { store, share, directory } = world;
      const { facts, bytes } = makeChunk(1000);
      expect(await codeOf(land(store, facts, bytes))).toBe("unavailable");
      expect([syncs, share.errors, share.promisedBytes]).toEqual([1, 1, 0]);
      expect(await store.find(facts.chunk)).toEqual({ kind: "missing" });
      expect(readdirSync(join(directory, "tmp"))).toEqual([]);
    });

    test(`leaves nothing when there is no room for its ${what}`, async () => {
      using world = await openWorld((disk) => ({
        create(path, bytes) {
          if (path.endsWith(SIDECAR_ENDING) === (which !== "")) throw fault("ENOSPC");
          return disk.create(path, bytes);
        },
      }));
      const { store, share, directory } = world;
      const { facts, bytes } = makeChunk(1000);
      expect(await codeOf(land(store, facts, bytes))).toBe("no-space");
      expect([share.full, share.promisedBytes]).toEqual([true, 0]);
      expect(readdirSync(join(directory, "tmp"))).toEqual([]);
    });
  }
});

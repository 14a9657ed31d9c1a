/** Whether a data directory is still the keeper's own; nothing is called missing when it is not. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { StoreShare } from "../../src/chunks/store_share.ts";
import { checkPremises } from "../../src/keeper/premises.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { makeId } from "../../src/wire/ids.ts";
import { landBytes, makeChunk } from "../chunks/fixture.ts";
import { random } from "./world.ts";

const ID = makeId(random);
let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "tydfs-premises-"));
  mkdirSync(join(directory, "chunks"));
  writeFileSync(join(directory, "keeper.json"), JSON.stringify({ id: ID }));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function verdict(disk = systemDisk(directory)): Promise<string> {
  try {
    await checkPremises(disk, ID);
    return "ours";
  } catch (error) {
    return error instanceof TydfsError ? `${error.code}: ${error.message}` : String(error);
  }
}

test("checkPremises refuses a directory that was wiped, replaced or has lost its chunks", async () => {
  expect(await verdict()).toBe("ours");
  rmSync(join(directory, "chunks"), { recursive: true });
  expect(await verdict()).toMatch(/^unavailable: .*its directory chunks is gone/);
  writeFileSync(join(directory, "keeper.json"), JSON.stringify({ id: makeId(random) }));
  expect(await verdict()).toMatch(/that of another keeper; it was wiped, or another disk/);
  rmSync(join(directory, "keeper.json"));
  expect(await verdict()).toMatch(/its keeper.json is gone/);
  rmSync(directory, { recursive: true });
  expect(await verdict()).toMatch(/its keeper.json is gone/);
});

test("checkPremises takes a disk that fails for no proof", async () => {
  const failing = () => Promise.reject(Object.assign(new Error("EIO"), { code: "EIO" }));
  expect(await verdict({ ...systemDisk(directory), read: failing })).toBe("ours");
});

test("ChunkStore calls nothing missing, and lands nothing, in a directory that is not its own", async () => {
  const disk = systemDisk(directory);
  const store = new ChunkStore({
    ...{ disk, share: new StoreShare(), reserveBytes: 0, clock: systemClock, random },
    checkPremises: () => checkPremises(disk, ID),
  });
  const { facts, bytes } = makeChunk(10);
  const { chunk } = facts;
  const asks = {
    find: async () => (await store.find(chunk)).kind,
    verify: () => store.verify(chunk),
    inventory: async () => (await store.inventory("", 9)).last,
    land: () => landBytes(store, disk, facts, bytes),
  };
  await store.prepare();
  expect([await asks.find(), await asks.verify(), await asks.inventory(), await asks.land()])
    .toEqual(["missing", "missing", true, "new"]);
  await store.remove(facts.chunk);
  rmSync(join(directory, "keeper.json"));
  for (const ask of Object.values(asks)) {
    await expect(ask()).rejects.toMatchObject({ code: "unavailable" });
  }
});

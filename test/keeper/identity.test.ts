/** Who a keeper is: kept over restarts, counted, and never mixed up with another's. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { takeFileLock } from "../../src/base/file_lock.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { lockDirectory, openIdentity } from "../../src/keeper/identity.ts";
import { random } from "./world.ts";

function scratch() {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-identity-"));
  const options = {
    ...{ disk: systemDisk(directory), directory, cluster: "main", ticketKey: "key" },
    ...{ clock: systemClock, random },
  };
  return { directory, options, [Symbol.dispose]: () => rmSync(directory, { recursive: true }) };
}

test("openIdentity keeps the id, counts the starts, and makes each instance anew", async () => {
  using world = scratch();
  const first = await openIdentity(world.options);
  const second = await openIdentity(world.options);
  expect(second.id).toBe(first.id);
  expect([first.epoch, second.epoch]).toEqual([1, 2]);
  expect(second.instance).not.toBe(first.instance);
});

test("openIdentity counts the start on a full disk too", async () => {
  using world = scratch();
  const { disk } = world.options;
  await openIdentity(world.options);
  const fault = Object.assign(new Error("ENOSPC: injected"), { code: "ENOSPC" });
  const full = { ...disk, write: () => Promise.reject(fault) };
  for (const epoch of [2, 3]) {
    expect((await openIdentity({ ...world.options, disk: full })).epoch).toBe(epoch);
  }
  expect((await openIdentity(world.options)).epoch).toBe(4);
});

test("openIdentity refuses another cluster's directory by name", async () => {
  using world = scratch();
  await openIdentity(world.options);
  const foreign = openIdentity({ ...world.options, ticketKey: "another" });
  await expect(foreign).rejects.toThrow('belongs to cluster "main"');
  const renamed = openIdentity({ ...world.options, cluster: "other" });
  await expect(renamed).rejects.toThrow('the URL is of cluster "other"');
});

test("openIdentity refuses what it can't read, and chunks without an identity", async () => {
  using world = scratch();
  await openIdentity(world.options);
  writeFileSync(join(world.directory, "format"), "99\n");
  await expect(openIdentity(world.options)).rejects.toThrow('its format is "99"');
  writeFileSync(join(world.directory, "format"), "1\n");
  writeFileSync(join(world.directory, "epoch"), "many\n");
  await expect(openIdentity(world.options)).rejects.toThrow("its epoch is malformed");
  writeFileSync(join(world.directory, "keeper.json"), "{}");
  await expect(openIdentity(world.options)).rejects.toThrow("malformed");
  rmSync(join(world.directory, "keeper.json"));
  mkdirSync(join(world.directory, "chunks", "ab"), { recursive: true });
  await expect(openIdentity(world.options)).rejects.toThrow("it has chunks");
});

test("lockDirectory lets one keeper in", () => {
  using world = scratch();
  const lock = lockDirectory(world.directory, takeFileLock);
  expect(() => lockDirectory(world.directory, takeFileLock)).toThrow("another keeper runs on it");
  lock.release();
  lockDirectory(world.directory, takeFileLock).release();
});

/** The master's epoch: kept over restarts, one for all threads; an older master is not obeyed. */
import { expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { Log, silentLog } from "../../src/base/log.ts";
import type { Disk } from "../../src/chunks/disk.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { MASTER_EPOCH_FILE, MasterEpoch } from "../../src/keeper/master_epoch.ts";
import { Membership } from "../../src/keeper/membership.ts";
import { Reporter } from "../../src/keeper/reporter.ts";
import { call, serve } from "../../src/wire/bus.ts";
import { commandInventory } from "../../src/wire/command.ts";
import { reportJoined } from "../../src/wire/report.ts";
import { get, put, putTicket, random, subjects, World } from "./world.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";

function scratch(change: Partial<Disk> = {}) {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-epoch-"));
  const disk: Disk = { ...systemDisk(directory), ...change };
  const options = { disk, clock: systemClock, log: silentLog };
  const path = join(directory, MASTER_EPOCH_FILE);
  return {
    ...{ directory, options },
    open: () => MasterEpoch.open(options, directory),
    kept: () => readFileSync(path, "utf8"),
    write: (text: string) => writeFileSync(path, text),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

test("MasterEpoch survives a restart: an older master is refused, this and newer ones not", async () => {
  using world = scratch();
  const before = await world.open();
  expect(before.newest).toBe(0);
  await before.check(9);
  expect(world.kept()).toBe("9\n");
  const after = await world.open();
  expect(after.newest).toBe(9);
  await expect(after.check(3)).rejects.toMatchObject({ code: "stale-epoch" });
  await after.check(9);
  await after.check(10);
  expect((await world.open()).newest).toBe(10);
});

test("MasterEpoch of many threads at once keeps the newest", async () => {
  using world = scratch();
  const first = await world.open();
  const threads = [first, ...[1, 2, 3].map(() => new MasterEpoch(world.options, first.buffer))];
  const checks = Array.from({ length: 40 }, (_, n) => threads[n % 4]?.check(n + 1));
  await Promise.allSettled(checks);
  await first.check(40);
  expect(world.kept()).toBe("40\n");
});

test("MasterEpoch that can't be written is known all the same, and written later", async () => {
  let isFull = true;
  const full = Object.assign(new Error("ENOSPC: injected"), { code: "ENOSPC" });
  using world = scratch();
  const { write } = world.options.disk;
  world.options.disk.write = (...all) => isFull ? Promise.reject(full) : write(...all);
  const epoch = await world.open();
  await epoch.check(5);
  await expect(epoch.check(4)).rejects.toMatchObject({ code: "stale-epoch" });
  isFull = false;
  await epoch.check(5);
  expect(world.kept()).toBe("5\n");
});

test("MasterEpoch refuses a file that is none", async () => {
  using world = scratch();
  for (const text of ["", "x", "-1", "1.5"]) {
    world.write(text);
    await expect(world.open()).rejects.toThrow("its master-epoch is malformed");
  }
});

test("MasterEpoch obeys the masters of one catalog only, over restarts too", async () => {
  using world = scratch();
  const [mine, other] = ["0123456789abcdef".repeat(2), "f".repeat(32)];
  const first = await world.open();
  expect(first.catalog).toBeUndefined();
  await first.check(3, mine);
  expect(world.kept()).toBe(`3 ${mine}\n`);
  const again = await world.open();
  expect(again.catalog).toBe(mine);
  await expect(again.check(9, other)).rejects.toMatchObject({ code: "stale-epoch" });
  // Until its own master is heard again, nobody can tell whose command it is.
  await expect(again.check(3)).rejects.toMatchObject({ code: "stale-epoch" });
  await again.check(3, mine);
  await again.check(3);
  expect(again.newest).toBe(3);
});

test("MasterEpoch takes a newer epoch only with its catalog, once it knows one", async () => {
  using world = scratch();
  const main = await world.open();
  const catalog = "ab".repeat(16);
  const streamer = new MasterEpoch(world.options, main.buffer);
  await streamer.check(2);
  expect(world.kept()).toBe("2\n");
  await main.check(2, catalog);
  expect(world.kept()).toBe(`2 ${catalog}\n`);
  await expect(streamer.check(5)).rejects.toMatchObject({ code: "unavailable" });
  expect(main.newest).toBe(2);
  await main.check(5, catalog);
  await streamer.check(5);
  expect(() => main.refuseOlder(4)).toThrow("Master epoch 4 is over");
});

test("a master on an older catalog: no inventory, no obedience, a way out; reads go on", async () => {
  await using world = new World();
  const keeper = await world.keeper();
  const { id: keeperId, store, masterEpoch } = keeper;
  const bytes = random.bytes(100);
  const ticket = putTicket(bytes, [keeper.hop]);
  await put(keeper, ticket, bytes);
  await masterEpoch.check(9);

  const lines: string[] = [];
  const write = (line: string) => void lines.push(line);
  const log = new Log("keeper", { level: "error", format: "text", nowMs: () => 0, write });
  const parts = { bus: world.bus, subjects, clock: systemClock, random, log };
  const joined: boolean[] = [];
  const membership = new Membership({
    ...{ ...parts, store, masterEpoch, signal: new AbortController().signal },
    introduction: {
      ...{ keeper: keeperId, name: "k", epoch: 3, instance: keeperId, protocol: PROTOCOL_VERSION },
      ...{ version: "1", host: "127.0.0.1", ports: [7000], slots: 8, labels: {} },
    },
    reporter: new Reporter({ ...parts, keeperId }),
    onJoined: (_reply, current) => void joined.push(current),
    onRefused: (error) => {
      throw error;
    },
  });
  let [epoch, catalog] = [4, keeperId];
  serve(world.bus, subjects.report(keeperId, "joined"), reportJoined, {
    onFailure: () => {},
  }, () => ({ number: 0, masterEpoch: epoch, catalog, beatMs: 1000, chunkBytes: 1 }));

  await membership.join();
  expect(joined).toEqual([false]);
  expect(world.inventories).toEqual([]);
  expect(lines.join()).toContain("catalog is older");
  expect(lines.join()).toContain("restore the newer catalog");
  expect(lines.join()).toContain(`delete DATA/${MASTER_EPOCH_FILE}`);
  const subject = subjects.command(keeperId, "inventory");
  const order = call(world.bus, subject, commandInventory, { epoch }, { timeoutMs: 1_000 });
  await expect(order).rejects.toMatchObject({ code: "stale-epoch" });
  expect((await get(keeper, ticket.chunk)).status).toBe(200);

  epoch = 10;
  await membership.join();
  expect(joined).toEqual([false, true]);
  expect(world.inventories.length).toBe(1);
  expect(masterEpoch.newest).toBe(10);

  // A master that was restarted often enough, but on another catalog.
  [epoch, catalog] = [99, "f".repeat(32)];
  await membership.join();
  expect(joined).toEqual([false, true, false]);
  expect(world.inventories.length).toBe(1);
  expect(lines.join()).toContain("catalog is another one than this keeper has obeyed");
  expect(masterEpoch.newest).toBe(10);
});

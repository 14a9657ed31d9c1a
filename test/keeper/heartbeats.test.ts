/** Heartbeats and membership on virtual time. */
import { expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import type { Disk } from "../../src/chunks/disk.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { StoreShare } from "../../src/chunks/store_share.ts";
import { Heartbeats } from "../../src/keeper/heartbeats.ts";
import { MasterEpoch } from "../../src/keeper/master_epoch.ts";
import { Membership } from "../../src/keeper/membership.ts";
import { Reporter } from "../../src/keeper/reporter.ts";
import { ScrubShare } from "../../src/keeper/scrub_share.ts";
import { PortTable } from "../../src/tables/port_table.ts";
import { serve } from "../../src/wire/bus.ts";
import { decode } from "../../src/wire/codec.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { Heartbeat } from "../../src/wire/heartbeat.ts";
import { makeId } from "../../src/wire/ids.ts";
import { reportInventory, reportJoined } from "../../src/wire/report.ts";
import { ManualClock } from "../manual_clock.ts";
import { MemoryBus } from "./memory_bus.ts";
import { random, subjects } from "./world.ts";
import { QUIET_SCRUB } from "../quiet_status.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";

function makeWorld(change: Partial<Disk> = {}) {
  const clock = new ManualClock();
  const bus = new MemoryBus();
  const keeperId = makeId(random);
  const space = () => Promise.resolve({ totalBytes: 1000, freeBytes: 600 });
  const disk: Disk = { ...systemDisk("/nonexistent"), space, ...change };
  const share = new StoreShare();
  const store = new ChunkStore({ disk, clock, random, share, reserveBytes: 100 });
  const ports = new PortTable(2);
  ports.open(0, 7000, 8);
  ports.open(1, 7001, 8);
  const hung: number[] = [];
  const scrub = new ScrubShare();
  const heartbeats = new Heartbeats({
    ...{ scrub, keeperId, epoch: 3, bus, subjects, ports, streamers: 2, store, clock },
    onHung: (row) => hung.push(row),
  });
  const beats = () => bus.published.map(({ payload }) => decode(Heartbeat, payload, "a heartbeat"));
  return { clock, bus, keeperId, store, disk, share, scrub, ports, hung, heartbeats, beats };
}

test("heartbeats tell ports, grants and disk, numbered, at their pace", async () => {
  const world = makeWorld();
  world.ports.hold(1, 77);
  world.ports.setStreams(1, 2);
  await world.heartbeats.start(1000);
  await world.clock.advance(3000);
  expect(world.beats().map(({ beat }) => beat)).toEqual([1, 2, 3, 4]);
  expect(world.beats()[3]).toEqual({
    ...{ keeper: world.keeperId, epoch: 3, beat: 4, chunks: 0, readOnly: false, leaving: false },
    ...{ totalBytes: 1000, freeBytes: 500, aside: 0, scrub: QUIET_SCRUB },
    ports: [
      { port: 7000, slots: 8, inUse: 0, bytesIn: 0, bytesOut: 0, grants: [] },
      { port: 7001, slots: 8, inUse: 2, bytesIn: 0, bytesOut: 0, grants: [77] },
    ],
  });
  await world.heartbeats.start(1000, { readOnly: true });
  expect(world.beats()[4]?.readOnly).toBe(true);
  await world.heartbeats.start(1000);
  expect(world.beats()[5]?.readOnly).toBe(false);
  world.heartbeats.leave();
  await world.clock.advance(5000);
  expect(world.beats().length).toBe(7);
  expect(world.beats()[6]?.leaving).toBe(true);
});

test("a disk that hangs makes the keeper read-only, not silent", async () => {
  let isHung = false;
  const world = makeWorld({
    space: () =>
      isHung ? new Promise(() => {}) : Promise.resolve({ totalBytes: 9, freeBytes: 900 }),
  });
  await world.heartbeats.start(1000);
  isHung = true;
  await world.clock.advance(20_000);
  expect(world.beats().length).toBe(21);
  expect(world.beats()[5]?.readOnly).toBe(false);
  expect(world.beats()[20]?.readOnly).toBe(true);
});

test("a streamer that stands still for ten beats is told of", async () => {
  const world = makeWorld();
  world.clock.every(100, () => world.ports.tick(0));
  await world.heartbeats.start(1000);
  await world.clock.advance(10_500);
  expect(world.hung).toEqual([]);
  await world.clock.advance(1000);
  expect(world.hung).toEqual([1]);
});

test("membership goes on until the master answers, and again when it is asked to", async () => {
  const { clock, bus, keeperId, store, disk } = makeWorld();
  const log = silentLog;
  let joins = 0;
  let inventories = 0;
  const refused: unknown[] = [];
  const membership = new Membership({
    introduction: {
      ...{
        keeper: keeperId,
        name: "k",
        epoch: 3,
        instance: makeId(random),
        protocol: PROTOCOL_VERSION,
      },
      ...{ version: "1", host: "127.0.0.1", ports: [7000], slots: 8, labels: {} },
    },
    ...{ bus, subjects, store, clock, random, log, signal: new AbortController().signal },
    reporter: new Reporter({ bus, subjects, keeperId, clock, random, log }),
    masterEpoch: new MasterEpoch({ disk, clock, log }),
    onJoined: () => void joins++,
    onRefused: (error) => refused.push(error),
  });
  const joining = membership.join();
  await clock.advance(10_000);
  expect(joins).toBe(0);
  const on = { onFailure: () => {} };
  let answer = () => ({
    number: 0,
    masterEpoch: 1,
    catalog: keeperId,
    beatMs: 1000,
    chunkBytes: 1,
  });
  serve(bus, subjects.report(keeperId, "joined"), reportJoined, on, () => answer());
  serve(bus, subjects.report(keeperId, "inventory"), reportInventory, on, () => {
    inventories++;
    return { unknown: 0, missing: 0, wrongSize: [] };
  });
  await clock.runUntil(joining);
  expect([joins, inventories]).toEqual([1, 1]);
  const again = membership.join();
  await clock.runUntil(Promise.all([again, membership.join()]));
  expect(joins).toBe(3);
  answer = () => {
    throw new TydfsError("denied", "This keeper may not join");
  };
  await clock.runUntil(membership.join());
  expect(refused.length).toBe(1);
});

test("membership gives up an inventory that nobody takes when it is to introduce itself anew", async () => {
  const { clock, bus, keeperId, store, disk } = makeWorld();
  const log = silentLog;
  const joins = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let joined = 0;
  const membership = new Membership({
    introduction: {
      ...{ keeper: keeperId, name: "k", epoch: 3, instance: makeId(random) },
      ...{ protocol: PROTOCOL_VERSION, version: "1", host: "127.0.0.1", ports: [7000] },
      ...{ slots: 8, labels: {} },
    },
    ...{ bus, subjects, store, clock, random, log, signal: new AbortController().signal },
    reporter: new Reporter({ bus, subjects, keeperId, clock, random, log }),
    masterEpoch: new MasterEpoch({ disk, clock, log }),
    onJoined: () => joins[joined++]?.resolve(),
    onRefused: () => {},
  });
  const on = { onFailure: () => {} };
  const reply = { number: 0, masterEpoch: 1, catalog: keeperId, beatMs: 1000, chunkBytes: 1 };
  // A master that dies before it takes the inventory.
  serve(bus, subjects.report(keeperId, "joined"), reportJoined, on, () => reply);
  const joining = membership.join();
  await clock.runUntil(joins[0]?.promise ?? joining);
  await clock.advance(1_000);
  const askedMs = clock.monotonicMs();
  void membership.join();
  await clock.runUntil(joins[1]?.promise ?? joining);
  expect(clock.monotonicMs() - askedMs).toBeLessThan(5_000);
  serve(bus, subjects.report(keeperId, "inventory"), reportInventory, on, () => {
    return { unknown: 0, missing: 0, wrongSize: [] };
  });
  await clock.runUntil(joining);
  expect(joined).toBe(2);
});

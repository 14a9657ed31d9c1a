/**
 * Disks that fail, fill up, turn read-only or slow down under a keeper or under the catalog: never
 * a false success; others are taken; it is said; and what can recover recovers.
 */
import { afterEach, expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { TydfsClient } from "../../src/client/client.ts";
import type { KeeperStatus } from "../../src/wire/cluster.ts";
import { MIB, TestCluster, until } from "../cluster/harness.ts";
import { Injection } from "./injection.ts";
import { Ledger, seededRandom, someBytes } from "./ledger.ts";
import { DiskImage } from "./power/disk_image.ts";
import { findTorn } from "./power/torn.ts";
import { SmallDisk } from "./small_disk.ts";

const SETTINGS = { TYDFS_CHUNK_SIZE: "1MiB", TYDFS_RESERVE: "8MiB" };
const SMALL_MIB = 64;

const random = seededRandom(9);
let cluster: TestCluster;
let ledger = new Ledger();
const cleanups: (() => unknown)[] = [];
const clients: TydfsClient[] = [];

afterEach(async () => {
  // While its master is there: later it has nobody to take leave of.
  for (const client of clients.splice(0)) await client.close().catch(() => {});
  for (const k of [1, 2, 3, 4]) await cluster.killKeeper(k);
  await cluster.killMaster("SIGTERM");
  for (const clean of cleanups.splice(0).reverse()) await clean();
  await cluster.stop();
});

/** A cluster of 4 keepers; `before` may give them disks. */
async function start(before: () => unknown = () => {}, settings = {}): Promise<TydfsClient> {
  cluster = new TestCluster({ env: { ...SETTINGS, ...settings } });
  ledger = new Ledger();
  await before();
  await cluster.startMaster();
  await Promise.all([1, 2, 3, 4].map((k) => cluster.startKeeper(k)));
  await cluster.untilAlive(4);
  return await connect();
}

async function connect(): Promise<TydfsClient> {
  const client = await TydfsClient.connect({ url: cluster.clientUrl, waitMs: 10_000 });
  clients.push(client);
  return client;
}

function mountSmall(dir: string): void {
  const disk = SmallDisk.mount(dir, SMALL_MIB);
  cleanups.push(() => disk.unmount());
}

/** Takes all the space that is left below `dir`; returns how to give it back. */
function fill(dir: string): () => void {
  const path = join(dir, "filler");
  const filler = openSync(path, "w");
  try {
    for (const piece = new Uint8Array(65_536);;) writeSync(filler, piece);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ENOSPC")) throw error;
  } finally {
    closeSync(filler);
  }
  return () => rmSync(path);
}

async function inject(pid: number, calls: string[], what: string): Promise<Injection> {
  const injection = await Injection.begin(pid, calls, what);
  cleanups.push(() => injection.end());
  return injection;
}

/** Puts `count` files, each on as many keepers as can be; returns why any is in doubt. */
async function put(client: TydfsClient, count: number, sizeBytes = 300_000): Promise<unknown[]> {
  const doubts: unknown[] = [];
  for (let n = 0; n < count; n++) {
    const path = `/files/${ledger.paths.length}`;
    doubts.push(await ledger.put(client, path, someBytes(sizeBytes, random), { replicas: 4 }));
  }
  return doubts.filter((doubt) => doubt !== undefined);
}

async function keeperOne(client: TydfsClient): Promise<KeeperStatus | undefined> {
  return (await client.status()).keepers.find(({ name }) => name === "keeper-1");
}

const SYNCS = ["fsync", "fdatasync"];

for (const [what, calls] of [["sync", SYNCS], ["write", ["pwrite64"]]] as const) {
  test(
    `a keeper whose disk fails each ${what}: others are taken, it is said, nothing is lost`,
    async () => {
      const client = await start();
      expect(await put(client, 2)).toEqual([]);
      const injection = await inject(cluster.keeperPid(1), [...calls], "error=EIO");
      const isReadOnly = async () => {
        expect(await put(client, 1)).toEqual([]);
        return (await keeperOne(client))?.readOnly === true;
      };
      await until("the disk is said to be read-only", isReadOnly);
      expect(findTorn(cluster.keeperDir(1))).toEqual([]);
      // It goes on serving what it has.
      expect((await keeperOne(client))?.state).toBe("ALIVE");
      expect(await ledger.check(client)).toEqual([]);
      await injection.end();
      await cluster.killKeeper(1);
      await cluster.startKeeper(1);
      await until("a restart clears it", async () => (await keeperOne(client))?.readOnly === false);
      expect(await put(client, 2)).toEqual([]);
      expect(await ledger.check(client)).toEqual([]);
    },
    90_000,
  );

  test(
    `a catalog whose disk fails a ${what}: the master ends, what was answered is there`,
    async () => {
      const client = await start();
      expect(await put(client, 3)).toEqual([]);
      const injection = await inject(cluster.masterPid, [...calls], "error=EIO");
      const end = cluster.masterEnd();
      const stop = new AbortController();
      const bytes = someBytes(300_000, random);
      const putting = ledger.put(client, "/doubtful", bytes, { signal: stop.signal });
      expect(await end).not.toBe(0);
      stop.abort();
      expect(await putting).toBeDefined();
      expect(cluster.log("master")).toContain("Cannot write the catalog");
      await injection.end();
      await cluster.startMaster();
      await cluster.untilAlive(4);
      expect(await ledger.check(await connect())).toEqual([]);
    },
    90_000,
  );
}

test(
  "a keeper whose disk is full: others are taken, reads and removals go on, it recovers",
  async () => {
    const client = await start(() => mountSmall(cluster.keeperDir(1)));
    expect(await put(client, 3)).toEqual([]);
    const before = 3;
    await until("it has a copy of each", () => cluster.replicas(1).length === before);
    // More at once than a look at the space each second would tell: the writes themselves fail.
    const giveBack = fill(cluster.keeperDir(1));
    expect(await put(client, 4, 2.5 * MIB)).toEqual([]);
    await until("it has no room", async () => (await keeperOne(client))?.freeBytes === 0);
    expect(await ledger.check(client)).toEqual([]);
    expect(await ledger.remove(client, "/files/0")).toBeUndefined();
    await until("its chunk goes", () => cluster.replicas(1).length < before);
    expect(readdirSync(join(cluster.keeperDir(1), "tmp"))).toEqual([]);
    // Not a byte is left: started again it serves all the same.
    await cluster.killKeeper(1);
    fill(cluster.keeperDir(1));
    await cluster.startKeeper(1);
    await until("it is back", async () => (await keeperOne(client))?.state === "ALIVE");
    expect(await ledger.check(client)).toEqual([]);
    giveBack();
    const takesAgain = async () => {
      expect(await put(client, 1)).toEqual([]);
      return cluster.replicas(1).length > before;
    };
    await until("it takes chunks again", takesAgain);
    expect(await ledger.check(client)).toEqual([]);
  },
  90_000,
);

test("all keepers are full: put hears no-space at its begin, and leaves nothing", async () => {
  await start(() => {}, { TYDFS_RESERVE: "100TiB" });
  const { exit, stderr } = await cluster.run(["put", cluster.file("a.bin", 5 * MIB), "/a"]);
  expect(stderr).toContain("room");
  expect(exit).toBe(6);
  expect(await cluster.ok("ls", "--json", "/")).toBe("[]\n");
  expect([1, 2, 3, 4].flatMap((k) => cluster.replicas(k))).toEqual([]);
}, 60_000);

test(
  "the catalog's disk is full: the master says so and ends, and recovers with the space",
  async () => {
    const client = await start(() => mountSmall(cluster.masterDir));
    expect(await put(client, 3)).toEqual([]);
    const giveBack = fill(cluster.masterDir);
    const end = cluster.masterEnd();
    let ended = false;
    void end.then(() => ended = true);
    while (!ended) await Promise.race([put(client, 1), end]);
    expect(await end).not.toBe(0);
    expect(cluster.log("master")).toMatch(/Cannot write the catalog.*(full|I\/O)/);
    giveBack();
    await cluster.startMaster();
    await cluster.untilAlive(4);
    const again = await connect();
    expect(await ledger.check(again)).toEqual([]);
    expect(await put(again, 1)).toEqual([]);
  },
  90_000,
);

test(
  "a keeper's disk turns read-only: it is said, others are taken, its copies are served",
  async () => {
    let disk: DiskImage | undefined;
    const client = await start(() => {
      const file = join(cluster.dir, "disk.img");
      const point = cluster.keeperDir(1);
      disk = DiskImage.make({ file, point, fileSystem: "ext4", sizeBytes: 256 * MIB });
      cleanups.push(() => disk?.remove());
    });
    expect(await put(client, 3)).toEqual([]);
    await until("it has a copy of each", () => cluster.replicas(1).length === 3);
    disk?.turnReadOnly();
    const isReadOnly = async () => {
      expect(await put(client, 1)).toEqual([]);
      return (await keeperOne(client))?.readOnly === true;
    };
    await until("the disk is said to be read-only", isReadOnly);
    expect(await ledger.check(client)).toEqual([]);
    for (const k of [2, 3, 4]) await cluster.killKeeper(k);
    for (const path of ["/files/0", "/files/1", "/files/2"]) {
      const pieces: Uint8Array[] = [];
      for await (const piece of client.read(path)) pieces.push(piece.slice());
      expect(Buffer.concat(pieces).length).toBe(300_000);
    }
  },
  90_000,
);

test("a keeper whose syncs take a second each: puts and gets go on", async () => {
  const client = await start();
  const injection = await inject(cluster.keeperPid(1), SYNCS, "delay_enter=1000000");
  expect(await put(client, 2)).toEqual([]);
  expect(await ledger.check(client)).toEqual([]);
  await injection.end();
}, 60_000);

/**
 * `kill -9` at each named step of put, replace, get, repair, removal, packing and compaction: of a keeper, of the
 * master, of the client. The command goes on or ends cleanly, what was acknowledged is readable at
 * once, and when all is quiet nothing is left that nobody needs.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TydfsClient } from "../../src/client/client.ts";
import { MIB, TestCluster, until } from "../cluster/harness.ts";
import { Ledger, seededRandom, someBytes } from "./ledger.ts";
import { untilFree, untilSettled } from "./settled.ts";

const SETTINGS = {
  TYDFS_CHUNK_SIZE: "1MiB",
  TYDFS_SUSPECT_AFTER: "1s",
  TYDFS_DEAD_AFTER: "2s",
  TYDFS_UPLOAD_LEASE: "2s",
  TYDFS_UPLOAD_TTL: "2s",
};
const KEEPERS = [1, 2, 3, 4];
/** All keepers: with one of them away, a copy is owed to it. */
const EVERYWHERE = KEEPERS.length;
/** A step must be reached, and a command must end, within this time. */
const REACHED_MS = 20_000;

const random = seededRandom(4);
const ledger = new Ledger();
let cluster: TestCluster;
let connection: TydfsClient;
/** Made anew for each test: a client leaves out for a while what has just failed it. */
let client: TydfsClient;
let count = 0;

beforeAll(async () => {
  cluster = await TestCluster.start({ keepers: KEEPERS.length, env: SETTINGS });
  connection = await TydfsClient.connect({ url: cluster.clientUrl });
  client = connection.over({});
  for (let n = 0; n < 3; n++) expect(await put()).toBeUndefined();
}, 60_000);
afterAll(async () => {
  await connection.close();
  await cluster.stop();
});
beforeEach(() => void (client = connection.over({})));

/** Puts a file of one chunk or several, new or in place of another. */
async function put(replicas?: number): Promise<unknown> {
  const bytes = someBytes(count % 2 === 0 ? 300_000 : 2.5 * MIB, random);
  const path = `/files/${count++ % 5}`;
  return await ledger.put(client, path, bytes, replicas === undefined ? {} : { replicas });
}

/** Does `work` again and again until `end` has come; collects what it complains of. */
async function untilEnd(
  what: string,
  end: Promise<unknown>,
  work: () => Promise<unknown>,
): Promise<unknown[]> {
  const complaints: unknown[] = [];
  let ended = false;
  void end.then(() => ended = true);
  await until(what, async () => {
    if (!ended) complaints.push(await work());
    return ended;
  }, REACHED_MS);
  return complaints.flat().filter((complaint) => complaint !== undefined);
}

async function removeOne(): Promise<unknown> {
  const path = `/removed/${count++}`;
  const doubt = await ledger.put(client, path, someBytes(1000, random));
  return doubt ?? await ledger.remove(client, path);
}

/** Small local files, and where they are to go: `DIRECTORY/N`. */
function smallFiles(directory: string): { path: string; local: string; bytes: Uint8Array }[] {
  const place = join(cluster.dir, `small-${count++}`);
  mkdirSync(place);
  return [0, 70_000, 0, 1, 150_000].map((size, index) => {
    const bytes = someBytes(size, random);
    const local = join(place, `${index}`);
    writeFileSync(local, bytes);
    return { path: `${directory}/${index}`, local, bytes };
  });
}

async function putPack(): Promise<unknown> {
  return await ledger.putMany(client, smallFiles("/small"));
}

/** Puts a pack, and removes most of it. */
async function makeSparse(): Promise<unknown> {
  const files = smallFiles(`/sparse-${count}`);
  const doubts = await ledger.putMany(client, files);
  for (const { path, bytes } of files) {
    if (bytes.length !== 1) doubts.push(await ledger.remove(client, path));
  }
  return doubts;
}

/** Has keeper `k` go away, and copies be owed to it. */
async function oweCopies(k: number): Promise<void> {
  await cluster.killKeeper(k);
  for (let n = 0; n < 3; n++) expect(await put(EVERYWHERE)).toBeUndefined();
}

interface Step {
  step: string;
  /**
   * The keeper. One that has died over a copy is given no other for half a minute, so that each of
   * those steps has its own.
   */
  k: number;
  /** Before the role is started with the step armed. */
  prepare?: (k: number) => Promise<void>;
  /** Done again and again until the role has died. */
  work: () => Promise<unknown>;
  /** Once, when the role has been started with the step armed. */
  begin?: () => Promise<unknown>;
}

const nothing = () => Promise.resolve(undefined);
const check = () => ledger.check(client);

const KEEPER_STEPS: readonly Step[] = [
  { step: "keeper.put.arrived", k: 4, work: put },
  { step: "keeper.put.written", k: 4, work: put },
  { step: "keeper.put.synced", k: 4, work: put },
  { step: "keeper.put.renamed", k: 4, work: put },
  { step: "keeper.put.durable", k: 4, work: put },
  { step: "keeper.put.reported", k: 4, work: put },
  { step: "keeper.put.forwarded", k: 4, work: put },
  { step: "keeper.pack.listed", k: 4, work: putPack },
  { step: "keeper.get.serving", k: 4, work: check },
  { step: "keeper.copy.fetched", k: 1, prepare: oweCopies, work: nothing },
  { step: "keeper.copy.durable", k: 2, prepare: oweCopies, work: nothing },
  { step: "keeper.copy.reported", k: 3, prepare: oweCopies, work: nothing },
  // Which keepers have a file is not for the test to choose: the next one may be on this one.
  { step: "keeper.delete.removed", k: 4, work: removeOne },
];

for (const { step, k, prepare = nothing, begin = nothing, work } of KEEPER_STEPS) {
  test(`a keeper killed at ${step}: the command goes on, all is readable at once`, async () => {
    await prepare(k);
    await cluster.killKeeper(k);
    await cluster.startKeeper(k, { TYDFS_FAILPOINTS: `${step}=kill` });
    const end = cluster.keeperEnd(k);
    await begin();
    // The default arguments of `put` are not for it.
    expect(await untilEnd(`${step} is reached`, end, () => work())).toEqual([]);
    expect(await check()).toEqual([]);
    await untilFree(client);
    await cluster.startKeeper(k);
  }, 60_000);
}

test("after keepers have died at all steps: copies are complete, orphans are gone", async () => {
  await cluster.untilAlive(KEEPERS.length);
  await untilSettled(cluster, client, KEEPERS);
  expect(await check()).toEqual([]);
}, 60_000);

const MASTER_STEPS: readonly Omit<Step, "k">[] = [
  { step: "master.begin.opened", work: put },
  { step: "master.report.received", work: put },
  { step: "master.commit.before", work: put },
  { step: "master.commit.after", work: put },
  { step: "master.pack.committed", work: putPack },
  { step: "master.compact.stored", begin: makeSparse, work: nothing },
  { step: "master.compact.moved", begin: makeSparse, work: nothing },
  { step: "master.remove.committed", work: removeOne },
  { step: "master.delete.sent", begin: removeOne, work: nothing },
  { step: "master.delete.done", begin: removeOne, work: nothing },
  {
    step: "master.replicate.picked",
    prepare: oweCopies,
    begin: () => cluster.startKeeper(1),
    work: nothing,
  },
  {
    step: "master.replicate.commanded",
    prepare: oweCopies,
    begin: () => cluster.startKeeper(1),
    work: nothing,
  },
];

for (const { step, prepare = nothing, begin = nothing, work } of MASTER_STEPS) {
  test(`the master killed at ${step}: before or after, never between`, async () => {
    await prepare(1);
    await cluster.killMaster();
    await cluster.startMaster({ TYDFS_FAILPOINTS: `${step}=kill` });
    await cluster.untilAlive(KEEPERS.length - (step.includes("replicate") ? 1 : 0));
    const end = cluster.masterEnd();
    // What a client then does not know must not stay unknown to it for ever. Other work may have
    // come to the step before this test's own has begun.
    const restarted = end.then(() => cluster.startMaster());
    await begin();
    await untilEnd(`${step} is reached`, end, () => work());
    await restarted;
    await cluster.untilAlive(KEEPERS.length);
    expect(await check()).toEqual([]);
    await untilFree(client);
  }, 60_000);
}

test("after the master has died at all steps: copies are complete, orphans are gone", async () => {
  await untilSettled(cluster, client, KEEPERS);
  expect(await check()).toEqual([]);
}, 60_000);

test(
  "a client killed in a put, of a pack too, or a get: nothing is seen of it, and its slots are free",
  async () => {
    const path = "/files/0";
    await ledger.put(client, path, someBytes(MIB, random));
    const source = cluster.file("half.bin", 5 * MIB);
    const tree = dirname(smallFiles("/tree")[0]?.local ?? "");
    const kills: [string, string[]][] = [
      ["client.put.stored=2*kill", ["put", source, "/half"]],
      ["client.put.stored=3*kill", ["put", source, path]],
      ["client.pack.stored=kill", ["put", "-r", tree, "/tree"]],
      ["client.get.written=kill", ["get", path, join(cluster.dir, "back")]],
    ];
    for (const [failpoint, args] of kills) {
      const { exit } = await cluster.run(args, { env: { TYDFS_FAILPOINTS: failpoint } });
      expect(exit).toBe(137);
      await untilFree(client);
      expect(await check()).toEqual([]);
    }
    await untilSettled(cluster, client, KEEPERS);
  },
  60_000,
);

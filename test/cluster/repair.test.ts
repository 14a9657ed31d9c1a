/** Repair, safe mode, draining, removal and balance with real processes. */
import { afterEach, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import type { ClusterStatus } from "../../src/wire/cluster.ts";
import type { DrainReply, RebalanceReply } from "../../src/wire/operator.ts";
import { type ClusterOptions, MIB, sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
const mounts: string[] = [];

afterEach(async () => {
  // Those that still use a disk go on with it.
  for (const mount of mounts.splice(0)) Bun.spawnSync(["umount", "-l", mount]);
  await cluster?.stop();
});

async function start(env: Record<string, string>, options: ClusterOptions = {}): Promise<void> {
  cluster = await TestCluster.start({ keepers: 4, ...options, env });
}

/** Puts files of random bytes; returns their local paths by name. */
async function putFiles(count: number, sizeBytes: number, ...flags: string[]): Promise<string[]> {
  const locals: string[] = [];
  for (let n = 0; n < count; n++) {
    const name = `f${flags.join("")}${n}`;
    const local = cluster.file(name, sizeBytes);
    await cluster.ok("put", local, `/${name}`, ...flags, "-q");
    locals.push(local);
  }
  await cluster.untilStatus("all copies are there", ({ chunks }) => chunks.atGoal === chunks.total);
  return locals;
}

async function expectAllRead(locals: readonly string[]): Promise<void> {
  for (const local of locals) {
    const back = `${local}.back`;
    await cluster.ok("get", `/${local.split("/").at(-1)}`, back, "-q");
    expect(await sameBytes(local, back)).toBe(true);
  }
}

const isWhole = ({ chunks, repairs }: ClusterStatus) =>
  chunks.atGoal === chunks.total && repairs.running + repairs.queued === 0;
const isQuiet = ({ safeMode }: ClusterStatus) => safeMode === undefined;
const copiesMade = () => cluster.log("master").split('"A chunk has a new copy"').length - 1;
const keeperId = ({ keepers }: ClusterStatus, name: string) =>
  keepers.find((keeper) => keeper.name === name);

test("of a dead keeper's chunks the endangered are copied at once, the others after the delay", async () => {
  await start({ TYDFS_REPAIR_DELAY: "12s", TYDFS_MIN_COPIES: "1" });
  const locals = [
    ...await putFiles(8, 200_000, "--replicas", "2"),
    ...await putFiles(8, 200_000, "--replicas", "3"),
  ];
  const held = cluster.replicas(1).length;
  expect(held).toBeGreaterThan(0);
  await cluster.killKeeper(1);
  let seen: ClusterStatus | undefined;
  await cluster.untilStatus("the endangered are whole, and the others wait", (status) => {
    seen = status;
    const { waiting, endangered, running, queued } = status.repairs;
    return waiting > 0 && endangered + running + queued === 0;
  });
  expect(seen?.repairs.waitMs).toBeLessThanOrEqual(12_000);
  expect(copiesMade()).toBe(held - (seen?.repairs.waiting ?? 0));
  await cluster.untilStatus("all are whole", isWhole);
  expect(copiesMade()).toBe(held);
  await expectAllRead(locals);
});

test("repairs keep to their bandwidth, tell how far they are, and survive a master's restart", async () => {
  const pace = { TYDFS_REPAIR_BANDWIDTH: "4MiB", TYDFS_REPAIR_PER_KEEPER: "1" };
  await start({ ...pace, TYDFS_REPAIR_DELAY: "0s" });
  const locals = await putFiles(8, 6 * MIB);
  await cluster.killKeeper(2);
  let seen: ClusterStatus["repairs"] | undefined;
  await cluster.untilStatus("a copy was made and others follow", ({ repairs }) => {
    seen = repairs;
    return repairs.bytesPerSecond > 0 && repairs.queued > 0;
  });
  // One copy at a time: with three keepers left, its two ends are busy with it.
  expect(seen?.running).toBe(1);
  expect(seen?.bytesPerSecond).toBeLessThan(5 * MIB);
  expect(seen?.queuedBytes).toBeGreaterThanOrEqual(6 * MIB);
  expect(seen?.etaMs).toBeGreaterThan(0);
  await cluster.killMaster();
  await cluster.startMaster();
  await cluster.untilStatus("all are whole", (status) => isWhole(status) && isQuiet(status));
  expect(copiesMade()).toBeGreaterThan(1);
  await expectAllRead(locals);
});

test("a keeper that blinks causes no repair", async () => {
  await start({ TYDFS_REPAIR_DELAY: "1m" });
  await putFiles(6, 100_000);
  await cluster.killKeeper(3);
  await cluster.untilStatus(
    "it is dead",
    (status) => keeperId(status, "keeper-3")?.state === "DEAD",
  );
  await cluster.untilStatus("its chunks wait for it", ({ repairs }) => repairs.waiting > 0);
  await cluster.startKeeper(3);
  await cluster.untilAlive(4);
  await cluster.untilStatus("all are whole", isWhole);
  expect(copiesMade()).toBe(0);
});

test("when too many keepers go, nothing is repaired until enough are back", async () => {
  await start({ TYDFS_SAFE_SHARE: "60" });
  const locals = await putFiles(6, 100_000);
  await Promise.all([cluster.killKeeper(1), cluster.killKeeper(2)]);
  await cluster.untilStatus(
    "it says so",
    ({ safeMode, repairs }) =>
      safeMode?.reason.startsWith("only 2 of 4 keepers are alive") === true &&
      repairs.endangered > 0,
  );
  const { repairs } = await cluster.status();
  expect(repairs.running).toBe(0);
  expect(copiesMade()).toBe(0);
  await cluster.startKeeper(1);
  await cluster.untilStatus("all are whole", isWhole);
  await cluster.untilStatus("it is over", isQuiet);
  await expectAllRead(locals);
});

test("a keeper is drained, removed, forgotten, and joins again", async () => {
  await start({});
  const locals = await putFiles(8, 300_000);
  const early = await cluster.run(["keeper", "remove", "keeper-4"]);
  expect(early.exit).toBe(4);
  expect(early.stderr).toContain("of its chunks would be left with too few copies");
  const drained = await cluster.run(["drain", "keeper-4", "--follow"]);
  expect([drained.exit, drained.stdout]).toEqual([
    0,
    "keeper-4 is drained · all chunks have all their copies elsewhere · " +
    "safe to remove: tydfs keeper remove keeper-4\n",
  ]);
  const told = JSON.parse(await cluster.ok("drain", "keeper-4", "--json")) as DrainReply;
  expect(told).toMatchObject({ name: "keeper-4", chunksLeft: 0, safeToRemove: true });
  expect(keeperId(await cluster.status(), "keeper-4")?.state).toBe("DRAINING");
  expect(await cluster.ok("keeper", "list")).toMatch(/keeper-4 +DRAINING, safe to remove/);
  await until("its copies are given up", () => cluster.replicas(4).length === 0);
  const pid = cluster.keeperPid(4);
  expect(await cluster.ok("keeper", "remove", told.keeper.slice(0, 8))).toBe("removed keeper-4\n");
  expect(keeperId(await cluster.status(), "keeper-4")).toBeUndefined();
  // The process ends by itself, so that nothing starts it again.
  await until("the process is gone", () => {
    try {
      process.kill(pid, 0);
      return false;
    } catch {
      return true;
    }
  });
  expect(await cluster.killKeeper(4)).toBe(0);
  expect(cluster.log("keeper-4")).toContain("was removed from the cluster");
  await expectAllRead(locals);
  await cluster.startKeeper(4);
  await cluster.untilAlive(4);
  expect(keeperId(await cluster.status(), "keeper-4")).toMatchObject({ state: "ALIVE" });
});

test("a drain that the others can't take ends as far as it can, with status 6", async () => {
  await start({}, { keepers: 3 });
  await putFiles(2, 100_000);
  const { exit, stdout } = await cluster.run(["drain", "keeper-1", "--follow"]);
  expect(exit).toBe(6);
  expect(stdout).toMatch(/^keeper-1 is drained as far as can be .* 2 chunks .* not safe to remove/);
  expect(await cluster.ok("drain", "keeper-1", "--stop"))
    .toBe("keeper-1 is not drained any more: it takes chunks\n");
  const refused = await cluster.run(["drain", "keeper-9"]);
  expect([refused.exit, refused.stderr]).toEqual([
    3,
    'tydfs: Cannot drain keeper "keeper-9": there are keeper-1, keeper-2, keeper-3\n',
  ]);
});

/** A small disk of its own for a keeper; only root may have one. */
function mountDisk(k: number): void {
  const mount = cluster.keeperDir(k);
  mkdirSync(mount, { recursive: true });
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=160m", "tmpfs", mount]);
  expect(mounted.exitCode).toBe(0);
  mounts.push(mount);
}

test.skipIf(process.getuid?.() !== 0)(
  "a new keeper fills by itself, and a dry run says before what would move",
  async () => {
    const env = { TYDFS_RESERVE: "8MiB", TYDFS_BALANCE_THRESHOLD: "0", TYDFS_REPLICAS: "2" };
    cluster = new TestCluster({ env });
    for (const k of [1, 2, 3, 4]) mountDisk(k);
    await cluster.startMaster();
    await Promise.all([1, 2, 3].map((k) => cluster.startKeeper(k)));
    await cluster.untilAlive(3);
    const locals = await putFiles(24, 4 * MIB);
    await cluster.startKeeper(4);
    await cluster.untilAlive(4);
    await cluster.untilStatus("nothing is held back", isQuiet);
    const plan = JSON.parse(await cluster.ok("rebalance", "--dry-run", "--json")) as RebalanceReply;
    const step = plan.steps.find(({ name }) => name === "keeper-4");
    expect(plan.running).toBe(false);
    expect(step?.moveBytes).toBeGreaterThan(30 * MIB);
    expect(await cluster.ok("rebalance", "-n")).toMatch(/^keeper-4 +0\.0 % +\+[34]\d(\.\d)? MiB/m);
    expect(cluster.replicas(4)).toEqual([]);

    // By itself, once the master is told to.
    await cluster.killMaster("SIGTERM");
    await cluster.startMaster({ TYDFS_BALANCE_THRESHOLD: "10" });
    await cluster.untilStatus("it has begun", ({ balance }) => balance.running);
    await cluster.untilStatus("it is over", ({ balance }) => !balance.running);
    const { balance, chunks } = await cluster.status();
    expect(balance.spreadPercent).toBeLessThan(10);
    expect(chunks.atGoal).toBe(24);
    expect(cluster.replicas(4).length).toBeGreaterThan(5);
    // By command, down to 2 percent or as far as chunks of this size allow.
    expect(await cluster.ok("rebalance", "--follow")).toContain("\nnot balancing\n");
    await until(
      "each chunk has two copies",
      () => [1, 2, 3, 4].reduce((sum, k) => sum + cluster.replicas(k).length, 0) === 48,
    );
    await expectAllRead(locals);
  },
);

test("what an operator types wrong is refused in one line", async () => {
  await start({}, { keepers: 2 });
  const refused = await cluster.run(["drain", "keeper-1"]);
  expect([refused.exit, refused.stderr]).toEqual([
    6,
    'tydfs: Cannot drain keeper "keeper-1": a chunk needs 2 copies, and only 1 other keeper can ' +
    "take one; start another keeper first\n",
  ]);
  expect((await cluster.run(["keeper", "remove", "nobody"])).exit).toBe(3);
  expect((await cluster.run(["rebalance", "--stop", "--json"])).stdout).toContain(
    '"running":false',
  );
});

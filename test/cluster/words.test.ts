/** What put and status say of copies, from the compiled binary, as keepers come and go. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

interface Put {
  copies: number;
  goal: number;
  replicas: number;
  synced: boolean;
  reason?: string;
  missing: { keeper: string; state: string }[];
}

/** Two keepers, and nothing is repaired by itself for a while. */
let cluster: TestCluster;
let source: string;

beforeAll(async () => {
  const env = { TYDFS_REPAIR_DELAY: "10m", TYDFS_MAINTENANCE_WINDOW: "10m" };
  cluster = await TestCluster.start({ keepers: 2, env });
  await cluster.untilStatus("all is settled", ({ safeMode, archive }) => {
    return safeMode === undefined && archive.keepers > 0;
  });
  source = cluster.file("a.bin", 5 * MIB);
}, 60_000);
afterAll(() => cluster.stop());

async function put(...args: string[]): Promise<Put> {
  return JSON.parse(await cluster.ok("put", "--json", ...args)) as Put;
}

test("with two keepers everything works and is marked 2 of 3 copies, never read-only", async () => {
  expect(await cluster.ok("status")).toContain("\nAll is well: every chunk has all its copies\n");
  const told = await cluster.ok("put", source, "/two/a");
  expect(told).toMatch(
    /· 2\/3 copies: 2 keepers are known, a third would complete it · synced, xxh3 [0-9a-f]{16}\n$/,
  );
  expect(await put(source, "/two/b")).toMatchObject({
    ...{ copies: 2, goal: 3, replicas: 3, synced: true, reason: "few-keepers", missing: [] },
  });
  const back = join(cluster.dir, "back");
  await cluster.ok("get", "/two/a", back);
  expect(await sameBytes(source, back)).toBe(true);
  await cluster.ok("put", source, "/two/a");
  await cluster.ok("mv", "/two/b", "/two/c");
  await cluster.ok("rm", "/two/c");
  const status = await cluster.ok("status");
  expect(status).toContain("\nEvery file has 2 of 3 copies: one more keeper is needed\n");
  expect(status).not.toContain("read-only");
  expect((await cluster.status()).keepers.map(({ readOnly }) => readOnly)).toEqual([false, false]);
}, 60_000);

test("the receipt of a tree is in its summary, that of several files at the end", async () => {
  for (const name of ["x", "y"]) await Bun.write(join(cluster.dir, "tree", name), name);
  const tree = await cluster.ok("put", "-r", join(cluster.dir, "tree"), "/tree");
  expect(tree).toMatch(
    /· 2 of 2 files with fewer copies than wanted: 2 keepers are known, a third would complete it · 1 directory\n$/,
  );
  const events = (await cluster.ok("put", "-r", "-I", "--json", join(cluster.dir, "tree"), "/tree"))
    .trimEnd().split("\n").map((line) => JSON.parse(line));
  expect(events.at(-1)).toMatchObject({
    ...{ event: "summary", files: 2, synced: true, short: 2, reason: "few-keepers" },
  });
  const own = await cluster.ok(
    "put",
    "-r",
    "-I",
    "--replicas",
    "2",
    join(cluster.dir, "tree"),
    "/t",
  );
  expect(own).toContain(" · 2/2 copies, synced · 1 directory\n");
  const files = ["x", "y"].map((name) => join(cluster.dir, "tree", name));
  const several = await cluster.run(["put", ...files, "/several/"]);
  expect(several.exit).toBe(0);
  expect(several.stdout).toMatch(/2\/3 copies, synced, xxh3/);
  expect(several.stderr).toContain(
    "2 of 2 files with fewer copies than wanted: 2 keepers are known",
  );
}, 60_000);

test("three keepers complete a put, and one that is down is named", async () => {
  await cluster.startKeeper(3);
  await cluster.untilAlive(3);
  await cluster.untilStatus("all is repaired", ({ chunks }) => chunks.under === 0);
  const whole = await cluster.ok("put", "--min-copies", "3", source, "/whole");
  expect(whole).toMatch(/ · 3\/3 copies, synced, xxh3 [0-9a-f]{16}\n$/);
  expect(await put("--min-copies", "3", source, "/whole")).toMatchObject({
    ...{ copies: 3, goal: 3, synced: true, missing: [] },
  });
  await cluster.killKeeper(3);
  await cluster.untilStatus(
    "keeper 3 is dead",
    ({ keepers }) => keepers.some(({ state }) => state === "DEAD"),
  );
  expect(await cluster.ok("put", source, "/one-down")).toContain(
    " · 2/3 copies: keeper-3 is down · synced, xxh3 ",
  );
  expect(await put(source, "/one-down")).toMatchObject({
    ...{ copies: 2, reason: "keepers-away", missing: [{ keeper: "keeper-3", state: "down" }] },
  });
}, 90_000);

test("status says why chunks that are short are not repaired yet", async () => {
  const status = await cluster.ok("status");
  expect(status).toMatch(/\n\d+ chunks are short of copies\n/);
  // By the time that is left, or by the delay while that is not known.
  expect(status).toMatch(/keeper-3 (to come back, before the repair begins|has been down)/);
  await cluster.startKeeper(3);
  await until("status says that all is well", async () => {
    return (await cluster.ok("status")).includes("\nAll is well: ");
  });
}, 60_000);

test("status refuses flags that do not go together", async () => {
  const { exit, stderr } = await cluster.run(["status", "--watch", "--if-lost", "keeper-1"]);
  expect([exit, stderr]).toEqual([2, expect.stringContaining("Cannot use --if-lost with --watch")]);
});

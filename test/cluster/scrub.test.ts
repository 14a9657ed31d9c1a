/**
 * Bad, missing and foreign things on keepers' disks, from the compiled binary: found, put aside,
 * repaired; what can't be repaired is said, and nothing of it is deleted.
 */
import { afterEach, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { ScrubPage } from "../../src/client/operator.ts";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

async function start(options: Parameters<typeof TestCluster.start>[0] = {}): Promise<TestCluster> {
  cluster = await TestCluster.start(options);
  return cluster;
}

/** A replica on keeper `k` with this name, or any. */
function replica(c: TestCluster, k: number, chunk?: string): string {
  const found = c.replicas(k).find((path) => chunk === undefined || basename(path) === chunk);
  if (found === undefined) throw new Error(`Keeper ${k} has no such replica`);
  return found;
}

function flip(path: string, at = 1234): void {
  const bytes = readFileSync(path);
  const fd = openSync(path, "r+");
  writeSync(fd, Uint8Array.of((bytes[at] ?? 0) ^ 0xff), 0, 1, at);
}

function aside(c: TestCluster, k: number): string[] {
  return readdirSync(join(c.keeperDir(k), "quarantine"));
}

/** The one chunk of a file. */
async function chunkOf(c: TestCluster, path: string): Promise<string> {
  const { chunks } = JSON.parse(await c.ok("stat", "--locations", "--json", path));
  expect(chunks).toHaveLength(1);
  return chunks[0].id;
}

async function untilWhole(c: TestCluster): Promise<void> {
  await c.untilStatus("all chunks are at their goal", ({ chunks }) => {
    return chunks.under === 0 && chunks.lost === 0 && chunks.atGoal === chunks.total;
  });
}

test(
  "a flipped byte is found by a scrub, put aside, repaired; then the bad copy goes",
  async () => {
    const c = await start();
    const source = c.file("a.bin", 3 * MIB);
    await c.ok("put", source, "/a");
    await untilWhole(c);
    flip(replica(c, 2));
    expect((await c.run(["scrub", "keeper-1", "--now"])).exit).toBe(0);
    const outcome = await c.run(["scrub", "keeper-2", "--now"]);
    expect(outcome.stdout).toContain("scrubbed keeper-2");
    expect(outcome.stdout).toContain("1 bad copy put aside");
    expect(outcome.exit).toBe(7);
    await untilWhole(c);
    await until("the attic is empty", () => aside(c, 2).length === 0);
    expect(c.replicas(2)).toHaveLength(1);
    expect((await c.run(["scrub", "--now"])).exit).toBe(0);
    await c.ok("get", "/a", join(c.dir, "back"));
    expect(await sameBytes(source, join(c.dir, "back"))).toBe(true);
    const text = await c.ok("scrub");
    expect(text).toMatch(/KEEPER +LAST DONE/);
    await c.untilStatus("nothing lies aside", ({ keepers }) => {
      return keepers.every(({ aside }) => aside === 0);
    });
    const scrubs: { keeper: string }[] = JSON.parse(await c.ok("scrub", "--json"));
    expect(scrubs.find(({ keeper }) => keeper === "keeper-2"))
      .toMatchObject({ bad: 1, aside: 0, overdueMs: 0, running: true });
  },
  120_000,
);

test("damage of any kind in all copies but one is repaired", async () => {
  const c = await start();
  const sources = ["a", "b", "c", "d", "e"].map((name) => c.file(name, MIB + name.charCodeAt(0)));
  const chunks = new Map<string, string>();
  for (const source of sources) {
    const path = `/${basename(source)}`;
    await c.ok("put", source, path);
    chunks.set(path, await chunkOf(c, path));
  }
  await untilWhole(c);
  const at = (k: number, path: string) => replica(c, k, chunks.get(path));
  for (const k of [1, 2]) flip(at(k, "/a"), 7);
  for (const k of [2, 3]) truncateSync(at(k, "/b"), 1000);
  for (const k of [1, 3]) truncateSync(at(k, "/c"), 0);
  // Swapped with each other on one keeper, and gone with its sidecar on another.
  const [d, e] = [at(1, "/d"), at(1, "/e")];
  renameSync(d, `${d}.x`);
  renameSync(e, d);
  renameSync(`${d}.x`, e);
  const gone = at(2, "/d");
  for (const ending of ["", ".json"]) rmSync(gone + ending);
  const outcome = await c.run(["scrub", "--now"]);
  expect(outcome.stderr).toBe("");
  expect(outcome.exit).toBe(7);
  // What is missing of the newest chunks an inventory does not tell yet: being asked for them does.
  const asked = await c.run(["scrub", "-r", "/", "--now"]);
  expect(asked.stdout).toMatch(/"\/d": chunk \w+ on keeper-2 is missing/);
  await untilWhole(c);
  for (const source of sources) {
    const back = join(c.dir, `${basename(source)}.back`);
    await c.ok("get", `/${basename(source)}`, back);
    expect(await sameBytes(source, back)).toBe(true);
  }
  const isEmpty = () => [1, 2, 3].every((k) => aside(c, k).length === 0);
  await until("all attics are empty", isEmpty, 60_000);
  expect((await c.run(["scrub", "-r", "/", "--now"])).stdout).toContain("all good");
}, 180_000);

test("all copies bad: scrub and get name the file, and no bad copy is deleted", async () => {
  const c = await start({ env: { TYDFS_UNKNOWN_GRACE: "1s" } });
  const source = c.file("a.bin", 2 * MIB);
  await c.ok("put", source, "/films/a");
  await c.ok("put", source, "/films/b");
  await untilWhole(c);
  const chunk = await chunkOf(c, "/films/a");
  for (const k of [1, 2, 3]) flip(replica(c, k, chunk), MIB + k);
  const found = await c.run(["scrub", "--now", "-r", "/films"]);
  expect(found.exit).toBe(7);
  expect(found.stdout.match(/"\/films\/a": chunk \w+ on keeper-\d is corrupt/g)).toHaveLength(3);
  expect(found.stdout).toContain("3 bad");
  expect(found.stdout).not.toContain("/films/b");
  await c.untilStatus("the chunk is lost", ({ chunks }) => chunks.lost === 1);
  const got = await c.run(["get", "/films/a", join(c.dir, "back")]);
  expect(got.exit).toBe(7);
  expect(got.stderr).toContain("/films/a");
  expect((await c.run(["scrub", "/films"])).exit).toBe(4);
  // As often as the keepers ask, nothing of it may go.
  for (const k of [1, 2, 3]) {
    expect((await c.run(["scrub", `keeper-${k}`, "--now", "--json"])).exit).toBe(0);
    expect(aside(c, k).filter((name) => name.startsWith(chunk))).toHaveLength(2);
  }
  const again = await c.run(["scrub", "--now", "/films/a", "--json"]);
  expect(again.exit).toBe(7);
  const [page] = JSON.parse(again.stdout) as ScrubPage[];
  expect(page?.bad).toEqual([{ chunk, keeper: "", state: "lost" }]);
  expect((await c.run(["scrub", "/films/b"])).stdout).toContain("3 copies");
}, 180_000);

test("a chunk that nobody knows is kept for its grace, and then removed", async () => {
  const c = await start({
    env: { TYDFS_UNKNOWN_GRACE: "12s", TYDFS_INVENTORY_PERIOD: "1s" },
  });
  await c.ok("put", c.file("a.bin", MIB), "/a");
  await untilWhole(c);
  const known = replica(c, 1);
  const stray = "0123456789abcdef".repeat(2);
  const shelf = join(c.keeperDir(1), "chunks", "01", "23");
  mkdirSync(shelf, { recursive: true });
  const sidecar = JSON.parse(readFileSync(`${known}.json`, "utf8"));
  writeFileSync(join(shelf, `${stray}.json`), JSON.stringify({ ...sidecar, chunk: stray }));
  copyFileSync(known, join(shelf, stray));
  const putMs = performance.now();
  // One without a sidecar lies aside from the next scrub on.
  const bare = join(c.keeperDir(2), "chunks", "01", "23", stray.replace("4567", "7654"));
  mkdirSync(dirname(bare), { recursive: true });
  writeFileSync(bare, "bare");
  expect((await c.run(["scrub", "keeper-2", "--now"])).exit).toBe(7);
  expect(aside(c, 2)).toHaveLength(1);
  await until("the stray is gone", () => !existsSync(join(shelf, stray)), 60_000);
  expect(performance.now() - putMs).toBeGreaterThan(11_000);
  await until("the other is gone", () => aside(c, 2).length === 0, 60_000);
  expect(existsSync(known)).toBe(true);
}, 180_000);

test("a scrub goes on where it was after kill -9 of its keeper", async () => {
  const env = { TYDFS_SCRUB_PERIOD: "40s" };
  const c = await start({ keepers: 2, env: { ...env, TYDFS_REPLICAS: "2" } });
  for (let n = 0; n < 12; n++) await c.ok("put", c.file(`f${n}`, MIB), `/f${n}`);
  const record = () => JSON.parse(readFileSync(join(c.keeperDir(1), "scrub.json"), "utf8"));
  await until("the scrub is under way", () => record().position > "2");
  const before = record();
  await c.killKeeper(1);
  await c.startKeeper(1);
  await until(
    "it has moved on",
    () => record().position > before.position || record().passedMs > 0,
  );
  const after = record();
  if (after.passedMs === 0) expect(after.beganMs).toBe(before.beganMs);
  await until("the pass is over", () => record().passedMs > 0, 60_000);
  // In less than a period: it did not begin anew.
  expect(record().passedMs - before.beganMs).toBeLessThan(44_000);
}, 180_000);

test("a keeper whose directory is wiped or foreign ends, and tells nothing lost", async () => {
  const c = await start({ env: { TYDFS_REPAIR_DELAY: "1h", TYDFS_MAINTENANCE_WINDOW: "1h" } });
  await c.ok("put", c.file("a.bin", MIB), "/a");
  await untilWhole(c);
  const away = `${c.keeperDir(1)}.away`;
  renameSync(c.keeperDir(1), away);
  mkdirSync(c.keeperDir(1));
  await until("keeper 1 has ended", () => c.log("keeper-1").includes("keeper.json is gone"));
  await c.untilStatus("keeper 1 is dead", ({ keepers }) => {
    return keepers.some(({ name, state }) => name === "keeper-1" && state === "DEAD");
  });
  const { chunks: [only] } = JSON.parse(await c.ok("stat", "--locations", "--json", "/a"));
  expect(only.holders).toHaveLength(3);
  rmSync(c.keeperDir(1), { recursive: true });
  renameSync(away, c.keeperDir(1));
  await c.startKeeper(1);
  await c.untilAlive(3);
  // Another keeper's disk, mounted over it while it runs.
  renameSync(c.keeperDir(2), `${c.keeperDir(2)}.away`);
  mkdirSync(join(c.keeperDir(2), "chunks"), { recursive: true });
  copyFileSync(join(c.keeperDir(1), "keeper.json"), join(c.keeperDir(2), "keeper.json"));
  await until("keeper 2 has ended", () => c.log("keeper-2").includes("that of another keeper"));
  expect((await c.run(["get", "/a", join(c.dir, "back")])).exit).toBe(0);
}, 120_000);

test(
  "full keepers go on serving; a put hears no-space at once, and a room that is back",
  async () => {
    const c = await start();
    await c.ok("put", c.file("a.bin", MIB), "/a");
    await untilWhole(c);
    const full = { TYDFS_RESERVE: "4000TiB" };
    for (const k of [1, 2, 3]) {
      await c.killKeeper(k, "SIGTERM");
      await c.startKeeper(k, full);
    }
    await c.untilStatus("all keepers are full", ({ keepers }) => {
      return keepers.every(({ state, readOnly, fault }) => {
        return state === "ALIVE" && readOnly && fault === "full";
      });
    });
    const put = await c.run(["put", join(c.dir, "a.bin"), "/b"]);
    expect(put.exit).toBe(6);
    expect(put.stderr).toContain("have room for 1 MiB; add a keeper, or remove files");
    await c.ok("get", "/a", join(c.dir, "back"));
    expect((await c.run(["scrub", "/a"])).stdout).toContain("3 copies");
    await c.killKeeper(1, "SIGTERM");
    await c.startKeeper(1);
    expect((await c.run(["put", join(c.dir, "a.bin"), "/b"])).exit).toBe(6);
    await c.killKeeper(2, "SIGTERM");
    await c.startKeeper(2);
    await c.untilStatus("two have room", ({ keepers }) => {
      return keepers.filter(({ readOnly }) => !readOnly).length === 2;
    });
    await c.ok("put", join(c.dir, "a.bin"), "/b");
    // Deleting goes on where nothing can be written.
    await c.ok("rm", "/a");
    await until("the copy on the full keeper is gone", () => c.replicas(3).length === 0);
  },
  120_000,
);

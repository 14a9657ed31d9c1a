/**
 * The machine itself, for a short while: a seed with all faults that this user may make, and a look
 * at the checker, which must name what is planted.
 */
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";
import { BINARY, TestCluster } from "../cluster/harness.ts";
import { Content } from "./content.ts";
import { Namespaces } from "./hosts.ts";
import { planFaults } from "./nemesis/plan.ts";
import { Run } from "./run.ts";
import { Canary, check, type Facts } from "./verify.ts";

const dirs: string[] = [];
let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true, force: true });
});

function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), "tydfs-chaos-"));
  dirs.push(dir);
  return dir;
}

test("planFaults makes the same plan of the same seed, within the round", () => {
  const weights = [["a", 1], ["b", 3]] as const;
  const plan = (seed: number) => planFaults(seededRandom(seed), weights, 60_000);
  expect(plan(5)).toEqual(plan(5));
  expect(plan(5)).not.toEqual(plan(6));
  expect(plan(5).length).toBeGreaterThan(10);
  expect(plan(5).every(({ atMs }) => atMs < 60_000)).toBe(true);
});

test("Run finds no broken promise in a cluster under load and faults", async () => {
  const lines: string[] = [];
  const run = new Run({
    ...{ dir: scratch(), binary: BINARY, seed: 4, keepers: 5, netns: Namespaces.available() },
    ...{ faultMs: 18_000, roundMs: 18_000, sizeMaxBytes: 48 * 2 ** 20 },
    settleMs: 110_000,
    clock: false,
    print: (line) => lines.push(line),
  });
  const violation = await run.perform();
  const details = violation === undefined ? [] : [...violation.details, run.latestFaults()];
  expect([violation?.message, ...details]).toEqual([undefined]);
  expect(lines).toHaveLength(1);
  expect(run.report()).toMatch(/all operations +\d{3,}/);
  expect(run.report()).toMatch(/all faults +\d+/);
}, 175_000);

test("the checker names what was planted in packs, their sidecars, and the catalog", async () => {
  const c = cluster = await TestCluster.start();
  const canary = new Canary(scratch());
  const sizes = { a: 0, b: 5_000, c: 1_000_000, d: 300_000 };
  const contents = Object.entries(sizes).map(([name, sizeBytes]) => {
    return new Content(`seed:/chaos/${name}#1`, sizeBytes);
  });
  const tree = scratch();
  for (const content of contents) {
    writeFileSync(join(tree, content.name.slice(-3, -2)), content.bytes());
  }
  await c.ok("put", "-r", tree, "/chaos");
  await c.untilStatus("at its goal", ({ chunks }) => chunks.atGoal === 1);
  const files = contents.map((content) => {
    const { name, sizeBytes: size } = content;
    return { path: name.slice(5, -2), size, digest: content.digest(), name };
  });
  const facts: Facts = {
    catalog: join(c.masterDir, "catalog.db"),
    keepers: [1, 2, 3].map((k) => ({ name: `keeper-${k}`, dir: c.keeperDir(k) })),
    prefix: "/chaos/",
    canary: { dir: canary.dir, digest: canary.digest },
    memory: join(c.dir, "chunks.json"),
    files,
  };
  const look = async (changed: Partial<Facts> = {}) => {
    const { broken } = await check(c.dir, { ...facts, ...changed });
    return [...new Set(broken.map(({ invariant }) => invariant))];
  };
  expect(await check(c.dir, facts)).toEqual({
    broken: [],
    counts: { files: 4, bytes: 1_305_000, chunks: 1, copies: 3, packs: 1, packed: 4 },
  });

  const renamed = files.map((file) => ({ ...file, name: file.name.replace("/d#", "/e#") }));
  expect(await look({ files: renamed })).toEqual(["I22", "I4"]);
  const changed = async (sql: string) => {
    const path = join(c.dir, "changed.db");
    rmSync(path, { force: true });
    const database = new Database(facts.catalog);
    database.run("VACUUM INTO ?", [path]);
    database.close();
    const copy = new Database(path);
    copy.run(sql);
    copy.close();
    return await look({ catalog: path });
  };
  const ofD = "length = 300000";
  expect(await changed("UPDATE chunk SET live = live - 1")).toEqual(["I8"]);
  expect(await changed(`UPDATE extent SET chunk_offset = chunk_offset - 1 WHERE ${ofD}`))
    .toEqual(["I8", "I22", "I4"]);
  expect(await changed("UPDATE chunk SET packed = 0")).toContain("I8");
  expect(await changed("UPDATE chunk SET parted = 1")).toEqual(["I21"]);
  expect(await changed("UPDATE inode SET goal = 4 WHERE kind = 'file'")).toEqual(["I23"]);
  const require = "INSERT INTO policy VALUES (1, '{\"kind\":\"x\"}', '{}');";
  expect(await changed(`${require} UPDATE inode SET policy = 1 WHERE size = 5000`))
    .toEqual(["I23", "I21"]);
  expect(await changed(`${require} UPDATE inode SET policy = 1; UPDATE chunk SET policy = 1`))
    .toEqual(["I23"]);
  // The trash is emptied, and nobody compacts.
  const rest = files.filter(({ path }) => path !== "/chaos/c");
  const isC = "(SELECT inode FROM extent WHERE length = 1000000)";
  const path = join(c.dir, "changed.db");
  await changed(`DELETE FROM dentry WHERE inode IN ${isC}`);
  const copy = new Database(path);
  copy.run(`DELETE FROM inode WHERE id IN ${isC}`);
  copy.run("DELETE FROM extent WHERE length = 1000000");
  copy.run("UPDATE chunk SET live = live - 1000000, refs = refs - 1");
  copy.run("UPDATE meta SET value = value - 1 WHERE key = 'files'");
  copy.run("UPDATE meta SET value = value - 1000000 WHERE key = 'bytes'");
  copy.close();
  expect(await look({ catalog: path, files: rest })).toEqual(["I21"]);

  const [pack = ""] = c.replicas(2);
  const sidecar = readFileSync(`${pack}.json`, "utf8");
  writeFileSync(`${pack}.json`, sidecar.replace("/chaos/d", "/chaos/e"));
  expect(await look()).toEqual(["I22"]);
  writeFileSync(`${pack}.json`, sidecar);
  expect(await look()).toEqual([]);
  const bytes = readFileSync(pack);
  bytes.write("PACK", bytes.length - 4);
  writeFileSync(pack, bytes);
  expect(await look()).toEqual(["I3"]);
}, 60_000);

test("the checker names what was planted on disks and in the tree beside them", async () => {
  const c = cluster = await TestCluster.start();
  const canary = new Canary(scratch());
  const content = new Content("seed:/chaos/a#1", 3_000_000);
  const source = join(c.dir, "source");
  writeFileSync(source, content.bytes());
  await c.ok("put", source, "/chaos/a");
  await c.untilStatus("at its goal", ({ chunks }) => chunks.atGoal === 1);
  const facts: Facts = {
    catalog: join(c.masterDir, "catalog.db"),
    keepers: [1, 2, 3].map((k) => ({ name: `keeper-${k}`, dir: c.keeperDir(k) })),
    prefix: "/chaos/",
    canary: { dir: canary.dir, digest: canary.digest },
    memory: join(c.dir, "chunks.json"),
    files: [{
      path: "/chaos/a",
      size: content.sizeBytes,
      digest: content.digest(),
      name: content.name,
    }],
  };
  const look = async (changed: Partial<Facts> = {}) => {
    const { broken } = await check(c.dir, { ...facts, ...changed });
    return broken.map(({ invariant }) => invariant);
  };
  expect((await check(c.dir, facts)).counts).toEqual({
    files: 1,
    bytes: 3_000_000,
    chunks: 1,
    copies: 3,
    packs: 0,
    packed: 0,
  });
  expect(await look()).toEqual([]);

  const [file] = facts.files;
  expect(await look({ files: [] })).toEqual(["I2"]);
  expect(await look({ files: [{ ...file, path: "/chaos/b" } as Facts["files"][0]] }))
    .toEqual(["I1", "I2"]);
  expect(await look({ files: [{ ...file, name: "other" } as Facts["files"][0]] })).toEqual(["I4"]);

  writeFileSync(join(c.keeperDir(1), "tmp", "left"), "x");
  expect(await look()).toEqual(["I7"]);
  rmSync(join(c.keeperDir(1), "tmp", "left"));
  const [copy = ""] = c.replicas(2);
  const stray = copy.replace(/[0-9a-f]{4}$/, "ffff");
  writeFileSync(stray, "x");
  expect(await look()).toEqual(["I6"]);
  rmSync(stray);
  truncateSync(copy, 2_999_999);
  expect(await look()).toEqual(["I3", "I3"]);
  appendFileSync(copy, "?");
  expect(await look()).toEqual(["I3", "I3"]);
  rmSync(copy);
  expect(await look()).toContain("I3");
  writeFileSync(facts.memory, readFileSync(facts.memory, "utf8").replaceAll(/: "./g, ': "x'));
  expect(await look()).toContain("I9");
  writeFileSync(join(canary.dir, "one"), "touched");
  expect(await look()).toContain("I17");
}, 60_000);

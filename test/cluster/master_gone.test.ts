/**
 * The master is killed while commands work on trees: a clear end with status 5, nothing half done
 * that is not said, and the same commands once more bring the right result.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { TydfsClient } from "../../src/client/client.ts";
import { hasCode } from "../../src/wire/errors.ts";
import type { Outcome } from "./harness.ts";
import { TestCluster, until } from "./harness.ts";

const FILES = 600;
/** Copies of the tree that cp copies: a copy within the cluster is quick. */
const TREES = 12;
/** So much must be done, and so much be left, when the master is killed. */
const SOME = 20;

let cluster: TestCluster;
let tree = "";
let names: string[] = [];

beforeAll(async () => {
  cluster = await TestCluster.start({ keepers: 1, env: { TYDFS_REPLICAS: "1" } });
  tree = join(cluster.dir, "tree");
  mkdirSync(join(tree, "below"), { recursive: true });
  for (let index = 0; index < FILES; index++) {
    const name = index % 2 === 0 ? `f${index}` : `below/f${index}`;
    // Most are empty: it is the names that matter here.
    writeFileSync(join(tree, name), index % 20 === 0 ? `this is ${name}` : "");
    names.push(name);
  }
  names = names.sort();
  await cluster.ok("put", "-r", tree, "/whole");
  for (const copy of ["/rm", "/mv"]) await cluster.ok("cp", "-r", "/whole", copy);
  for (let n = 0; n < TREES; n++) await cluster.ok("cp", "-r", "/whole", `/trees/${n}`);
}, 120_000);
afterAll(() => cluster.stop());

/** The files below a remote directory, by their paths there. */
async function remote(client: TydfsClient, path: string): Promise<string[]> {
  const files: string[] = [];
  try {
    for await (const entry of client.list(path, { recursive: true })) {
      if (entry.kind === "file") files.push(entry.path.slice(path.length + 1));
    }
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
  return files.sort();
}

function local(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(path.length + 1)).sort();
}

async function restart(): Promise<void> {
  await cluster.killMaster();
  await cluster.startMaster();
  await cluster.untilAlive(1);
}

async function connected<T>(work: (client: TydfsClient) => Promise<T>): Promise<T> {
  const client = await TydfsClient.connect({ url: cluster.clientUrl });
  try {
    return await work(client);
  } finally {
    await client.close();
  }
}

/** The commands; `count` says how many files are where they end, or no more where they began. */
function commands(): { args: string[]; count: (client: TydfsClient) => Promise<number> }[] {
  const got = join(cluster.dir, "got");
  const arrived = (path: string) => async (client: TydfsClient) =>
    (await remote(client, path)).length;
  const gone = (path: string) => async (client: TydfsClient) =>
    FILES - (await remote(client, path)).length;
  return [
    { args: ["put", "-r", tree, "/put"], count: arrived("/put") },
    { args: ["sync", "--delete", tree, ":/sync"], count: arrived("/sync") },
    { args: ["get", "-r", "/whole", got], count: () => Promise.resolve(local(got).length) },
    { args: ["rm", "/rm/**/f*"], count: gone("/rm") },
    { args: ["mv", "/mv/**/f*", "/moved"], count: gone("/mv") },
    { args: ["cp", "-r", "/trees/*", "/copies"], count: arrived("/copies") },
  ];
}

function expectClear({ exit, stderr }: Outcome): void {
  const lines = stderr.trimEnd().split("\n");
  for (const line of lines) expect(line).toStartWith("tydfs: ");
  expect(lines.length).toBeLessThan(80);
  expect(stderr).toMatch(/Cannot reach a master|no answer within|none came in time/);
  expect(stderr).not.toContain("    at ");
  expect(exit).toBe(5);
}

test("commands end with status 5 when the master is gone, and say how far they came", async () => {
  const all = commands();
  const running = all.map(({ args }) => cluster.run(args));
  await connected(async (client) => {
    await until("all of them are under way", async () => {
      const counts = await Promise.all(all.map(({ count }) => count(client)));
      return counts.every((count) => count >= SOME);
    });
  });
  await cluster.killMaster();
  const outcomes = await Promise.all(running);
  const [rm, mv, cp] = outcomes.slice(3).map(({ stderr }) => stderr);
  for (const [at, outcome] of outcomes.entries()) {
    // Small files go together: with some of them there, all may be.
    const isTree = at < 3;
    if (isTree && outcome.exit === 0) continue;
    expectClear(outcome);
    if (isTree) expect(outcome.stderr).toMatch(/Until then: \w+ [\d,]+ files?, /);
  }
  for (const list of [rm, mv]) {
    expect(list).toMatch(/at \d+ of 600; those after it, \d+, were not/);
  }
  expect(cp).toMatch(/until then \d+ files and \d+ directories were copied/);
  // No partial file lies about.
  expect(local(join(cluster.dir, "got")).filter((name) => name.includes(".tydfs-"))).toEqual([]);
}, 120_000);

test("the same commands once more bring the right result", async () => {
  await restart();
  for (const { args } of commands()) {
    const { exit, stderr } = await cluster.run(args);
    expect([args[0], exit, stderr]).toEqual([args[0], 0, expect.not.stringContaining("Cannot")]);
  }
  await connected(async (client) => {
    expect(await remote(client, "/put")).toEqual(names);
    expect(await remote(client, "/sync")).toEqual(names);
    expect(await remote(client, "/rm")).toEqual([]);
    expect(await remote(client, "/mv")).toEqual([]);
    expect(await remote(client, "/moved")).toEqual(
      names.map((name) => basename(name)).sort(),
    );
    const copies = await remote(client, "/copies");
    expect(copies).toHaveLength(TREES * FILES);
  });
  expect(local(join(cluster.dir, "got"))).toEqual(names);
}, 120_000);

test("a master that is back in time is only waited for", async () => {
  const put = cluster.run(["put", "-r", tree, "/again"]);
  await connected(async (client) => {
    await until("put is under way", async () => (await remote(client, "/again")).length >= SOME);
  });
  await restart();
  expect(await put).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^put 600 files/) });
  expect(await connected((client) => remote(client, "/again"))).toEqual(names);
  const back = join(cluster.dir, "again");
  const get = cluster.run(["get", "-r", "/again", back]);
  await until("get is under way", () => local(back).length >= SOME);
  await restart();
  expect((await get).exit).toBe(0);
  expect(local(back)).toEqual(names);
}, 120_000);

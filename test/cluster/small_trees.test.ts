/** Thousands of small files from the compiled binary: they go and come in packs, bit by bit. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";
import { TydfsClient } from "../../src/client/client.ts";
import { TestCluster } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
}, 60_000);
afterAll(() => cluster.stop());

const FILES = 3_000;
const NAMES = ["ü 日本 \u{1F600}", "new\nline", "-dash", "*[?]{a}", "a", ".dot", "a b"];

/** A tree of small files of all kinds. */
function plant(root: string): void {
  const random = seededRandom(5);
  const bytes = random.bytes(60_000);
  for (let n = 0; n < FILES; n++) {
    const name = `${NAMES[n % NAMES.length]}-${n}`;
    const path = join(root, `d${n % 9}`, n % 4 === 0 ? `deep/er ${n % 36}` : ".", name);
    mkdirSync(dirname(path), { recursive: true });
    const size = n % 10 === 0 ? 0 : Math.floor(random.next() ** 6 * bytes.length);
    const from = Math.floor(random.next() * (bytes.length - size));
    writeFileSync(path, bytes.subarray(from, from + size));
    if (n % 50 === 0) chmodSync(path, 0o444 - n % 3);
    if (n % 100 === 1) symlinkSync(`../${name}`, `${path} link`);
    if (n % 7 === 0) utimesSync(path, 1_500_000_000 + n, 1_500_000_000.25 + n);
  }
  mkdirSync(join(root, "empty"));
}

/** All of a tree as text, one line an entry: kind, mode, time to the ms, bytes or target. */
function listed(root: string, path = ""): string[] {
  const local = join(root, path);
  const facts = lstatSync(local, { bigint: true });
  const head = `${path}|${facts.mode.toString(8)}|${facts.mtimeMs}`;
  if (facts.isSymbolicLink()) return [`${head}|${readlinkSync(local)}`];
  if (!facts.isDirectory()) return [`${head}|${Bun.hash(readFileSync(local))}`];
  return [head, ...readdirSync(local).sort().flatMap((name) => listed(root, join(path, name)))];
}

test("a tree of thousands of small files comes back from put -r, get -r and sync", async () => {
  const tree = join(cluster.dir, "tree");
  plant(tree);
  await cluster.ok("put", "-r", tree, "/tree");
  const { chunks } = await cluster.status();
  // They share chunks.
  expect(chunks.total).toBeLessThan(FILES / 10);

  const back = join(cluster.dir, "back");
  await cluster.ok("get", "-r", "/tree", back);
  expect(listed(back)).toEqual(listed(tree));
  expect(await cluster.ok("get", "-r", "/tree", back)).toMatch(/^got 0 files, 0 B/);

  // What was changed here is made whole again, what is odd in its place is no way out.
  const outside = join(cluster.dir, "outside");
  mkdirSync(outside);
  const [changed = "", gone = "", odd = ""] = readdirSync(join(back, "d1"))
    .filter((name) => lstatSync(join(back, "d1", name)).isFile())
    .map((name) => join(back, "d1", name));
  writeFileSync(changed, "changed");
  rmSync(gone);
  rmSync(odd);
  symlinkSync(outside, odd);
  rmSync(join(back, "d2"), { recursive: true });
  await cluster.ok("sync", "--delete", ":/tree", back);
  expect(listed(back)).toEqual(listed(tree));
  expect(readdirSync(outside)).toEqual([]);

  // One by one, and synced.
  const synced = join(cluster.dir, "synced");
  await cluster.ok("get", "-r", "--sync", "/tree/d3", synced);
  expect(listed(synced)).toEqual(listed(join(tree, "d3")));
  const name = readdirSync(join(tree, "d1")).find((found) => found.endsWith("-1")) ?? "";
  await cluster.ok("get", `/tree/d1/${name}`, join(cluster.dir, "one"));
  expect(readFileSync(join(cluster.dir, "one"))).toEqual(readFileSync(join(tree, "d1", name)));
}, 120_000);

test("nothing of thousands of small files is written through a link below the target", async () => {
  const tree = join(cluster.dir, "plain");
  for (let n = 0; n < 50; n++) {
    mkdirSync(join(tree, "in"), { recursive: true });
    writeFileSync(join(tree, "in", `${n}`), `${n}`);
    writeFileSync(join(tree, `${n}`), `${n}`);
  }
  await cluster.ok("put", "-r", tree, "/plain");
  const back = join(cluster.dir, "plain-back");
  const trap = join(cluster.dir, "trap");
  mkdirSync(trap);
  mkdirSync(back);
  symlinkSync("../trap", join(back, "in"));
  const { exit, stderr } = await cluster.run(["get", "-r", "/plain", back]);
  expect(exit).not.toBe(0);
  expect(stderr).toContain("it is a symbolic link");
  expect(readdirSync(trap)).toEqual([]);
  expect(readdirSync(back).length).toBe(51);
}, 60_000);

test("single puts and gets of many callers at once come back bit by bit", async () => {
  const from = join(cluster.dir, "single");
  const back = join(cluster.dir, "single-back");
  for (const directory of [from, back]) mkdirSync(directory);
  const names = Array.from({ length: 300 }, (_, n) => `f${n}`);
  const random = seededRandom(7);
  for (const [n, name] of names.entries()) {
    writeFileSync(join(from, name), random.bytes(n % 50 === 0 ? 200_000 : n * 20));
    chmodSync(join(from, name), 0o640);
  }
  const { total: before } = (await cluster.status()).chunks;
  const client = await TydfsClient.connect({ url: cluster.clientUrl });
  try {
    const put = (name: string, exclusive: boolean) =>
      client.put(join(from, name), `/single/${name}`, { exclusive });
    for (const { path, sizeBytes } of await Promise.all(names.map((name) => put(name, true)))) {
      expect(sizeBytes).toBe(lstatSync(join(from, path.slice("/single/".length))).size);
    }
    const again = await Promise.allSettled(names.slice(0, 20).map((name) => put(name, true)));
    for (const result of again) {
      expect(result).toMatchObject({ status: "rejected", reason: { code: "exists" } });
    }
    await Promise.all(names.map((name) => client.get(`/single/${name}`, back)));
  } finally {
    await client.close();
  }
  expect(listed(back).slice(1)).toEqual(listed(from).slice(1));
  // All but a few share packs.
  expect((await cluster.status()).chunks.total - before).toBeLessThan(100);
}, 60_000);

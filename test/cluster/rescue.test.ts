/**
 * The day on which the master is lost for good: files come back from the disks of those keepers
 * that are left, with the compiled binary alone.
 */
import { afterEach, expect, test } from "bun:test";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { MIB, TestCluster } from "./harness.ts";

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

interface Item {
  what: string;
  path?: string;
  hasOlder?: boolean;
  missing?: { start: number; end?: number }[];
  mendedBlocks?: number;
}

/** Every file and link below a directory: its mode, time and bytes, by its path. */
function snapshotOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of readdirSync(root, { recursive: true }) as string[]) {
    const path = join(root, name);
    const facts = lstatSync(path);
    if (facts.isDirectory()) continue;
    const bytes = facts.isSymbolicLink() ? readlinkSync(path) : readFileSync(path);
    const mode = facts.isSymbolicLink() ? 0 : facts.mode & 0o777;
    const hash = new Bun.CryptoHasher("sha256").update(bytes).digest("hex");
    found[name] = `${mode.toString(8)} ${Math.round(facts.mtimeMs)} ${hash}`;
  }
  return found;
}

/** Small files beside each other, which are packed. */
const SMALL_FILES = 60;

/** The names of packed files that the sidecars on a keeper list. */
function packedOn(c: TestCluster, k: number): string[] {
  return c.replicas(k).flatMap((path) => {
    const sidecar = JSON.parse(readFileSync(`${path}.json`, "utf8"));
    return (sidecar.files ?? []).map((file: { path: string }) => file.path);
  });
}

/** A tree of odd names, sizes, modes and times. */
function makeTree(c: TestCluster): string {
  const tree = join(c.dir, "tree");
  mkdirSync(join(tree, "a b/ünïcode/.hidden"), { recursive: true });
  mkdirSync(join(tree, "small"));
  const files: [string, number][] = [
    ["empty", 0],
    ["one byte", 1],
    ["a b/quote\"s and 'more'", 5_000],
    ["a b/new\nline", 100],
    [`a b/${"long".repeat(60)}`, 10],
    ["a b/ünïcode/.hidden/exact", MIB],
    ["a b/ünïcode/large", 3 * MIB + 17],
    ["-dash", 2 * MIB],
    ...Array.from({ length: SMALL_FILES }, (_, index): [string, number] => {
      return [`small/${index}`, 100 * index];
    }),
  ];
  for (const [index, [name, size]] of files.entries()) {
    const path = join(tree, name);
    writeFileSync(path, readFileSync(c.file("bytes", size)));
    chmodSync(path, index % 2 === 0 ? 0o644 : 0o700);
    utimesSync(path, new Date(), new Date(1_400_000_000_000 + index * 86_400_123));
  }
  symlinkSync("../nowhere", join(tree, "a b/link"));
  lutimesSync(join(tree, "a b/link"), new Date(1_300_000_000_001), new Date(1_300_000_000_001));
  return tree;
}

async function start(): Promise<TestCluster> {
  // Replaced versions stay on the disks, and must not come back.
  const env = { TYDFS_CHUNK_SIZE: "1MiB", TYDFS_TRASH_TTL: "1h" };
  return cluster = await TestCluster.start({ env });
}

async function lose(c: TestCluster, keepers: number[]): Promise<string[]> {
  for (const k of [1, 2, 3]) await c.killKeeper(k, "SIGTERM");
  await c.killMaster("SIGTERM");
  rmSync(c.masterDir, { recursive: true });
  for (const k of keepers) rmSync(c.keeperDir(k), { recursive: true });
  return [1, 2, 3].filter((k) => !keepers.includes(k)).map((k) => c.keeperDir(k));
}

async function rescue(c: TestCluster, ...args: string[]) {
  const child = Bun.spawn([join(process.cwd(), "dist/tydfs"), "rescue", "--json", ...args], {
    cwd: c.dir,
    env: { PATH: process.env["PATH"] ?? "" },
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
  });
  const [stdout, stderr, exit] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  const items = stdout === "" ? [] : JSON.parse(stdout) as Item[];
  return { exit, stderr, items, summary: items.at(-1) };
}

test("rescue without a master: the tree is the same, from two of three keepers", async () => {
  const c = await start();
  const tree = makeTree(c);
  // Older versions of all of it, and of one file in another size.
  await c.ok("put", "-r", tree, "/");
  const replacements = { "one byte": 2 * MIB + 1, "a b/ünïcode/large": 2 * MIB + 1, "small/7": 9 };
  for (const [name, size] of Object.entries(replacements)) {
    const path = join(tree, name);
    const { mtimeMs } = lstatSync(path);
    writeFileSync(path, readFileSync(c.file("bytes", size)));
    utimesSync(path, new Date(), new Date(mtimeMs + 1000));
  }
  await c.ok("put", "-r", tree, "/");
  await c.untilStatus("all is whole", ({ chunks }) => chunks.atGoal === chunks.total);
  const wanted = snapshotOf(tree);
  const names = new Set(packedOn(c, 3));
  for (let index = 0; index < SMALL_FILES; index++) expect(names).toContain(`/tree/small/${index}`);
  const directories = await lose(c, [2]);
  // One block of each copy on keeper 1 is damaged.
  for (const path of c.replicas(1)) {
    if (Bun.file(path).size === 0) continue;
    const fd = openSync(path, "r+");
    const byte = readFileSync(path)[0] ?? 0;
    writeSync(fd, new Uint8Array([byte ^ 0xff]), 0, 1, 0);
  }
  const before = directories.map(snapshotOf);
  const listed = await rescue(c, "--list", ...directories);
  expect(listed.exit).toBe(0);
  const files = 9 + SMALL_FILES;
  expect(listed.items.filter(({ what }) => what === "whole")).toHaveLength(files);

  const { exit, items, summary, stderr } = await rescue(c, ...directories, "--to", "rescued");
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  expect(snapshotOf(join(c.dir, "rescued/tree"))).toEqual(wanted);
  expect(items).toHaveLength(files + 1);
  expect(summary?.mendedBlocks).toBeGreaterThan(5);
  expect(directories.map(snapshotOf)).toEqual(before);

  const again = await rescue(c, ...directories, "--to", "rescued");
  expect(again.exit).toBe(0);
  expect(new Set(again.items.map(({ what }) => what))).toEqual(new Set(["present", "summary"]));
}, 120_000);

test(
  "rescue tells what is incomplete and exits with 7; --older takes what was before",
  async () => {
    const c = await start();
    const first = c.file("first.bin", 2 * MIB);
    await c.ok("put", first, "/d/f");
    await c.ok("put", c.file("other.bin", 1000), "/d/other");
    const old = new Set(c.replicas(1).map((path) => path.slice(-32)));
    await c.ok("put", c.file("second.bin", 3 * MIB), "/d/f");
    await c.untilStatus("all is whole", ({ chunks }) => chunks.atGoal === chunks.total);
    const directories = await lose(c, [1]);
    const newer = c.replicas(2).map((path) => path.slice(-32)).filter((id) => !old.has(id)).sort();
    const sidecarOf = (id: string) =>
      join(c.keeperDir(2), `chunks/${id.slice(0, 2)}/${id.slice(2, 4)}/${id}.json`);
    const last = newer.find((id) => JSON.parse(readFileSync(sidecarOf(id), "utf8")).seq === 2) ??
      "";
    for (const k of [2, 3]) {
      const chunk = c.replicas(k).find((path) => path.endsWith(last));
      if (chunk !== undefined) rmSync(chunk);
    }
    const { exit, items } = await rescue(c, ...directories, "--to", "rescued");
    expect(exit).toBe(7);
    expect(items.filter(({ what }) => what === "incomplete")).toMatchObject([
      { path: "/d/f", hasOlder: true, missing: [{ start: 2 * MIB, end: 3 * MIB }] },
    ]);
    expect(existsSync(join(c.dir, "rescued/d/f"))).toBe(false);
    expect(existsSync(join(c.dir, "rescued/d/other"))).toBe(true);

    const older = await rescue(c, ...directories, "--to", "rescued", "--older", "--path", "/d/f");
    expect(older.items.filter(({ what }) => what === "whole")).toHaveLength(1);
    expect(readFileSync(join(c.dir, "rescued/d/f")).equals(readFileSync(first))).toBe(true);
  },
  120_000,
);

test("rescue puts an interrupted upload and the one that went on together", async () => {
  const c = await start();
  const source = c.file("film.bin", 6 * MIB + 5);
  const put = c.spawn(["put", source, "/film"], {
    env: { TYDFS_FAILPOINTS: "client.put.stored=3*kill", TYDFS_PARALLEL: "1" },
  });
  await put.exited;
  await c.ok("put", source, "/film");
  const uploads = new Set(
    c.replicas(1).map((path) =>
      (JSON.parse(readFileSync(`${path}.json`, "utf8")) as { upload: string }).upload
    ),
  );
  expect(uploads.size).toBe(2);
  await c.untilStatus("all is whole", ({ chunks }) => chunks.atGoal === chunks.total);
  const directories = await lose(c, []);
  const { exit, items } = await rescue(c, ...directories, "--to", "rescued");
  expect(exit).toBe(0);
  expect(items.filter(({ path }) => path === "/film")).toMatchObject([{ what: "whole" }]);
  expect(readFileSync(join(c.dir, "rescued/film")).equals(readFileSync(source))).toBe(true);
}, 120_000);

test("a running keeper is warned of, and a directory that is none refused", async () => {
  const c = await start();
  await c.ok("put", c.file("a.bin", 10), "/a");
  const { exit, stderr } = await rescue(c, c.keeperDir(1), "--to", "rescued");
  expect(exit).toBe(0);
  expect(stderr).toContain("A keeper seems to run on");
  const wrong = await rescue(c, c.masterDir, "--to", "rescued");
  expect(wrong.exit).toBe(2);
  expect(wrong.stderr).toContain("name a keeper's data directory");
  cpSync(c.keeperDir(1), join(c.dir, "copy"), { recursive: true });
  const inside = await rescue(c, "copy", "--to", "copy/out");
  expect(inside.exit).toBe(2);
}, 60_000);

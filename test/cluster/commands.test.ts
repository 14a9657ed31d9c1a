/** The small commands from the compiled binary, on one tree: what they print, change and refuse. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TydfsClient } from "../../src/client/client.ts";
import { LINK_MODE } from "../../src/wire/file.ts";
import type { Outcome } from "./harness.ts";
import { MIB, sameBytes, TestCluster } from "./harness.ts";

let cluster: TestCluster;
let big: string;
let lines: string;

const LINES = Array.from({ length: 300_000 }, (_, index) => `line ${index + 1}`).join("\n") + "\n";
const DAY_MS = 86_400_000;

beforeAll(async () => {
  cluster = await TestCluster.start({ env: { TYDFS_CHUNK_SIZE: "2MiB" } });
  big = cluster.file("big.bin", 7 * MIB + 5);
  lines = join(cluster.dir, "lines.txt");
  writeFileSync(lines, LINES);
  await cluster.ok("put", big, "/data/big.bin");
  await cluster.ok("put", lines, "/data/lines.txt");
  await plant("/v/a.mp4", 10);
  await plant("/v/b.mp4", 2000);
  await plant("/v/c.mov", 30);
  await plant("/v/sub/d.mp4", 4000);
  await plant("/v/sub/deep/e.mp4", 5);
  await plant("/v/a[1].txt", 1);
  await cluster.ok("mkdir", "/v/empty");
}, 60_000);
afterAll(() => cluster.stop());

/** A small file with some bytes at a remote path. */
async function plant(remote: string, sizeBytes: number): Promise<void> {
  const stdin = new Uint8Array(sizeBytes).fill(97);
  const { exit, stderr } = await cluster.run(["put", "-q", "-", remote], { stdin });
  expect(stderr + exit).toBe("0");
}

async function linesOf(...args: string[]): Promise<string[]> {
  const stdout = await cluster.ok(...args);
  return stdout.split("\n").slice(0, -1);
}

async function pathsBelow(path: string): Promise<string[]> {
  return await linesOf("ls", "-R", path);
}

function expectFailure(outcome: Outcome, exit: number, words: string | RegExp): void {
  expect([outcome.exit, outcome.stderr]).toEqual([exit, expect.stringMatching(words)]);
  for (const line of outcome.stderr.trimEnd().split("\n")) expect(line).toStartWith("tydfs: ");
}

const FAILURES: [string, number, RegExp][] = [
  ["cat", 2, /Missing required argument 'PATH'/],
  ["head", 2, /Missing required argument 'PATH'/],
  ["cp /v", 2, /Cannot copy "\/v": say where to, too/],
  ["mv /v", 2, /say where to, too/],
  ["rm", 2, /Missing required argument/],
  ["stat", 2, /Missing required argument/],
  ["cat --range 9-1 /data/big.bin", 2, /it ends before it begins/],
  ["find / --size much", 2, /it is no size/],
  ["cat /none", 3, /Cannot find "\/none"/],
  ["cat /v/*.none", 3, /Cannot find "\/v\/\*\.none": nothing matches it/],
  ["head /none", 3, /\/none/],
  ["tail /none", 3, /\/none/],
  ["cp /none /x", 3, /\/none/],
  ["cp /v/*.none /x", 3, /nothing matches it/],
  ["mv /none /x", 3, /\/none/],
  ["mv /v/*.none /x", 3, /nothing matches it/],
  ["rm /none", 3, /\/none/],
  ["rm /v/*.none", 3, /nothing matches it/],
  ["du /none", 3, /\/none/],
  ["find /none", 3, /\/none/],
  ["ls /none", 3, /\/none/],
  ["ls /v/*.none", 3, /nothing matches it/],
  ["stat /v/*.none", 3, /nothing matches it/],
  ["cat /v", 4, /is a directory/],
  ["head /v", 4, /is a directory/],
  ["cp /v /x", 4, /Cannot copy "\/v": it is a directory; use --recursive/],
  ["rm /v", 4, /use --recursive/],
  ["rm -n /v", 4, /use --recursive/],
  ["cp --no-replace /v/a.mp4 /v/b.mp4", 4, /\/v\/b\.mp4/],
  ["mv --no-replace /v/a.mp4 /v/b.mp4", 4, /\/v\/b\.mp4/],
  ["cp /v/a.mp4 /v/b.mp4 /v/c.mov", 4, /Cannot use "\/v\/c\.mov" as a directory: it is a file/],
  ["mv /v/a.mp4 /v/c.mov/", 4, /it is a file/],
  ["cp -r /v /v/sub/copy", 1, /a directory can't be copied into itself/],
  ["mv /v /v/sub", 1, /can't be moved into itself/],
  ["rm -r /", 1, /it is the root/],
  ["rm -rn /", 1, /it is the root/],
];

test.each(FAILURES)("tydfs %s → %i", async (line, exit, words) => {
  const before = await pathsBelow("/v");
  expectFailure(await cluster.run(line.split(" ")), exit, words);
  expect(await pathsBelow("/v")).toEqual(before);
});

test("cat writes files one after the other, byte for byte", async () => {
  const child = cluster.spawn(["cat", "/data/big.bin", "/v/a.mp4"]);
  const bytes = await new Response(child.stdout).bytes();
  expect(await child.exited).toBe(0);
  const both = Buffer.concat([await Bun.file(big).bytes(), Buffer.alloc(10, 97)]);
  expect(Buffer.compare(bytes, both)).toBe(0);
  expect(await cluster.ok("cat", "/v/*.mp4")).toBe("a".repeat(2010));
});

test("cat goes on after a file that it can't write, and says so", async () => {
  const outcome = await cluster.run(["cat", "/none", "/v/a.mp4", "/v/sub"]);
  expect(outcome.stdout).toBe("a".repeat(10));
  expectFailure(outcome, 3, /"\/none".*\n.*"\/v\/sub"/);
});

test("cat --range writes a part", async () => {
  const all = await Bun.file(big).bytes();
  const cases: [string, number, number][] = [
    ["0-0", 0, 1],
    ["5-1048580", 5, 1_048_581],
    ["2MiB-", 2 * MIB, all.length],
    ["-100", all.length - 100, all.length],
    ["7MiB-99MiB", 7 * MIB, all.length],
    ["99MiB-", 0, 0],
    ["-99MiB", 0, all.length],
  ];
  for (const [range, start, end] of cases) {
    const child = cluster.spawn(["cat", "--range", range, "/data/big.bin"]);
    const bytes = await new Response(child.stdout).bytes();
    expect(Buffer.compare(bytes, all.subarray(start, end))).toBe(0);
    expect(await child.exited).toBe(0);
  }
});

test("cat ends quietly when its reader has enough", async () => {
  const command = `"$0" cat /data/big.bin /data/big.bin | head -c 5 | wc -c`;
  const { BINARY } = await import("./harness.ts");
  const env = { ...process.env, TYDFS_URL: cluster.clientUrl };
  const { stdout, stderr } = Bun.spawnSync(["sh", "-c", command, BINARY], { env });
  expect([stdout.toString().trim(), stderr.toString()]).toEqual(["5", ""]);
});

test("cat tells once of an output that takes nothing more", async () => {
  const { BINARY } = await import("./harness.ts");
  const env = { ...process.env, TYDFS_URL: cluster.clientUrl };
  const command = `"$0" cat /data/big.bin > /dev/full`;
  const { stderr, exitCode } = Bun.spawnSync(["sh", "-c", command, BINARY], { env });
  expect(exitCode).toBe(1);
  expect(stderr.toString()).toMatch(/^tydfs: Cannot write to standard output: .*\n$/);
});

test("head and tail write lines and bytes from either end", async () => {
  const all = LINES.split("\n").slice(0, -1);
  expect(await linesOf("head", "/data/lines.txt")).toEqual(all.slice(0, 10));
  expect(await linesOf("head", "-n", "3", "/data/lines.txt")).toEqual(all.slice(0, 3));
  expect(await linesOf("head", "-3", "/data/lines.txt")).toEqual(all.slice(0, 3));
  expect(await linesOf("tail", "-3", "/data/lines.txt")).toEqual(all.slice(-3));
  expect(await cluster.ok("head", "-c", "12", "/data/lines.txt")).toBe(LINES.slice(0, 12));
  expect(await linesOf("head", "-n", "999999999", "/data/lines.txt")).toEqual(all);
  expect(await linesOf("tail", "/data/lines.txt")).toEqual(all.slice(-10));
  // Over several blocks.
  expect(await linesOf("tail", "-n", "250000", "/data/lines.txt")).toEqual(all.slice(-250_000));
  expect(await linesOf("tail", "-n", "300000", "/data/lines.txt")).toEqual(all);
  expect(await linesOf("tail", "-n", "300001", "/data/lines.txt")).toEqual(all);
  expect(await cluster.ok("tail", "-c", "12", "/data/lines.txt")).toBe(LINES.slice(-12));
  expect(await cluster.ok("tail", "-n", "0", "/data/lines.txt")).toBe("");
  expect(await cluster.ok("head", "-n", "1", "/v/a.mp4", "/v/c.mov")).toBe(
    `==> /v/a.mp4 <==\n${"a".repeat(10)}\n==> /v/c.mov <==\n${"a".repeat(30)}`,
  );
  expect(await cluster.ok("tail", "-q", "-c", "1", "/v/*.mp4")).toBe("aa");
});

test("ls takes several paths and patterns", async () => {
  expect(await linesOf("ls", "/v")).toEqual([
    "a.mp4",
    "a[1].txt",
    "b.mp4",
    "c.mov",
    "empty/",
    "sub/",
  ]);
  expect(await linesOf("ls", "/v/*.mp4")).toEqual(["/v/a.mp4", "/v/b.mp4"]);
  expect(await linesOf("ls", "/v/**/*.mp4")).toEqual([
    "/v/a.mp4",
    "/v/b.mp4",
    "/v/sub/d.mp4",
    "/v/sub/deep/e.mp4",
  ]);
  expect(await linesOf("ls", "/v/s*")).toEqual(["/v/sub/"]);
  expect(await linesOf("ls", "/v/a[1].txt")).toEqual(["/v/a[1].txt"]);
  expect(await linesOf("ls", "/v/sub/deep", "/v/a.mp4", "/v/empty")).toEqual([
    "/v/a.mp4",
    "",
    "/v/sub/deep:",
    "e.mp4",
    "",
    "/v/empty:",
  ]);
  expect(await linesOf("ls", "-R", "/v/sub")).toEqual([
    "/v/sub/d.mp4",
    "/v/sub/deep/",
    "/v/sub/deep/e.mp4",
  ]);
});

test("ls sorts, and prints one JSON array over all paths", async () => {
  expect(await linesOf("ls", "-S", "/v/**/*.mp4")).toEqual([
    "/v/sub/d.mp4",
    "/v/b.mp4",
    "/v/a.mp4",
    "/v/sub/deep/e.mp4",
  ]);
  expect((await linesOf("ls", "-S", "--reverse", "/v/*.m*"))[0]).toBe("/v/a.mp4");
  const listed = JSON.parse(await cluster.ok("ls", "--json", "/v/sub", "/v/*.mov"));
  expect(listed.map(({ path }: { path: string }) => path)).toEqual([
    "/v/c.mov",
    "/v/sub/d.mp4",
    "/v/sub/deep",
  ]);
  const keys = ["path", "kind", "size", "mtimeMs", "mode", "owner", "updating"];
  expect(Object.keys(listed[0])).toEqual(keys);
  expect((await linesOf("ls", "-latrh", "/v")).length).toBe((await linesOf("ls", "/v")).length);
  expect(await cluster.ok("ls", "--json", "/v/empty")).toBe("[]\n");
});

test("stat takes patterns", async () => {
  const stats = JSON.parse(await cluster.ok("stat", "--json", "/v/*.mp4"));
  expect(stats.map(({ size }: { size: number }) => size)).toEqual([10, 2000]);
  expect(JSON.parse(await cluster.ok("stat", "--json", "/v/a[1].txt"))).toHaveLength(1);
  expect(JSON.parse(await cluster.ok("stat", "--json", "/v/a.mp4")).size).toBe(10);
});

test("du adds up directories", async () => {
  const total = { size: 6046, files: 6, directories: 3 };
  expect(JSON.parse(await cluster.ok("du", "--json", "/v"))).toEqual([
    { path: "/v/empty", size: 0, files: 0, directories: 0 },
    { path: "/v/sub/deep", size: 5, files: 1, directories: 0 },
    { path: "/v/sub", size: 4005, files: 2, directories: 1 },
    { path: "/v", ...total },
  ]);
  expect(await linesOf("du", "-s", "/v")).toEqual(["5.9 KiB  6 files  /v"]);
  const sorted = JSON.parse(await cluster.ok("du", "--json", "--depth", "1", "--sort", "/v"));
  expect(sorted.map(({ path }: { path: string }) => path)).toEqual(["/v", "/v/sub", "/v/empty"]);
  const paths = JSON.parse(await cluster.ok("du", "--json", "-s", "/v/sub", "/v/*.mov"));
  expect(paths.map(({ size }: { size: number }) => size)).toEqual([4005, 30]);
});

test("find finds by name, kind, size, age and owner", async () => {
  const client = await TydfsClient.connect({ url: cluster.clientUrl, owner: "bob" });
  try {
    await client.putStream(new Blob(["a.mp4"]).stream(), "/find/link");
    await client.set("/find/link", { mode: LINK_MODE });
    await client.putStream(new Blob(["old"]).stream(), "/find/old");
    await client.set("/find/old", { mtimeMs: Date.now() - 9 * DAY_MS });
  } finally {
    await client.close();
  }
  const found = (...args: string[]) => linesOf("find", ...args);
  expect(await found("/v", "--name", "*.mp4", "--size", "+1KiB")).toEqual([
    "/v/b.mp4",
    "/v/sub/d.mp4",
  ]);
  expect(await found("/v", "--type", "d")).toEqual([
    "/v/",
    "/v/empty/",
    "/v/sub/",
    "/v/sub/deep/",
  ]);
  expect((await found("/", "--type", "d"))[0]).toBe("/");
  expect(await found("/", "--type", "l")).toEqual(["/find/link"]);
  expect(await found("/", "--older", "7d", "--type", "f")).toEqual(["/find/old"]);
  expect(await found("/find", "--newer", "7d", "--type", "f")).toEqual([]);
  expect(await found("/", "--owner", "bob", "--type", "f")).toEqual(["/find/old"]);
  expect(await found("/v", "--size", "-11", "--name", "*.mp4")).toEqual([
    "/v/a.mp4",
    "/v/sub/deep/e.mp4",
  ]);
  expect(await found("/v/sub*", "/v/a.mp4", "--type", "f")).toEqual([
    "/v/sub/d.mp4",
    "/v/sub/deep/e.mp4",
    "/v/a.mp4",
  ]);
  expect(await cluster.ok("find", "/v/sub", "-0", "--type", "f")).toBe(
    "/v/sub/d.mp4\0/v/sub/deep/e.mp4\0",
  );
  const listed = JSON.parse(await cluster.ok("find", "/find", "--json", "--type", "l"));
  expect(listed).toEqual([expect.objectContaining({ path: "/find/link", kind: "link" })]);
  expect((await linesOf("ls", "-l", "/find"))[0]).toMatch(/^lrwxrwxrwx {2}bob {2}5 B .* link$/);
});

test("cp copies files, patterns and trees", async () => {
  await cluster.ok("cp", "/data/big.bin", "/cp/big.bin");
  await cluster.ok("get", "/cp/big.bin", join(cluster.dir, "copied.bin"));
  expect(await sameBytes(big, join(cluster.dir, "copied.bin"))).toBe(true);
  const stats = JSON.parse(await cluster.ok("stat", "--json", "/data/big.bin", "/cp/big.bin"));
  expect(stats[0].checksum).toBe(stats[1].checksum);

  expect(await cluster.ok("cp", "/v/*.mp4", "/cp/new")).toBe("");
  expect(await linesOf("ls", "/cp/new")).toEqual(["a.mp4", "b.mp4"]);
  expect(await linesOf("cp", "-r", "/v", "/cp/tree")).toEqual([
    'copied "/v" to "/cp/tree" · 6 files · 4 directories · 5.9 KiB',
  ]);
  const below = (await pathsBelow("/v")).map((path) => path.replace("/v/", "/cp/tree/"));
  expect(await pathsBelow("/cp/tree")).toEqual(below);
  // It is there now: the second goes into it.
  await cluster.ok("cp", "-r", "/v/sub", "/cp/tree");
  await cluster.ok("cp", "-r", "/v/sub", "/v/empty", "/cp/both");
  expect(await linesOf("ls", "/cp/both")).toEqual(["empty/", "sub/"]);
});

test("cp --dry-run changes nothing, and says what it would do", async () => {
  expect(await linesOf("cp", "-rn", "/v/*", "/cp/dry")).toEqual([
    'would copy "/v/a.mp4" to "/cp/dry/a.mp4" · 10 B',
    'would copy "/v/a[1].txt" to "/cp/dry/a[1].txt" · 1 B',
    'would copy "/v/b.mp4" to "/cp/dry/b.mp4" · 2.0 KiB',
    'would copy "/v/c.mov" to "/cp/dry/c.mov" · 30 B',
    'would copy "/v/empty" to "/cp/dry/empty" · 0 files · 1 directory · 0 B',
    'would copy "/v/sub" to "/cp/dry/sub" · 2 files · 2 directories · 3.9 KiB',
  ]);
  expect((await cluster.run(["stat", "/cp/dry"])).exit).toBe(3);
});

test("cp goes on after what fails, and never puts two files at one path", async () => {
  const outcome = await cluster.run(["cp", "-r", "/v/a.mp4", "/v/sub", "/v/a.mp4", "/cp/twice"]);
  expectFailure(outcome, 4, /"\/v\/a\.mp4" has just gone there/);
  expect(await linesOf("ls", "/cp/twice")).toEqual(["a.mp4", "sub/"]);
  const again = await cluster.run(["cp", "-r", "--no-replace", "/v/sub", "/cp/twice"]);
  expectFailure(again, 4, /d\.mp4.*\n.*e\.mp4/);
});

test("mv moves patterns and several things into a directory", async () => {
  for (const name of ["m1.txt", "m2.txt", "m3.log"]) await plant(`/mv/in/${name}`, 5);
  expect(await linesOf("mv", "-n", "/mv/in/*.txt", "/mv/out")).toEqual([
    'would move "/mv/in/m1.txt" to "/mv/out/m1.txt"',
    'would move "/mv/in/m2.txt" to "/mv/out/m2.txt"',
  ]);
  expect(await cluster.ok("mv", "/mv/in/*.txt", "/mv/out")).toBe("");
  expect(await pathsBelow("/mv")).toEqual([
    "/mv/in/",
    "/mv/in/m3.log",
    "/mv/out/",
    "/mv/out/m1.txt",
    "/mv/out/m2.txt",
  ]);
  const moved = JSON.parse(await cluster.ok("mv", "--json", "/mv/in", "/mv/out/m1.txt", "/mv/x"));
  expect(moved).toEqual([
    { from: "/mv/in", path: "/mv/x/in" },
    { from: "/mv/out/m1.txt", path: "/mv/x/m1.txt" },
  ]);
  expect(JSON.parse(await cluster.ok("mv", "--json", "/mv/x/m1.txt", "/mv/x/in"))).toEqual({
    from: "/mv/x/m1.txt",
    path: "/mv/x/in/m1.txt",
  });
});

test("rm takes patterns, and -f what is not there", async () => {
  for (const name of ["a.tmp", "b.tmp", "c.txt", "d/e.tmp", "d/f/g.tmp"]) {
    await plant(`/rm/${name}`, 5);
  }
  expect(await linesOf("rm", "-rn", "/rm/*")).toEqual([
    'would remove "/rm/a.tmp" · 1 file, 0 directories',
    'would remove "/rm/b.tmp" · 1 file, 0 directories',
    'would remove "/rm/c.txt" · 1 file, 0 directories',
    'would remove "/rm/d" · 2 files, 2 directories',
  ]);
  expect(await cluster.ok("rm", "/rm/*.tmp")).toBe("");
  expect(await linesOf("ls", "/rm")).toEqual(["c.txt", "d/"]);
  // A directory goes with all that is below, which is not looked for again.
  expect(await linesOf("rm", "-r", "/rm/d/**")).toEqual([
    'removed "/rm/d/e.tmp" · 1 file, 0 directories',
    'removed "/rm/d/f" · 1 file, 1 directory',
  ]);
  expect(await cluster.ok("rm", "-f", "/rm/none", "/rm/*.none")).toBe("");
  expect(await cluster.ok("rm", "-f", "--json", "/rm/none")).toBe("[]\n");
  const mixed = await cluster.run(["rm", "/rm/none", "/rm/c.txt"]);
  expectFailure(mixed, 3, /\/rm\/none/);
  expect(await linesOf("ls", "/rm")).toEqual(["d/"]);
  expect(JSON.parse(await cluster.ok("rm", "--json", "-r", "/rm/*"))).toEqual([
    { path: "/rm/d", files: 0, directories: 1 },
  ]);
});

test("each of them shows its help with examples", async () => {
  for (const command of ["cat", "head", "tail", "ls", "find", "du", "stat", "cp", "mv", "rm"]) {
    const help = await cluster.ok(command, "--help");
    expect(help).toContain("Examples:");
  }
});

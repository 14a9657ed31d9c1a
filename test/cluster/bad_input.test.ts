/** Bad input from the command line: a clear line, the right exit status, and nothing changed. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { BINARY, MIB, sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
  await cluster.ok("put", cluster.file("there.bin", 1000), "/there");
  await cluster.ok("mkdir", "/directory");
}, 60_000);
afterAll(() => cluster.stop());

const CASES: [string, string[], number, string][] = [
  ["an unknown remote file", ["get", "/none", "x"], 3, "/none"],
  ["an unknown remote file in stat", ["stat", "/none"], 3, "/none"],
  ["an unknown remote file in rm", ["rm", "/none"], 3, "/none"],
  ["an unknown remote file in mv", ["mv", "/none", "/other"], 3, "/none"],
  ["an unknown local file", ["put", "none.bin", "/x"], 1, "none.bin"],
  ["a local directory", ["put", "/tmp", "/x"], 4, "directory"],
  ["a remote directory in get", ["get", "/directory", "x"], 4, "directory"],
  ["a remote directory below a file", ["put", "there.bin", "/there/below"], 4, "/there"],
  ["an empty remote name", ["put", "there.bin", ""], 2, "empty"],
  ["a remote name with ..", ["put", "there.bin", "/a/../b"], 2, '".."'],
  ["a remote name of 300 bytes", ["put", "there.bin", "/" + "x".repeat(300)], 2, "255"],
  ["an unknown command", ["upload", "there.bin"], 2, "upload"],
  ["an unknown option", ["put", "--fast", "there.bin"], 2, "--fast"],
  ["a missing argument", ["get"], 2, "Missing"],
  ["a malformed number", ["put", "--replicas", "many", "there.bin"], 2, "many"],
  ["more copies than wanted", ["put", "--replicas", "1", "--min-copies", "2", "there.bin"], 2, "2"],
  ["a malformed URL", ["ls", "--url", "http://x"], 2, "tydfs://"],
];

test.each(CASES)("%s is refused", async (_name, args, exit, words) => {
  const outcome = await cluster.run(args);
  expect(outcome.stderr).toContain(words);
  expect(outcome.exit).toBe(exit);
  expect(outcome.stdout).toBe("");
  expect(outcome.stderr.trim().split("\n").length).toBeLessThanOrEqual(3);
});

test("a NUL in a remote name is refused by the master too", async () => {
  const { TydfsClient } = await import("../../src/client/client.ts");
  const client = await TydfsClient.connect({ url: cluster.clientUrl });
  try {
    await expect(client.stat("/a\0b")).rejects.toThrow("NUL");
  } finally {
    await client.close();
  }
});

test("a target that can't be written is named, and nothing is left beside it", async () => {
  const directory = join(cluster.dir, "locked");
  writeFileSync(directory, "a file where a directory is meant");
  const outcome = await cluster.run(["get", "/there", join(directory, "x")]);
  expect(outcome.exit).toBe(1);
  expect(outcome.stderr).toContain("locked");
});

test("a full disk of the client is said, leaves the old file, and get goes on with more room", async () => {
  const mount = join(cluster.dir, "small");
  mkdirSync(mount);
  const mounted = Bun.spawnSync(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", mount]);
  expect(mounted.exitCode).toBe(0);
  try {
    await cluster.ok("put", cluster.file("large.bin", 9 * MIB), "/large");
    writeFileSync(join(mount, "large"), "old");
    const outcome = await cluster.run(["get", "/large", join(mount, "large")]);
    expect(outcome.exit).not.toBe(0);
    expect(outcome.stderr.toLowerCase()).toContain("space");
    expect(readdirSync(mount).sort()).toEqual([".large.tydfs-part", "large"]);
    expect(await Bun.file(join(mount, "large")).text()).toBe("old");
    Bun.spawnSync(["mount", "-o", "remount,size=16m", mount]);
    const again = JSON.parse(await cluster.ok("get", "--json", "/large", join(mount, "large")));
    expect(again.resumedBytes).toBeGreaterThan(0);
    expect(await sameBytes(join(mount, "large"), join(cluster.dir, "large.bin"))).toBe(true);
    expect(readdirSync(mount)).toEqual(["large"]);
  } finally {
    Bun.spawnSync(["umount", mount]);
  }
});

test("a file that changes while it is put is an error, and nothing is committed", async () => {
  const path = cluster.file("changing.bin", 300 * MIB);
  const chunks = () => [1, 2, 3].reduce((sum, k) => sum + cluster.replicas(k).length, 0);
  const before = chunks();
  const child = cluster.spawn(["put", path, "/changing"]);
  await until("the upload is under way", () => chunks() > before);
  appendFileSync(path, "x");
  expect(await child.exited).toBe(4);
  expect(await new Response(child.stderr).text()).toContain("changed");
  expect((await cluster.run(["stat", "/changing"])).exit).toBe(3);
}, 60_000);

const UNREACHABLE: [string, string, number][] = [
  ["no master", "tydfs://client:secret@127.0.0.1:1", 5],
  ["a name that resolves to nothing", "tydfs://client:secret@no.such.host.invalid:4222", 5],
];

test.each(UNREACHABLE)("%s is one clear line within 5 s", async (_name, url, exit) => {
  const startMs = performance.now();
  const outcome = await cluster.run(["ls", "--url", url]);
  expect(outcome.exit).toBe(exit);
  expect(outcome.stderr.trim().split("\n")).toHaveLength(1);
  expect(performance.now() - startMs).toBeLessThan(5_000);
});

test("a wrong secret is denied", async () => {
  const url = cluster.clientUrl.replace(/:[^:@]*@/, ":wrong@");
  const outcome = await cluster.run(["ls", "--url", url]);
  expect(outcome.exit).toBe(8);
  expect(outcome.stderr).toContain("secret");
});

test("no URL at all says how to give one", async () => {
  const child = Bun.spawnSync([BINARY, "ls"], {
    env: { ...process.env, TYDFS_URL: "" },
    cwd: cluster.dir,
  });
  expect(child.exitCode).not.toBe(0);
  expect(child.stderr.toString()).toContain("TYDFS_URL");
});

test("an unreadable file is named", async () => {
  const path = cluster.file("secret.bin", 10);
  chmodSync(path, 0);
  // Root reads everything: the case then shows that the put just works.
  const outcome = await cluster.run(["put", path, "/secret"]);
  if (process.getuid?.() === 0) expect(outcome.exit).toBe(0);
  else expect(outcome.stderr).toContain("secret.bin");
});

test("nothing of all this has changed the namespace", async () => {
  const entries = JSON.parse(await cluster.ok("ls", "--json", "-R", "/")) as { path: string }[];
  const paths = entries.map((entry) => entry.path.replace(/\/$/, ""));
  const expected = ["/directory", "/large", "/there"];
  if (process.getuid?.() === 0) expected.splice(2, 0, "/secret");
  expect(paths).toEqual(expected);
  expect(existsSync(join(cluster.dir, "x"))).toBe(false);
});

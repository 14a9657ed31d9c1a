/**
 * Names, trees and streams at their worst, from the command line: many, odd, not UTF-8, changing
 * while they are read, no room for them, nobody who reads. Always a clear line, the right status,
 * and nothing half done that is not said.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { Outcome } from "./harness.ts";
import { BINARY, MIB, TestCluster, until } from "./harness.ts";

const MANY = 10_000;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ keepers: 1, env: { TYDFS_REPLICAS: "1" } });
  await cluster.ok("put", cluster.file("f", 10), "/f");
}, 60_000);
afterAll(() => cluster.stop());

function expectRefused(outcome: Outcome, exit: number, words: string | RegExp): void {
  expect([outcome.exit, outcome.stderr]).toEqual([exit, expect.stringMatching(words)]);
  for (const line of outcome.stderr.trimEnd().split("\n")) expect(line).toStartWith("tydfs: ");
  expect(outcome.stderr).not.toMatch(/^ {4}at |Internal error/m);
}

function directory(name: string): string {
  const path = join(cluster.dir, name);
  mkdirSync(path, { recursive: true });
  return path;
}

async function pathsBelow(path: string): Promise<string[]> {
  const listed = JSON.parse(await cluster.ok("ls", "-R", "--json", path)) as { path: string }[];
  return listed.map((entry) => entry.path.slice(path.length + 1));
}

const EMPTY: string[][] = [
  ...["get", "cat", "head", "tail", "ls", "find", "du", "stat", "rm", "mkdir"].map((c) => [c, ""]),
  ["put", "f", ""],
  ["cp", "", "/x"],
  ["cp", "/f", ""],
  ["mv", "", "/x"],
  ["mv", "/f", ""],
];

test("an empty path is refused by each command, and changes nothing", async () => {
  const before = await cluster.ok("ls", "-R", "/");
  for (const args of EMPTY) {
    expectRefused(await cluster.run(args), 2, /Cannot use "".*: it is empty/);
  }
  expectRefused(await cluster.run(["put", "", "/x"]), 1, /Cannot read ""/);
  expectRefused(await cluster.run(["sync", "", ":/x"]), 1, /Cannot read ""/);
  expectRefused(await cluster.run(["get", "/f", ""]), 1, /Cannot write ""/);
  expect(await cluster.ok("ls", "-R", "/")).toBe(before);
});

test("names that are not UTF-8 are named and left, the rest of the tree is put", async () => {
  const tree = directory("bytes");
  writeFileSync(join(tree, "good"), "good");
  writeFileSync(Buffer.concat([Buffer.from(`${tree}/`), Buffer.from([0xff, 0xfe])]), "bad");
  mkdirSync(Buffer.concat([Buffer.from(`${tree}/d`), Buffer.from([0xff])]));
  for (const args of [["put", "-r", tree, "/bytes"], ["sync", tree, ":/bytes-sync"]]) {
    const outcome = await cluster.run(args);
    expectRefused(outcome, 1, /its name is not UTF-8; rename it\n.*its name is not UTF-8/);
    expect(outcome.stdout).toMatch(/ed 1 file|put 1 file/);
    expect(await pathsBelow(args.at(-1)?.replace(":", "") ?? "")).toEqual(["good"]);
  }
  // As a word of its own it can't even be said.
  const script = `"$0" put "$1/$(printf '\\377\\376')" /bad`;
  const { stderr, exitCode } = Bun.spawnSync(["sh", "-c", script, BINARY, tree], {
    env: { ...process.env, TYDFS_URL: cluster.clientUrl },
  });
  expect([exitCode, stderr.toString()]).toEqual([1, expect.stringContaining("must be renamed")]);
});

test("control characters in names never reach the terminal", async () => {
  const tree = directory("control");
  const name = "a\x1b[31m\u009b31m\x07\u202e\n\r\x7f";
  writeFileSync(join(tree, name), "");
  const lines: string[][] = [
    ["put", join(tree, name), `/control/${name}`],
    ["put", "-r", "-v", tree, "/control-tree"],
    ["put", "-r", "-n", tree, "/other"],
    ...["ls", "ls -l", "ls -R", "find", "du", "stat"].map((
      line,
    ) => [...line.split(" "), "/control"]),
    ["stat", `/control/${name}`],
    ["get", `/control/${name}`, join(tree, "back")],
    ["cp", "-n", `/control/${name}`, "/x"],
    ["cp", "-r", "/control", `/copy ${name}`],
    ["mv", "-n", `/control/${name}`, "/x"],
    ["rm", "-rn", "/control"],
    ["put", "--as", name, join(tree, name), "/owned"],
    ["ls", "-l", "/owned"],
    ["cat", `/none${name}`],
    ["rm", `/none${name}`],
    ["sync", `/none${name}`, ":/x"],
    ["rm", "-r", "/control", "/control-tree", `/copy ${name}`, "/owned"],
  ];
  for (const args of lines) {
    const { stdout, stderr } = await cluster.run(args);
    // deno-lint-ignore no-control-regex
    const found = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/.exec(stdout + stderr);
    expect([args[0], found]).toEqual([args[0], null]);
  }
}, 60_000);

test("10,000 entries in one directory go in, are listed, come out, and go", async () => {
  const tree = directory("many");
  // Most are empty: it is the names that are many.
  for (let n = 0; n < MANY; n++) writeFileSync(join(tree, `f${n}`), n % 500 === 0 ? `${n}` : "");
  const putting = cluster.spawn(["put", "-r", tree, "/many"]);
  expect(await new Response(putting.stdout).text()).toMatch(/^put 10,000 files/);
  const listed = await cluster.ok("ls", "/many");
  expect(listed.split("\n")).toHaveLength(MANY + 1);
  const back = join(cluster.dir, "many-back");
  expect(await cluster.ok("get", "-r", "/many", back)).toMatch(/^got 10,000 files/);
  expect(readdirSync(back)).toHaveLength(MANY);
  expect(readFileSync(join(back, "f9500"), "utf8")).toBe("9500");
  expect(await cluster.ok("sync", tree, ":/many")).toBe("synced 0 files, 0 B · 10,000 the same\n");
  // A reader that has enough ends it, and is no failure.
  const script = `"$0" ls -R / | head -1; "$0" ls -R --json / | head -c 1; "$0" find / | head -1`;
  const { stdout, stderr, exitCode } = Bun.spawnSync(["sh", "-c", script, BINARY], {
    env: { ...process.env, TYDFS_URL: cluster.clientUrl },
  });
  expect([exitCode, stderr.toString()]).toEqual([0, ""]);
  expect(stdout.toString().split("\n")).toHaveLength(3);
  expect(await cluster.ok("rm", "-r", "/many")).toBe(
    'removed "/many" · 10000 files, 1 directory\n',
  );
}, 170_000);

test("5,000 sources on a command line: what is there is put, what is not is counted", async () => {
  const tree = directory("sources");
  const names = Array.from({ length: 5_000 }, (_, n) => join(tree, `s${n}`));
  for (const [n, name] of names.entries()) if (n % 10 === 0) writeFileSync(name, "");
  const outcome = await cluster.run(["put", "-q", ...names, "/sources"]);
  expectRefused(outcome, 1, /s1": there is no such file[^]*… and 4,450 more failed\n$/);
  expect(await pathsBelow("/sources")).toHaveLength(500);
  const removed = await cluster.run([
    "rm",
    ...names.map((_, n) => `/sources/s${n * 10}`).slice(0, 500),
  ]);
  expect(removed).toMatchObject({ exit: 0, stdout: "", stderr: "" });
}, 120_000);

test.each(["shrinks", "grows", "vanishes"])(
  "a file that %s while it is read is an error of put, put -r and sync",
  async (how) => {
    const tree = directory(how);
    // Some chunks, one after the other, so that there is time to change it.
    const size = 300 * MIB;
    for (const verb of ["put", "put -r", "sync"]) {
      // Other bytes each time: what an earlier put has left would be taken over.
      const path = cluster.file(`${how}/big`, size);
      const target = `/${how}-${verb.replace(" ", "")}`;
      const from = verb === "put" ? path : tree;
      const to = verb === "put" ? `${target}/big` : verb === "sync" ? `:${target}` : target;
      const child = cluster.spawn([...verb.split(" "), "--parallel", "1", from, to]);
      const stderr = new Response(child.stderr).text();
      await until("the upload is under way", () => {
        return cluster.replicas(1).some((replica) => isOf(replica, `${target}/big`));
      });
      if (how === "shrinks") truncateSync(path, MIB);
      else if (how === "grows") grow(path, size + 1);
      else rmSync(path);
      const exit = await child.exited;
      expectRefused({ exit, stdout: "", stderr: await stderr }, 4, /changed while it was read/);
      expect((await cluster.run(["stat", `${target}/big`])).exit).toBe(3);
    }
  },
  60_000,
);

/** Whether a chunk was written for a path, as its sidecar tells; it may be gone by now. */
function isOf(replica: string, path: string): boolean {
  const sidecar = `${replica}.json`;
  return existsSync(sidecar) && JSON.parse(readFileSync(sidecar, "utf8")).path === path;
}

function grow(path: string, size: number): void {
  const fd = openSync(path, "r+");
  ftruncateSync(fd, size);
  closeSync(fd);
}

test("a full local disk fails get -r file by file, and the same command goes on with room", async () => {
  const tree = directory("room");
  for (let n = 0; n < 6; n++) cluster.file(`room/r${n}`, MIB);
  await cluster.ok("put", "-r", tree, "/room");
  const mount = directory("tmpfs");
  const run = (...words: string[]) => Bun.spawnSync(words).exitCode;
  expect(run("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", mount)).toBe(0);
  try {
    const outcome = await cluster.run(["get", "-r", "/room", join(mount, "room")]);
    expectRefused(outcome, 1, /no space is left on the device/);
    expect(outcome.stdout).toMatch(/· \d failed\n$/);
    for (const name of readdirSync(join(mount, "room"))) {
      // Whole under its name, or not at all: what is partial has a name that says so.
      if (name.startsWith("r")) expect(Bun.file(join(mount, "room", name)).size).toBe(MIB);
      else expect(name).toMatch(/^\.r\d\.tydfs-part$/);
    }
    expect(run("mount", "-o", "remount,size=16m", mount)).toBe(0);
    await cluster.ok("get", "-r", "/room", join(mount, "room"));
    expect(readdirSync(join(mount, "room")).sort()).toEqual(["r0", "r1", "r2", "r3", "r4", "r5"]);
  } finally {
    run("umount", mount);
  }
});

test("standard output without room is one line and status 1, for each command", async () => {
  for (const line of ["cat /f", "get /f -", "ls /", "head /f /f", "status", "stat /f", "--help"]) {
    const full = openSync("/dev/full", "w");
    const child = Bun.spawn([BINARY, ...line.split(" ")], {
      env: { ...process.env, TYDFS_URL: cluster.clientUrl },
      stdio: ["ignore", full, "pipe"],
    });
    const stderr = await new Response(child.stderr).text();
    closeSync(full);
    expect([line, await child.exited, stderr]).toEqual([
      line,
      1,
      "tydfs: Cannot write to standard output: no space is left on the device\n",
    ]);
  }
});

test("closed streams are no reason to fail", async () => {
  const env = { ...process.env, TYDFS_URL: cluster.clientUrl };
  for (
    const line of ["ls / >&-", "ls / 2>&-", "ls / <&-", "cat /f >&-", "put f /closed <&- >&- 2>&-"]
  ) {
    const { exitCode } = Bun.spawnSync(["sh", "-c", `"$0" ${line}`, BINARY], {
      env,
      cwd: cluster.dir,
    });
    expect([line, exitCode]).toEqual([line, 0]);
  }
  expect((await cluster.run(["stat", "/closed"])).exit).toBe(0);
});

test("errors with --json leave stdout empty, or JSON", async () => {
  const lines = [
    "ls /none",
    "ls /none /f",
    "stat /none /f",
    "rm /none /none2",
    "mv /none /x",
    "cp /none /x",
    "du /none",
    "find /none",
    "get /none x",
    "put none /x",
    "put f none /both",
    "put -r none /x",
    "sync none :/x",
    "mkdir /f",
    "get -r /none x",
  ];
  for (const line of lines) {
    const { exit, stdout, stderr } = await cluster.run([...line.split(" "), "--json"]);
    expect([line, exit]).toEqual([line, expect.any(Number)]);
    expect(exit).toBeGreaterThan(0);
    expect(stderr).toStartWith("tydfs: ");
    // One value, or one a line: events of trees.
    const values = /^\[?$/m.test(stdout) ? [stdout] : stdout.trim().split("\n");
    for (const value of values) if (value !== "") expect(() => JSON.parse(value)).not.toThrow();
  }
});

test("a keeper without room refuses a tree with status 6, and keeps the small part", async () => {
  await cluster.killKeeper(1, "SIGTERM");
  // Whatever the disk has: all of it is to be left free.
  await cluster.startKeeper(1, { TYDFS_RESERVE: "1000TiB" });
  await cluster.untilAlive(1);
  const tree = directory("no-room");
  writeFileSync(join(tree, "a"), "bytes");
  const outcome = await cluster.run(["put", "-r", "--wait", "1s", tree, "/no-room"]);
  expectRefused(outcome, 6, /room|space/);
  const one = await cluster.run(["put", "--wait", "1s", join(tree, "a"), "/no-room-one"]);
  expectRefused(one, 6, /room|space/);
  expect(one.stdout).toBe("");
  expect((await cluster.run(["stat", "/no-room-one"])).exit).toBe(3);
  // What is there can still be read.
  expect((await cluster.run(["cat", "/f"])).exit).toBe(0);
}, 60_000);

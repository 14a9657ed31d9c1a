/** Trees from the compiled binary: put -r, get -r and sync on real files, and what goes wrong. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { MIB, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  // A busy machine may commit a pack late; it must not be an orphan by then.
  cluster = await TestCluster.start({ env: { TYDFS_GRACE: "1m" } });
}, 60_000);
afterAll(() => cluster.stop());

/** Makes files (directories, for names that end with a slash) below `root`. */
function plant(root: string, names: string[]): string {
  const at = join(cluster.dir, root);
  mkdirSync(at, { recursive: true });
  for (const name of names) {
    const path = join(at, name);
    mkdirSync(name.endsWith("/") ? path : dirname(path), { recursive: true });
    if (!name.endsWith("/")) writeFileSync(path, `this is ${name}`);
  }
  return at;
}

/** All of a tree as text, one line an entry: kind, mode, time to the ms, bytes or target. */
function listed(root: string, path = ""): string[] {
  const local = join(root, path);
  const facts = lstatSync(local, { bigint: true });
  const head = `${path}|${facts.mode.toString(8)}`;
  if (facts.isSymbolicLink()) return [`${head}|${readlinkSync(local)}`];
  if (!facts.isDirectory()) return [`${head}|${facts.mtimeMs}|${Bun.hash(readFileSync(local))}`];
  const below = readdirSync(local).sort().flatMap((name) => listed(root, join(path, name)));
  return [`${head}|${facts.mtimeMs}`, ...below];
}

function remotePaths(json: string): string[] {
  return (JSON.parse(json) as { path: string }[]).map(({ path }) => path);
}

test("a nasty tree comes back from put -r and get -r entry by entry", async () => {
  const deep = Array.from({ length: 40 }, (_, level) => `level ${level}`).join("/");
  const tree = plant("nasty", [
    ...["with space/ü 日本 \u{1F600}.txt", ".hidden/.dot", "empty/", "zero", "-dash", "new\nline"],
    ...["a", "a-/x", "a.b/x", `${deep}/end`, "private", "*[?]{a}.txt"],
  ]);
  writeFileSync(join(tree, "zero"), "");
  cluster.file("nasty/two chunks", 70 * MIB);
  symlinkSync("../zero", join(tree, "with space/link"));
  symlinkSync("nowhere", join(tree, "dangling"));
  symlinkSync("/etc", join(tree, "outside"));
  chmodSync(join(tree, "private"), 0o600);
  chmodSync(join(tree, ".hidden"), 0o555);
  for (const name of ["empty", "private", ".hidden", "with space", deep, "."]) {
    utimesSync(join(tree, name), 1_500_000_000.25, 1_500_000_000.25);
  }
  const put = await cluster.ok("put", "-r", tree, "/archive/");
  expect(put).toMatch(/^put 12 files, 70\.0 MiB in .* · 3 links · 46 directories\n$/);
  const back = join(cluster.dir, "nasty-back");
  await cluster.ok("get", "-r", "/archive/nasty", back);
  expect(listed(back)).toEqual(listed(tree));
  // The same again moves nothing; with a slash it goes under its own name.
  expect(await cluster.ok("get", "-r", "/archive/nasty", back)).toMatch(/^got 0 files, 0 B/);
  await cluster.ok("get", "-r", "/archive/nasty", `${back}-2/`);
  expect(listed(join(`${back}-2`, "nasty"))).toEqual(listed(tree));
  expect(readdirSync(back).filter((name) => name.includes(".tydfs-"))).toEqual([]);
}, 60_000);

test("put -r names its target whatever is there, so that the same command goes on", async () => {
  const tree = plant("named/dir", ["f"]);
  await cluster.ok("put", "-r", tree, "/named/new");
  expect(await cluster.ok("put", "-r", tree, "/named/new")).toMatch(/^put 0 files.* 2 the same\n$/);
  await cluster.ok("put", "-r", tree, "/named/in/");
  await cluster.ok("put", "-r", `${tree}/.`, "/named/inner");
  await cluster.ok("put", "-r", tree, join(tree, "f"), "/named/both");
  expect(remotePaths(await cluster.ok("ls", "-R", "--json", "/named"))).toEqual([
    ...["/named/both", "/named/both/dir", "/named/both/dir/f", "/named/both/f"],
    ...["/named/in", "/named/in/dir", "/named/in/dir/f", "/named/inner", "/named/inner/f"],
    ...["/named/new", "/named/new/f"],
  ]);
});

test("a directory without -r is refused, and the other sources are put", async () => {
  const tree = plant("flat", ["dir/x", "file"]);
  const refused = await cluster.run(["put", join(tree, "dir"), "/flat"]);
  expect(refused).toMatchObject({ exit: 4, stdout: "" });
  expect(refused.stderr).toContain("it is a directory; use -r");
  const both = ["put", "--json", join(tree, "dir"), join(tree, "file"), "/flat"];
  const { exit, stdout } = await cluster.run(both);
  expect(exit).toBe(4);
  expect(remotePaths(stdout)).toEqual(["/flat/file"]);
  const got = await cluster.run(["get", "/flat", join(cluster.dir, "flat-back")]);
  expect(got.stderr).toContain("it is a directory; use -r");
  expect(got.exit).toBe(4);
});

test("--exclude and --include hold in the order in which they are given", async () => {
  const tree = plant("filtered", ["a.mp4", "a.tmp", "keep.tmp", "cache/x", "sub/b.mp4", "sub/c"]);
  const flags = ["--include", "keep.tmp", "--exclude", "*.tmp", "--exclude", "cache/"];
  await cluster.ok("put", "-r", ...flags, tree, "/filtered");
  expect(remotePaths(await cluster.ok("ls", "-R", "--json", "/filtered"))).toEqual(
    ["a.mp4", "keep.tmp", "sub", "sub/b.mp4", "sub/c"].map((name) => `/filtered/${name}`),
  );
  const back = join(cluster.dir, "filtered-back");
  await cluster.ok("get", "-r", "--include", "*.mp4", "/filtered", back);
  expect(readdirSync(back)).toEqual(["a.mp4", "sub"]);
  expect(readdirSync(join(back, "sub"))).toEqual(["b.mp4"]);
  expect((await cluster.run(["put", "--exclude", "x", join(tree, "a.mp4")])).exit).toBe(2);
});

test("--dry-run tells all and changes nothing", async () => {
  const tree = plant("dry", ["a", "d/b"]);
  const before = await cluster.ok("ls", "-R", "--json", "/");
  const told = await cluster.ok("put", "-r", "-n", tree, "/dry");
  expect(told.split("\n").slice(0, 2)).toEqual([
    'would put "/dry/a" · 9 B',
    'would put "/dry/d/b" · 11 B',
  ]);
  expect(told).toMatch(/would put 2 files, 20 B · 2 directories\n$/);
  expect(await cluster.ok("ls", "-R", "--json", "/")).toBe(before);
  await cluster.ok("put", "-r", tree, "/dry");
  const back = join(cluster.dir, "dry-back");
  expect(await cluster.ok("get", "-r", "-n", "/dry", back)).toContain(`would get "${back}/d/b"`);
  expect(existsSync(back)).toBe(false);
  // Nor anything of what is there: the times of directories least of all.
  plant("dry-back/d", ["b"]);
  const there = listed(back);
  utimesSync(join(back, "d"), 5, 5);
  await cluster.ok("get", "-r", "-n", "/dry/.", back);
  expect(statSync(join(back, "d")).mtimeMs).toBe(5000);
  expect(listed(back)).toHaveLength(there.length);
});

test("patterns get what matches, with the directories below the pattern's own", async () => {
  const tree = plant("matched", ["2023/a.mp4", "2024/a.mp4", "2024/b.txt", "top.mp4"]);
  await cluster.ok("put", "-r", tree, "/matched");
  const back = join(cluster.dir, "matched-back");
  const got = await cluster.ok("get", "--json", "/matched/**/*.mp4", back);
  expect(remotePaths(got).sort()).toEqual([
    ...["/matched/2023/a.mp4", "/matched/2024/a.mp4", "/matched/top.mp4"],
  ]);
  expect(readdirSync(back).sort()).toEqual(["2023", "2024", "top.mp4"]);
  expect((await cluster.run(["get", "/matched/*.avi", back])).exit).toBe(3);
  // A name with such characters is a name first, and one file is one JSON value.
  const odd = plant("odd", ["*.mp4"]);
  await cluster.ok("put", join(odd, "*.mp4"), "/matched/");
  const one = JSON.parse(await cluster.ok("get", "--json", "/matched/*.mp4", `${back}/`));
  expect(one).toMatchObject({ path: "/matched/*.mp4", local: join(back, "*.mp4") });
});

test("nothing is written through a symbolic link, whoever made it", async () => {
  const outside = plant("victim", ["x"]);
  const tree = plant("trap", ["evil/x", "ok"]);
  await cluster.ok("put", "-r", tree, "/trap");
  const back = plant("trap-back", ["trap/"]);
  symlinkSync(outside, join(back, "trap/evil"));
  symlinkSync(join(outside, "x"), join(back, "trap/ok"));
  const { exit, stderr } = await cluster.run(["get", "-r", "/trap", `${back}/`]);
  expect(exit).toBe(8);
  expect(stderr).toContain("it is a symbolic link, which could lead outside");
  expect(readFileSync(join(outside, "x"), "utf8")).toBe("this is x");
  expect(readFileSync(join(back, "trap/ok"), "utf8")).toBe("this is ok");
  // A link that comes out of the cluster itself is made, and nothing follows through it.
  rmSync(join(tree, "evil"), { recursive: true });
  symlinkSync(outside, join(tree, "evil"));
  await cluster.ok("sync", "--delete", tree, ":/trap");
  const clean = join(cluster.dir, "trap-clean");
  await cluster.ok("get", "-r", "/trap", clean);
  expect(readlinkSync(join(clean, "evil"))).toBe(outside);
  expect((await cluster.run(["sync", ":/archive", join(clean, "evil/../../victim")])).exit).toBe(0);
});

test("what fails is listed at the end, and its class is the exit status", async () => {
  const tree = plant("failing", ["a", "b", "bad/x", "z"]);
  symlinkSync("..", join(tree, "bad/loop"));
  await cluster.ok("mkdir", "-p", "/failing/b");
  const { exit, stdout, stderr } = await cluster.run(
    ["put", "-r", "--links", "follow", `${tree}/.`, "/failing"],
  );
  expect(exit).not.toBe(0);
  expect(stdout).toMatch(/^put 3 files, .* · 2 failed\n$/);
  expect(stderr).toContain("it leads back to");
  expect(stderr).toContain("/failing/b");
});

test("files that may not be read are listed, the rest is put", async () => {
  const setpriv = Bun.which("setpriv");
  if (setpriv === null) throw new Error("setpriv is missing: it comes with util-linux");
  const tree = plant("forbidden", ["a", "secret", "closed/x"]);
  chmodSync(join(tree, "secret"), 0o000);
  chmodSync(join(tree, "closed"), 0o000);
  chmodSync(cluster.dir, 0o755);
  const program = Bun.which("tydfs", {
    PATH: dirname(process.env["TYDFS_BINARY"] ?? "dist/tydfs"),
  });
  const child = Bun.spawn(
    [
      ...[setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"],
      ...[program ?? "", "put", "-r", tree, "/forbidden"],
    ],
    {
      env: { ...process.env, TYDFS_URL: cluster.clientUrl },
      stdout: "pipe",
      stderr: "pipe",
    },
  );
  const [stdout, stderr] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ]);
  expect(await child.exited).toBe(1);
  expect(stdout).toMatch(/^put 1 file, .* · 2 failed\n$/);
  expect(stderr.match(/permission denied/g)).toHaveLength(2);
});

test("a file that changes while it is read is listed, and never half put", async () => {
  const tree = plant("changing", ["a"]);
  const big = cluster.file("changing/big", 200 * MIB);
  const put = cluster.spawn(["put", "-r", "--parallel", "1", tree, "/changing"]);
  await until("the upload has begun", async () => {
    return (await cluster.ok("ls", "-R", "--json", "/")).includes("/changing/a");
  });
  const grow = setInterval(() => writeFileSync(big, "x", { flag: "a" }), 20);
  const exit = await put.exited;
  clearInterval(grow);
  expect(exit).toBe(4);
  expect(await new Response(put.stderr).text()).toContain("the file changed while it was read");
  expect((await cluster.run(["stat", "/changing/big"])).exit).toBe(3);
});

test("--json tells events of a tree, one JSON value a line", async () => {
  const tree = plant("events", ["a", "d/b"]);
  const lines = (await cluster.ok("put", "-r", "--json", tree, "/events")).trim().split("\n");
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const done = events.filter(({ event, kind }) => event === "done" && kind === "file");
  expect(done.map(({ path }) => path).sort()).toEqual(["/events/a", "/events/d/b"]);
  expect(done[0]).toMatchObject({ version: expect.any(Number), checksum: expect.any(String) });
  expect(events.at(-1)).toMatchObject({ event: "summary", files: 2, directories: 2, failed: 0 });
});

test("sync makes both sides alike in either direction, and the second run moves nothing", async () => {
  const tree = plant("work", ["a", "d/b", "d/e/c", "old/x", "empty/"]);
  symlinkSync("a", join(tree, "link"));
  await cluster.ok("sync", tree, ":/work");
  expect(await cluster.ok("sync", tree, ":/work")).toBe("synced 0 files, 0 B · 9 the same\n");
  const back = join(cluster.dir, "work-back");
  await cluster.ok("sync", ":/work", back);
  expect(listed(back)).toEqual(listed(tree));
  expect(await cluster.ok("sync", ":/work", back)).toBe("synced 0 files, 0 B · 9 the same\n");

  rmSync(join(tree, "old"), { recursive: true });
  writeFileSync(join(tree, "d/b"), "other bytes");
  writeFileSync(join(tree, "d/new.tmp"), "");
  expect(await cluster.ok("sync", "--exclude", "*.tmp", tree, ":/work")).toContain("synced 1 file");
  expect(await cluster.ok("sync", "--delete", tree, ":/work")).toContain("2 removed");
  writeFileSync(join(back, "extra"), "");
  const told = await cluster.ok("sync", "-n", "--delete", ":/work", back);
  expect(told).toContain(`would remove "${back}/extra"`);
  expect(existsSync(join(back, "extra"))).toBe(true);
  await cluster.ok("sync", "--delete", ":/work", back);
  expect(listed(back)).toEqual(listed(tree));
});

test("sync sets times without moving bytes, and --checksum sees what times hide", async () => {
  const tree = plant("times", ["a"]);
  await cluster.ok("sync", tree, ":/times");
  utimesSync(join(tree, "a"), 1_500_000_000, 1_500_000_000);
  expect(await cluster.ok("sync", tree, ":/times")).toContain("mode or time of 1 set");
  writeFileSync(join(tree, "a"), "this is b");
  utimesSync(join(tree, "a"), 1_500_000_000, 1_500_000_000);
  expect(await cluster.ok("sync", tree, ":/times")).toContain("synced 0 files");
  expect(await cluster.ok("sync", "-c", tree, ":/times")).toContain("synced 1 file, 9 B");
  expect(statSync(join(tree, "a")).mtimeMs).toBe(1_500_000_000_000);
});

test("sync is never dangerous: no side without a colon, no emptying by an empty source", async () => {
  const tree = plant("void", []);
  for (const words of [[tree, "/work"], [":/work", ":/other"], ["--force", tree, ":/work"]]) {
    expect((await cluster.run(["sync", ...words])).exit).toBe(2);
  }
  expect((await cluster.run(["sync", "--delete", tree, ":/work"])).exit).toBe(4);
  expect((await cluster.run(["sync", "--delete", join(tree, "none"), ":/work"])).exit).toBe(1);
  expect((await cluster.run(["sync", "--delete", ":/none", tree])).exit).toBe(3);
  expect((await cluster.run(["stat", "/work/a"])).exit).toBe(0);
});

test("Ctrl-C says what is done and how to go on, and ends with 130", async () => {
  const tree = plant("stopped", []);
  // So many that they are not all put while somebody looks.
  const files = 6_000;
  for (let index = 0; index < files; index++) writeFileSync(join(tree, `f${index}`), "x");
  const put = cluster.spawn(["put", "-r", tree, "/stopped"]);
  await until("some are put", async () => {
    const { exit, stdout } = await cluster.run(["ls", "--json", "/stopped"]);
    return exit === 0 && remotePaths(stdout).length > 0;
  });
  put.kill("SIGINT");
  const stderr = await new Response(put.stderr).text();
  expect(await put.exited).toBe(130);
  expect(stderr).toMatch(/Until then: put [\d,]+ files?/);
  expect(stderr).toContain("the same command goes on from there");
  const went = await cluster.ok("put", "-r", tree, "/stopped");
  const [, sent, same] = /^put ([\d,]+) files?.* · ([\d,]+) the same\n$/.exec(went) ?? [];
  const numberOf = (text = "") => Number(text.replaceAll(",", ""));
  expect(numberOf(same)).toBeGreaterThan(0);
  // The directory itself may be among what is the same.
  expect(numberOf(sent) + numberOf(same)).toBeOneOf([files, files + 1]);
  expect(remotePaths(await cluster.ok("ls", "--json", "/stopped"))).toHaveLength(files);
}, 60_000);

test("a named pipe among several sources is told, not passed over", async () => {
  const tree = plant("piped", ["a"]);
  expect(Bun.spawnSync(["mkfifo", join(tree, "pipe")]).exitCode).toBe(0);
  const { exit, stderr } = await cluster.run([
    "put",
    join(tree, "pipe"),
    join(tree, "a"),
    "/piped",
  ]);
  expect(exit).toBe(1);
  expect(stderr).toContain("it is neither a file nor a directory");
  expect((await cluster.run(["stat", "/piped/a"])).exit).toBe(0);
});

/** The chunks in which files lie, by their names. */
async function chunksOf(paths: string[]): Promise<string[][]> {
  return await Promise.all(paths.map(async (path) => {
    const stat = await cluster.ok("stat", "--json", "--locations", path);
    return (JSON.parse(stat) as { chunks: { id: string }[] }).chunks.map(({ id }) => id);
  }));
}

test(
  "put -r puts small files into packs, each told as any other, and large ones by themselves",
  async () => {
    const names = Array.from({ length: 300 }, (_, n) => `d${n % 3}/${n}`);
    const tree = plant("small", names);
    cluster.file("small/large", MIB);
    writeFileSync(join(tree, "zero"), "");
    symlinkSync("d0/0", join(tree, "link"));
    const before = (await cluster.status()).chunks.total;
    const lines = (await cluster.ok("put", "-r", "--json", tree, "/small")).trimEnd().split("\n");
    const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const done = events.filter(({ event, kind }) => event === "done" && kind !== "directory");
    expect(done).toHaveLength(303);
    for (const { checksum, version, copies, replicas } of done) {
      expect([String(checksum).length, replicas]).toEqual([16, 3]);
      expect(version).toBeGreaterThan(0);
      expect(copies).toBeGreaterThanOrEqual(2);
    }
    expect(events.at(-1)).toMatchObject({ event: "summary", files: 302, links: 1, failed: 0 });
    expect((await cluster.status()).chunks.total - before).toBeLessThan(20);
    const [first, large] = await chunksOf(["/small/d0/0", "/small/large"]);
    expect(first).toHaveLength(1);
    expect(large).toHaveLength(1);
    expect(first).not.toEqual(large);
    const back = join(cluster.dir, "small-back");
    await cluster.ok("get", "-r", "/small", back);
    expect(listed(back)).toEqual(listed(tree));
    expect(await cluster.ok("sync", tree, ":/small")).toMatch(/^synced 0 files/);
  },
  60_000,
);

test("put of many small files tells which are refused, and puts the others", async () => {
  const tree = plant("refused", ["a", "b", "c", "d"]);
  await cluster.ok("put", join(tree, "b"), "/refused/b");
  await cluster.ok("mkdir", "-p", "/refused/c/sub");
  const locals = ["a", "b", "c", "d"].map((name) => join(tree, name));
  const put = await cluster.run(["put", "--no-replace", ...locals, "/refused/"]);
  expect(put.exit).toBe(4);
  expect(put.stdout.match(/^\/refused\/\w|"\/refused\/\w"/gm)?.length).toBe(2);
  expect(put.stderr).toContain('"/refused/b"');
  expect(put.stderr).toContain('"/refused/c"');
  expect(remotePaths(await cluster.ok("ls", "--json", "/refused"))).toEqual([
    ...["/refused/a", "/refused/b", "/refused/c", "/refused/d"],
  ]);
}, 60_000);

test("put -r of small files that fall under several rules keeps each rule", async () => {
  const tree = plant("ruled", Array.from({ length: 40 }, (_, n) => n % 2 ? `${n}.two` : `${n}`));
  await cluster.ok("rule", "add", "*.two", "--copies", "2");
  await cluster.ok("put", "-r", tree, "/ruled");
  const replicas = async (path: string) =>
    (JSON.parse(await cluster.ok("stat", "--json", path)) as { replicas: number }).replicas;
  expect([await replicas("/ruled/1.two"), await replicas("/ruled/2")]).toEqual([2, 3]);
  const [two, other, third] = await chunksOf(["/ruled/1.two", "/ruled/2", "/ruled/3.two"]);
  expect(third).toEqual(two);
  expect(other).not.toEqual(two);
}, 60_000);

test("put -r of small files goes on when a keeper stops answering in the middle", async () => {
  const tree = plant("hung", Array.from({ length: 500 }, (_, n) => `${n % 10}/${n}`));
  process.kill(cluster.keeperPid(2), "SIGSTOP");
  try {
    expect(await cluster.ok("put", "-r", tree, "/hung")).toMatch(/^put 500 files/);
  } finally {
    process.kill(cluster.keeperPid(2), "SIGCONT");
  }
  await cluster.untilAlive(3);
  const back = join(cluster.dir, "hung-back");
  await cluster.ok("get", "-r", "/hung", back);
  expect(listed(back)).toEqual(listed(tree));
}, 60_000);

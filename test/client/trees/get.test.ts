/** Trees put into a cluster in memory and got out of it again, entry by entry. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { seededRandom } from "../../../src/base/random.ts";
import type { TreeFilter } from "../../../src/client/trees/filter.ts";
import { makeFilter, TAKE_ALL } from "../../../src/client/trees/filter.ts";
import { findGetRoots } from "../../../src/client/trees/get_roots.ts";
import type { Job } from "../../../src/client/trees/job_runner.ts";
import { runJobs } from "../../../src/client/trees/job_runner.ts";
import { LocalWriter } from "../../../src/client/trees/local_writer.ts";
import { findGets } from "../../../src/client/trees/get.ts";
import { findPuts } from "../../../src/client/trees/put.ts";
import { LINK_MODE } from "../../../src/wire/file.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { FakeCluster } from "../fake_cluster.ts";
import { fastClock } from "../fake_bus.ts";
import { scratchDirectory, someBytes } from "../scratch.ts";

const TIME = new Date(1_600_000_000_123);

function world() {
  const scratch = scratchDirectory();
  const cluster = new FakeCluster();
  const failures: string[] = [];
  const done: string[] = [];
  const same = { put: 0, get: 0 };
  const onSame = () => same.put++;
  const onTrouble = ({ message }: TydfsError) => void failures.push(message);
  const { signal } = new AbortController();
  const options = { filter: TAKE_ALL, links: "keep" as const, dryRun: false, signal, onTrouble };
  const run = async (jobs: AsyncIterable<Job>, dryRun = false) => {
    await runJobs(jobs, {
      ...{ transfers: 4, dryRun, signal, clock: fastClock(1000), random: seededRandom(3) },
      listener: {
        found: () => {},
        foundAll: () => {},
        started: () => {},
        progressed: () => {},
        needless: () => same.get++,
        done: (_, { path }) => void done.push(path),
        failed: (_, { message }) => void failures.push(message),
      },
    });
  };
  const put = (
    local: string,
    remote: string,
    more: Partial<typeof options & { anew: boolean }> = {},
  ) => {
    const roots = [{ local: scratch.path(local), remote, withFacts: true }];
    return run(
      findPuts(cluster.client, roots, { ...options, put: {}, anew: false, onSame, ...more }),
    );
  };
  const get = (
    words: string[],
    local: string,
    more: { into?: boolean; recursive?: boolean; filter?: TreeFilter } = {},
  ) => {
    const { into = true, recursive = true, filter = TAKE_ALL } = more;
    const writer = new LocalWriter(scratch.path(local), seededRandom(4));
    const roots = findGetRoots(cluster.client, words, { into, recursive, signal, onTrouble });
    return run(
      findGets(cluster.client, roots, { ...options, filter, get: {}, anew: false, writer }),
    );
  };
  return { ...scratch, cluster, failures, done, same, put, get };
}

/** A tree that has a bit of everything. */
function plantNasty(root: string): void {
  mkdirSync(join(root, "with space/deep/er/est"), { recursive: true });
  mkdirSync(join(root, ".hidden"));
  mkdirSync(join(root, "empty"));
  writeFileSync(join(root, "with space/deep/er/est/ü 日本 \u{1F600}.bin"), someBytes(9_000_001));
  writeFileSync(join(root, ".hidden/.dot"), "dot");
  writeFileSync(join(root, "zero"), "");
  writeFileSync(join(root, "-dash"), "x");
  chmodSync(join(root, "zero"), 0o600);
  chmodSync(join(root, ".hidden"), 0o500);
  symlinkSync("../zero", join(root, "with space/link"));
  symlinkSync("nowhere", join(root, "dangling"));
  for (const name of ["zero", ".hidden", "empty", "with space", "."]) {
    utimesSync(join(root, name), TIME, TIME);
  }
}

/** All of a tree as text, one line an entry. */
function listed(root: string, path = ""): string[] {
  const local = join(root, path);
  const facts = lstatSync(local, { bigint: true });
  const head = `${path}|${facts.mode.toString(8)}|`;
  if (facts.isSymbolicLink()) return [`${head}${readlinkSync(local)}`];
  if (!facts.isDirectory()) {
    return [`${head}${facts.mtimeMs}|${Bun.hash(readFileSync(local))}`];
  }
  const below = readdirSync(local).sort().flatMap((name) => listed(root, join(path, name)));
  return [`${head}${facts.mtimeMs}`, ...below];
}

test("a tree comes back as it was put: bytes, names, modes, times, links, empty directories", async () => {
  using w = world();
  mkdirSync(w.path("tree"));
  plantNasty(w.path("tree"));
  await w.put("tree", "/archive/tree");
  expect(w.failures).toEqual([]);
  expect(w.cluster.file("/archive/tree/dangling").mode).toBe(LINK_MODE);
  expect(w.cluster.directories.get("/archive/tree/.hidden")).toBe(0o500);
  expect(w.cluster.times.get("/archive/tree/empty")).toBe(TIME.getTime());
  await w.get(["/archive/tree"], "back", { into: false });
  expect(w.failures).toEqual([]);
  expect(listed(w.path("back"))).toEqual(listed(w.path("tree")));
});

test("a directory that was there gets mode and time of the one that is put", async () => {
  using w = world();
  mkdirSync(w.path("tree/d"), { recursive: true });
  chmodSync(w.path("tree/d"), 0o700);
  utimesSync(w.path("tree/d"), TIME, TIME);
  await w.cluster.client.makeDirectory("/tree/d", { parents: true });
  await w.put("tree", "/tree");
  expect(w.cluster.directories.get("/tree/d")).toBe(0o700);
  expect(w.cluster.times.get("/tree/d")).toBe(TIME.getTime());
});

test("what fails does not keep the others", async () => {
  using w = world();
  mkdirSync(w.path("tree"));
  for (const name of ["a", "b", "c"]) writeFileSync(w.path(`tree/${name}`), name);
  // What a pack is refused for is told by the put that follows.
  w.cluster.refusalOf = (path) => path === "/tree/b" ? "is-directory" : undefined;
  w.cluster.before = (name) => {
    if (name === "upload.begin") {
      throw new TydfsError("no-space", "Cannot put it: there is no room");
    }
  };
  await w.put("tree", "/tree");
  expect(w.failures).toEqual(["Cannot put it: there is no room"]);
  expect(w.done.sort()).toEqual(["/tree", "/tree/a", "/tree/c"]);
  expect([...w.cluster.files.keys()].sort()).toEqual(["/tree/a", "/tree/c"]);
});

test("findPuts and findGets leave what is there with the same size and time", async () => {
  using w = world();
  mkdirSync(w.path("tree/sub"), { recursive: true });
  for (const name of ["a", "b", "sub/c"]) writeFileSync(w.path(`tree/${name}`), name);
  symlinkSync("a", w.path("tree/link"));
  await w.put("tree", "/tree");
  await w.get(["/tree"], "back", { into: false });
  const versions = new Map([...w.cluster.files].map(([path, { version }]) => [path, version]));
  w.done.splice(0);

  writeFileSync(w.path("tree/b"), "b is longer");
  writeFileSync(w.path("tree/new"), "new");
  await w.put("tree", "/tree");
  expect(w.same.put).toBe(4);
  expect(w.done.filter((path) => path !== "/tree" && path !== "/tree/sub").sort())
    .toEqual(["/tree/b", "/tree/new"]);
  expect(w.cluster.file("/tree/a").version).toBe(versions.get("/tree/a") as number);

  w.done.splice(0);
  await w.get(["/tree"], "back", { into: false });
  expect(w.same.get).toBe(5);
  expect(w.done.filter((path) => /\/(b|new)$/.test(path))).toHaveLength(2);
  expect(w.failures).toEqual([]);

  await w.put("tree", "/tree", { anew: true });
  expect(w.cluster.file("/tree/a").version).toBeGreaterThan(versions.get("/tree/a") as number);
});

test("findPuts sends nothing again where only the time differs, and says it when a file is there", async () => {
  using w = world();
  mkdirSync(w.path("tree"));
  writeFileSync(w.path("tree/a"), "same");
  await w.put("tree", "/tree");
  const { version } = w.cluster.file("/tree/a");
  utimesSync(w.path("tree/a"), TIME, TIME);
  await w.put("tree", "/tree");
  expect(w.cluster.file("/tree/a")).toMatchObject({ version, mtimeMs: TIME.getTime() });
  w.cluster.store("/file", someBytes(1));
  await w.put("tree", "/file");
  expect(w.failures.join()).toContain('"/file"');
});

test("filters hold in both directions", async () => {
  using w = world();
  mkdirSync(w.path("tree/sub"), { recursive: true });
  mkdirSync(w.path("tree/cache"));
  for (const name of ["a.mp4", "a.tmp", "sub/b.mp4", "cache/c.mp4"]) {
    writeFileSync(w.path(`tree/${name}`), name);
  }
  const filter = makeFilter([
    { kind: "exclude", pattern: "*.tmp" },
    { kind: "exclude", pattern: "cache/" },
  ]);
  await w.put("tree", "/tree", { filter });
  expect([...w.cluster.files.keys()].sort()).toEqual(["/tree/a.mp4", "/tree/sub/b.mp4"]);
  const none = makeFilter([{ kind: "include", pattern: "b.*" }]);
  await w.get(["/tree"], "back", { filter: none });
  expect(readdirSync(w.path("back/tree"))).toEqual(["sub"]);
  expect(readdirSync(w.path("back/tree/sub"))).toEqual(["b.mp4"]);
});

test("a link in the cluster redirects nothing that is got after it", async () => {
  using w = world();
  mkdirSync(w.path("outside"));
  mkdirSync(w.path("back/tree"), { recursive: true });
  w.cluster.store("/tree/evil/x", someBytes(5));
  w.cluster.store("/tree/ok", someBytes(5));
  symlinkSync(w.path("outside"), w.path("back/tree/evil"));
  symlinkSync(w.path("outside"), w.path("back/tree/ok"));
  await w.get(["/tree"], "back");
  expect(w.failures.join()).toContain("it is a symbolic link, which could lead outside");
  expect(readdirSync(w.path("outside"))).toEqual([]);
  // The link in the file's own place is replaced, not followed.
  expect(lstatSync(w.path("back/tree/ok")).isFile()).toBe(true);
});

test("patterns get what matches below its own path, directories only with -r", async () => {
  using w = world();
  for (const path of ["/v/2023/a.mp4", "/v/2024/a.mp4", "/v/2024/b.txt", "/v/top.mp4"]) {
    w.cluster.store(path, someBytes(3));
  }
  await w.get(["/v/**/*.mp4"], "deep", { recursive: false });
  expect(listed(w.path("deep")).map((line) => line.split("|")[0]))
    .toEqual(["", "2023", "2023/a.mp4", "2024", "2024/a.mp4", "top.mp4"]);
  await w.get(["/v/*"], "flat", { recursive: false });
  expect(readdirSync(w.path("flat"))).toEqual(["top.mp4"]);
  expect(w.failures.filter((line) => line.startsWith("Left out"))).toHaveLength(2);
  await w.get(["/v/20*"], "trees");
  expect(readdirSync(w.path("trees")).sort()).toEqual(["2023", "2024"]);
  expect(readdirSync(w.path("trees/2024")).sort()).toEqual(["a.mp4", "b.txt"]);
});

test("two sources that would become one are told apart", async () => {
  using w = world();
  w.cluster.store("/a/x", someBytes(1));
  w.cluster.store("/b/x", someBytes(2));
  w.cluster.store("/b/y", someBytes(2));
  await w.get(["/a/x", "/b/x", "/b/y", "/b/none"], "back", { recursive: false });
  expect(readdirSync(w.path("back")).sort()).toEqual(["x", "y"]);
  expect(readFileSync(w.path("back/x"))).toHaveLength(1);
  expect(w.failures).toHaveLength(2);
  expect(w.failures.join()).toContain("another source becomes");
});

test("DIR/. gets what is in a directory, without its name and facts", async () => {
  using w = world();
  w.cluster.store("/d/x", someBytes(1));
  await w.get(["/d/."], "back");
  expect(readdirSync(w.path("back"))).toEqual(["x"]);
});

test("get -r never gives a file the bytes of one that is named like its partial", async () => {
  using w = world();
  w.cluster.store("/t/.a.tydfs-part", someBytes(5));
  w.cluster.store("/t/a", someBytes(5_000_000));
  await w.get(["/t"], "here");
  expect(w.failures).toEqual([expect.stringContaining("unfinished downloads")]);
  expect(readdirSync(w.path("here/t"))).toEqual(["a"]);
  expect(new Uint8Array(readFileSync(w.path("here/t/a")))).toEqual(someBytes(5_000_000));
});

test("get -r takes small files together, and leaves those that fail to be got singly", async () => {
  using w = world();
  const files = Array.from({ length: 30 }, (_, n): [string, Uint8Array<ArrayBuffer>] => {
    return [`/t/d${n % 3}/f${n}`, someBytes(n * 100)];
  });
  w.cluster.storePack(files);
  w.cluster.store("/t/large", someBytes(5_000_000));
  w.cluster.store("/t/.x.tydfs-part", someBytes(5));
  mkdirSync(w.path("here/t/d1/f4"), { recursive: true });
  await w.get(["/t"], "here");
  expect(w.failures.sort()).toEqual([
    expect.stringContaining("unfinished downloads"),
    expect.stringContaining("a directory is there"),
  ]);
  for (const [path, bytes] of files.filter(([path]) => path !== "/t/d1/f4")) {
    expect(new Uint8Array(readFileSync(w.path(`here${path}`)))).toEqual(bytes);
  }
  // The files of the pack by one transfer, or a few where not all were found yet.
  const transfers = w.cluster.served.length;
  expect(transfers).toBeLessThan(10);
  // The same again finds all there, but for what can't be.
  w.failures.length = 0;
  await w.get(["/t"], "here");
  expect(w.failures).toHaveLength(2);
  expect(w.cluster.served.length).toBeLessThan(transfers + 4);
});

test("get -r writes small files through no link that has come between", async () => {
  using w = world();
  w.cluster.storePack([["/t/a/x", someBytes(5)], ["/t/a/y", someBytes(6)], ["/t/b", someBytes(7)]]);
  mkdirSync(w.path("outside"));
  mkdirSync(w.path("here/t"), { recursive: true });
  symlinkSync(w.path("outside"), w.path("here/t/a"));
  await w.get(["/t"], "here");
  expect(w.failures.length).toBeGreaterThan(1);
  expect(readdirSync(w.path("outside"))).toEqual([]);
  expect(readFileSync(w.path("here/t/b"))).toHaveLength(7);
});

/** Trees made alike, in both directions, against a cluster in memory. */
import { expect, test } from "bun:test";
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
import { dirname } from "node:path";
import { seededRandom } from "../../../src/base/random.ts";
import type { FilterRule } from "../../../src/client/trees/filter.ts";
import { makeFilter } from "../../../src/client/trees/filter.ts";
import { sidesDown, sidesUp } from "../../../src/client/trees/sync_sides.ts";
import type { LinkRule } from "../../../src/client/trees/local_tree.ts";
import { syncTrees } from "../../../src/client/trees/sync.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { FakeCluster } from "../fake_cluster.ts";
import { fastClock } from "../fake_bus.ts";
import { scratchDirectory } from "../scratch.ts";

interface SyncFlags {
  remove?: boolean;
  force?: boolean;
  byChecksum?: boolean;
  dryRun?: boolean;
  links?: LinkRule;
  rules?: FilterRule[];
  /** Called before the trees are compared. */
  begun?: () => void;
}

function world() {
  const scratch = scratchDirectory();
  const cluster = new FakeCluster();
  const failures: string[] = [];
  const root = scratch.path("tree");
  /** Syncs, and tells what was done: `file a`, `remove b`, … */
  const sync = async (direction: "up" | "down", flags: SyncFlags = {}) => {
    const { signal } = new AbortController();
    const did: string[] = [];
    const onTrouble = ({ message }: TydfsError) => void failures.push(message);
    const random = seededRandom(5);
    const { links = "keep", rules = [], dryRun = false } = flags;
    const options = { dryRun, local: root, remote: "/tree", filter: makeFilter(rules), links };
    const all = { ...options, signal, random, onTrouble };
    const sides = direction === "up"
      ? sidesUp(cluster.client, all)
      : sidesDown(cluster.client, all);
    const nameOf = (path: string) => path.slice(direction === "up" ? 6 : root.length + 1);
    const before = failures.length;
    const { begin } = sides;
    sides.begin = async () => {
      await begin();
      flags.begun?.();
    };
    const result = await syncTrees(sides, {
      byChecksum: flags.byChecksum ?? false,
      remove: flags.remove ?? false,
      force: flags.force ?? false,
      troubles: () => failures.length - before,
      onSame: () => {},
      onTrouble,
    }, {
      ...{ transfers: 4, dryRun, signal, clock: fastClock(1000), random },
      listener: {
        found: () => {},
        foundAll: () => {},
        started: () => {},
        progressed: () => {},
        needless: () => {},
        done: (_, { kind, path }) => void did.push(`${kind} ${nameOf(path)}`),
        failed: (_, { message }) => void failures.push(message),
      },
    });
    return { did: did.sort(), ...result };
  };
  const plant = (name: string, content = name) => {
    mkdirSync(dirname(`${root}/${name}`), { recursive: true });
    writeFileSync(`${root}/${name}`, content);
  };
  mkdirSync(root);
  return { ...scratch, cluster, failures, root, sync, plant };
}

test("sync up copies what differs, and nothing the second time", async () => {
  using w = world();
  for (const name of ["a", "d/b", "d/e/c", "a.txt", "a-/x"]) w.plant(name);
  mkdirSync(`${w.root}/empty`);
  symlinkSync("a", `${w.root}/link`);
  expect((await w.sync("up")).did).toHaveLength(5 + 4 + 1);
  expect((await w.sync("up")).did).toEqual([]);
  w.plant("d/b", "longer than before");
  w.plant("new");
  rmSync(`${w.root}/link`);
  symlinkSync("b", `${w.root}/link`);
  expect((await w.sync("up")).did.filter((line) => !line.startsWith("facts")))
    .toEqual(["file d/b", "file new", "link link"]);
  expect((await w.sync("up")).did).toEqual([]);
  expect(Buffer.from(w.cluster.content("/tree/d/b")).toString()).toBe("longer than before");
  expect(w.failures).toEqual([]);
});

test("sync down makes the same tree, times of directories and all, and then finds it the same", async () => {
  using w = world();
  for (const name of ["a", "d/b", "d/e/c"]) w.plant(name);
  symlinkSync("a", `${w.root}/link`);
  utimesSync(`${w.root}/d`, 1_500_000_000, 1_500_000_000);
  chmodSync(`${w.root}/d/b`, 0o640);
  await w.sync("up");
  rmSync(w.root, { recursive: true });
  expect((await w.sync("down")).did).toHaveLength(6);
  expect(statSync(`${w.root}/d`).mtimeMs).toBe(1_500_000_000_000);
  expect(statSync(`${w.root}/d/b`).mode & 0o777).toBe(0o640);
  expect(readlinkSync(`${w.root}/link`)).toBe("a");
  expect((await w.sync("down")).did).toEqual([]);
  // A file that comes again does not leave another time on its directory.
  rmSync(`${w.root}/d/b`);
  expect((await w.sync("down")).did).toEqual(["facts d", "file d/b"]);
  expect(statSync(`${w.root}/d`).mtimeMs).toBe(1_500_000_000_000);
  expect((await w.sync("down")).did).toEqual([]);
});

test("sync sets mode and time where the bytes are the same", async () => {
  using w = world();
  w.plant("a");
  await w.sync("up");
  const { version } = w.cluster.file("/tree/a");
  utimesSync(`${w.root}/a`, 1_600_000_000, 1_600_000_000);
  chmodSync(`${w.root}/a`, 0o600);
  expect((await w.sync("up")).did).toEqual(["facts a"]);
  expect(w.cluster.file("/tree/a")).toMatchObject({
    version,
    mode: 0o600,
    mtimeMs: 1_600_000_000_000,
  });
  utimesSync(`${w.root}/a`, 1, 1);
  expect((await w.sync("down")).did).toEqual(["facts a"]);
  expect(statSync(`${w.root}/a`).mtimeMs).toBe(1_600_000_000_000);
});

test("sync with checksums sees bytes that changed behind the same size and time", async () => {
  using w = world();
  w.plant("a", "old");
  utimesSync(`${w.root}/a`, 1_600_000_000, 1_600_000_000);
  await w.sync("up");
  w.plant("a", "new");
  utimesSync(`${w.root}/a`, 1_600_000_000, 1_600_000_000);
  expect((await w.sync("up")).did).toEqual([]);
  expect((await w.sync("up", { byChecksum: true })).did).toEqual(["file a"]);
  expect((await w.sync("up", { byChecksum: true })).did).toEqual([]);
});

for (const direction of ["up", "down"] as const) {
  test(`sync ${direction} removes with delete only, and nothing that is excluded`, async () => {
    using w = world();
    for (const name of ["keep", "gone", "d/gone", "d/e/gone", "d/x.tmp", "old/z.tmp"]) {
      w.plant(name);
    }
    await w.sync("up");
    const doomed = ["gone", "d/gone", "d/e/gone"];
    for (const name of doomed) {
      if (direction === "up") rmSync(`${w.root}/${name}`);
      else await w.cluster.client.remove(`/tree/${name}`);
    }
    if (direction === "up") rmSync(`${w.root}/old`, { recursive: true });
    else await w.cluster.client.remove("/tree/old", { recursive: true });
    const removals = (did: string[]) => did.filter((line) => line.startsWith("remove"));
    expect(removals((await w.sync(direction)).did)).toEqual([]);
    const rules: FilterRule[] = [{ kind: "exclude", pattern: "*.tmp" }];
    await w.sync(direction, { remove: true, rules });
    const has = (name: string) =>
      direction === "up" ? w.cluster.files.has(`/tree/${name}`) : existsSync(`${w.root}/${name}`);
    for (const name of doomed) expect(has(name)).toBe(false);
    for (const name of ["keep", "d/x.tmp", "old/z.tmp"]) expect(has(name)).toBe(true);
    // Without the filter they go, too.
    await w.sync(direction, { remove: true });
    expect(has("old/z.tmp")).toBe(false);
    expect(has("keep")).toBe(true);
    expect(w.failures).toEqual([]);
  });

  test(`sync ${direction} changes kinds: file, directory and link`, async () => {
    using w = world();
    for (const name of ["to-dir", "to-link", "from-dir/a", "from-dir/b/c"]) w.plant(name);
    await w.sync("up");
    const other = world();
    using _ = other;
    other.plant("to-dir/x");
    other.plant("from-dir");
    symlinkSync("x", `${other.root}/to-link`);
    if (direction === "up") {
      rmSync(w.root, { recursive: true });
      for (const name of ["to-dir/x", "from-dir"]) w.plant(name);
      symlinkSync("x", `${w.root}/to-link`);
    } else {
      // The cluster's tree becomes the other one; the local one still is the first.
      const { client } = w.cluster;
      await client.remove("/tree", { recursive: true });
      await client.put(`${other.root}/to-dir/x`, "/tree/to-dir/x");
      await client.put(`${other.root}/from-dir`, "/tree/from-dir");
      await client.putLink("x", "/tree/to-link");
    }
    const { failures } = w;
    await w.sync(direction);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toMatch(/a directory is there, .*--delete takes it away/);
    failures.splice(0);
    await w.sync(direction, { remove: true });
    expect(failures).toEqual([]);
    expect((await w.sync(direction, { remove: true })).did).toEqual([]);
    if (direction === "up") {
      expect([...w.cluster.files.keys()].sort())
        .toEqual(["/tree/from-dir", "/tree/to-dir/x", "/tree/to-link"]);
    } else {
      expect(readFileSync(`${w.root}/from-dir`, "utf8")).toBe("from-dir");
      expect(readdirSync(`${w.root}/to-dir`)).toEqual(["x"]);
      expect(lstatSync(`${w.root}/to-link`).isSymbolicLink()).toBe(true);
    }
  });

  test(`sync ${direction} in a dry run tells all, and changes nothing`, async () => {
    using w = world();
    for (const name of ["a", "b", "d/c"]) w.plant(name);
    await w.sync("up");
    if (direction === "up") {
      rmSync(`${w.root}/a`);
      rmSync(`${w.root}/d`, { recursive: true });
      w.plant("d");
    } else {
      await w.cluster.client.remove("/tree/a");
      await w.cluster.client.set("/tree/d/c", { mode: 0o600 });
      w.plant("e");
      utimesSync(`${w.root}/d`, 1, 1);
      await w.cluster.client.set("/tree/d", { mtimeMs: 1000 });
    }
    const before = JSON.stringify([[...w.cluster.files], [...w.cluster.directories]]);
    const times = statSync(w.root).mtimeMs;
    const { did } = await w.sync(direction, { remove: true, dryRun: true });
    const removed = direction === "up" ? ["remove a", "remove d"] : ["remove a", "remove e"];
    expect(did).toEqual([...(direction === "up" ? ["file d"] : ["facts d/c"]), ...removed]);
    if (direction === "down") expect(statSync(`${w.root}/d`).mtimeMs).toBe(1000);
    expect(JSON.stringify([[...w.cluster.files], [...w.cluster.directories]])).toBe(before);
    if (direction === "down") expect(readdirSync(w.root).sort()).toEqual(["a", "b", "d", "e"]);
    expect(statSync(`${w.root}`).mtimeMs).toBe(times);
  });
}

test("sync removes nothing after trouble with the source, and says how much is left", async () => {
  using w = world();
  for (const name of ["a", "b", "c"]) w.plant(name);
  await w.sync("up");
  rmSync(`${w.root}/a`);
  writeFileSync(Buffer.concat([Buffer.from(`${w.root}/bad`), Buffer.from([0xff])]), "");
  expect(await w.sync("up", { remove: true })).toMatchObject({ removalsLeftOut: 1 });
  expect(w.cluster.files.has("/tree/a")).toBe(true);
});

test("sync removes nothing after a failed copy", async () => {
  using w = world();
  for (const name of ["a", "b"]) w.plant(name);
  await w.sync("up");
  rmSync(`${w.root}/a`);
  w.plant("c");
  w.cluster.before = (name) => {
    if (name === "upload.begin") throw new TydfsError("no-space", "There is no room left");
  };
  expect(await w.sync("up", { remove: true })).toMatchObject({ removalsLeftOut: 1 });
  expect(w.cluster.files.has("/tree/a")).toBe(true);
});

test("sync does not empty the target for an empty or missing source, but with force", async () => {
  using w = world();
  w.plant("a");
  await w.sync("up");
  rmSync(`${w.root}/a`);
  await expect(w.sync("up", { remove: true })).rejects.toMatchObject({ code: "conflict" });
  rmSync(w.root, { recursive: true });
  await expect(w.sync("up", { remove: true, force: true })).rejects.toMatchObject({
    code: "local",
  });
  expect(w.cluster.files.has("/tree/a")).toBe(true);
  mkdirSync(w.root);
  await w.sync("up", { remove: true, force: true });
  expect(w.cluster.files.size).toBe(0);
});

test("sync leaves links alone when they are skipped, on both sides", async () => {
  using w = world();
  w.plant("a");
  symlinkSync("a", `${w.root}/link`);
  await w.sync("up");
  rmSync(`${w.root}/link`);
  await w.sync("up", { remove: true, links: "skip" });
  expect(w.cluster.files.has("/tree/link")).toBe(true);
});

test("sync refuses files as its sides", async () => {
  using w = world();
  rmSync(w.root, { recursive: true });
  writeFileSync(w.root, "");
  await expect(w.sync("up")).rejects.toMatchObject({ code: "not-directory" });
  await w.cluster.client.putLink("x", "/tree");
  await expect(w.sync("down")).rejects.toMatchObject({ code: "not-directory" });
});

test("sync --delete removes nothing when its source is found empty only while it runs", async () => {
  using w = world();
  for (const name of ["a", "d/b"]) w.plant(name);
  await w.sync("up");
  // As when a disk is unmounted: an empty directory is left, and no error.
  const begun = () => {
    rmSync(w.root, { recursive: true });
    mkdirSync(w.root);
  };
  const sync = w.sync("up", { remove: true, begun });
  await expect(sync).rejects.toThrow(/Refused to remove all of "\/tree": there is nothing/);
  expect(w.cluster.content("/tree/d/b").length).toBeGreaterThan(0);
  expect((await w.sync("up", { remove: true, force: true })).did).toContain("remove a");
});

test("sync down gives its root mode and time at the end only, and also when nothing is to be done", async () => {
  using w = world();
  w.plant("a");
  chmodSync(w.root, 0o555);
  await w.sync("up");
  const modeOf = () => statSync(w.root).mode & 0o777;
  rmSync(w.root, { recursive: true });
  const begun = () => expect(modeOf() & 0o200).toBe(0o200);
  await w.sync("down", { begun });
  expect(modeOf()).toBe(0o555);
  chmodSync(w.root, 0o755);
  await w.sync("down");
  expect([modeOf(), w.failures]).toEqual([0o555, []]);
});

test("sync --delete ends when more than it holds can't be removed", async () => {
  const entry = { kind: "directory", sizeBytes: 0, mtimeMs: 0, mode: 0o755 } as const;
  let rounds = 0;
  async function* target() {
    rounds++;
    // As directories with what a filter leaves out in them.
    for (let at = 100_000; at < 150_001; at++) yield { ...entry, path: `d${at}` };
  }
  async function* source() {
    yield { ...entry, path: "a" };
  }
  const job = { kind: "remove", path: "", from: "", sizeBytes: 0 } as const;
  const jobs = {
    copy: () => ({ ...job, run: () => Promise.resolve() }),
    directory: () => ({ ...job, run: () => Promise.resolve() }),
    facts: () => ({ ...job, run: () => Promise.resolve() }),
    remove: () => ({ ...job, run: () => Promise.resolve(0) }),
  };
  const quiet = () => {};
  const { signal } = new AbortController();
  const result = await syncTrees({
    ...{ sourceName: "s", targetName: "t", begin: () => Promise.resolve(), source, target, jobs },
    ...{ localChecksum: () => Promise.resolve(""), removesWhole: false },
  }, {
    ...{ byChecksum: false, remove: true, force: false, troubles: () => 0 },
    ...{ onSame: quiet, onTrouble: quiet },
  }, {
    ...{ transfers: 4, dryRun: false, signal, clock: fastClock(1000), random: seededRandom(1) },
    listener: {
      ...{ found: quiet, foundAll: quiet, started: quiet, progressed: quiet, done: quiet },
      ...{ needless: quiet, failed: quiet },
    },
  });
  expect([rounds, result.removalsLeftOut]).toEqual([1, 0]);
});

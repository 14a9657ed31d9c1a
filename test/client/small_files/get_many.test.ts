/** Many small files at once, out of a cluster in memory whose keepers have faults. */
import { expect, test } from "bun:test";
import {
  existsSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { mkdirSync } from "node:fs";
import { MIB } from "../../../src/base/bytes.ts";
import type { Fault } from "../fake_cluster.ts";
import { FakeCluster } from "../fake_cluster.ts";
import { scratchDirectory, someBytes } from "../scratch.ts";

function world(options: ConstructorParameters<typeof FakeCluster>[0] = {}) {
  const scratch = scratchDirectory();
  const cluster = new FakeCluster(options);
  const getMany = (
    paths: readonly string[],
    more: { sync?: boolean; signal?: AbortSignal } = {},
  ) => {
    const files = paths.map((path) => ({ remote: path, local: scratch.path(`out${path}`) }));
    return cluster.client.getMany(files, more);
  };
  const read = (path: string): Uint8Array =>
    new Uint8Array(readFileSync(scratch.path(`out${path}`)));
  return { ...scratch, cluster, getMany, read };
}

/** Files of all sizes below a block, each with bytes of its own. */
function someFiles(count: number): [string, Uint8Array<ArrayBuffer>][] {
  const sizes = [0, 1, 4096, 70_000, 300_000, MIB - 1];
  return Array.from({ length: count }, (_, n) => {
    const bytes = someBytes(sizes[n % sizes.length] ?? 0);
    if (bytes.length > 0) bytes[0] = n;
    return [`/d${n % 3}/f${n}`, bytes];
  });
}

for (const sync of [false, true]) {
  test(`getMany gets the files of a pack by one transfer${sync ? ", synced" : ""}`, async () => {
    using w = world();
    const files = someFiles(40);
    w.cluster.storePack(files);
    const results = await w.getMany(files.map(([path]) => path), { sync });
    for (const [at, [path, bytes]] of files.entries()) {
      expect(w.read(path)).toEqual(bytes);
      const { version, checksum } = w.cluster.file(path);
      const local = w.path(`out${path}`);
      const facts = { path, version, checksum, sizeBytes: bytes.length, resumedBytes: 0 };
      expect(results[at]).toMatchObject({ ...facts, local });
      expect(statSync(local).mode & 0o777).toBe(0o640);
      expect(statSync(local).mtimeMs).toBe(1_700_000_000_000);
    }
    expect(w.cluster.served).toHaveLength(1);
    expect(w.cluster.calls).toEqual(["file.locate-many"]);
    const names = ["d0", "d1", "d2"].flatMap((name) => readdirSync(w.path(`out/${name}`)));
    expect(names.filter((name) => name.startsWith("."))).toEqual([]);
  });
}

test("getMany goes on where an answer stops, and leaves out what is no small file", async () => {
  using w = world({ pageMax: 7, chunkBytes: 2 * MIB });
  const files = someFiles(20);
  w.cluster.storePack(files);
  w.cluster.store("/large", someBytes(5 * MIB));
  w.cluster.store("/own", someBytes(5_000));
  const paths = ["/none", ...files.map(([path]) => path), "/large", "/own"];
  const results = await w.getMany(paths);
  expect(results.map((result) => result !== undefined)).toEqual([
    false,
    ...files.map(() => true),
    false,
    true,
  ]);
  expect(w.read("/own")).toEqual(someBytes(5_000));
  expect(existsSync(w.path("out/large"))).toBe(false);
});

test("getMany of few files of a pack fetches only blocks that it needs", async () => {
  using w = world();
  const files = someFiles(60);
  w.cluster.storePack(files);
  const wanted = [files[1], files[58]].map((file) => file?.[0] ?? "");
  await w.getMany(wanted);
  expect(w.cluster.served).toEqual([MIB, MIB]);
});

const faults: Fault[] = ["refuse", "stall", "short", "flip", "busy", "expired"];
for (const fault of faults) {
  test(`getMany gets all when a holder has the fault "${fault}"`, async () => {
    using w = world();
    const files = someFiles(40);
    w.cluster.storePack(files);
    for (const keeper of w.cluster.keepers.slice(0, 2)) keeper.fault = fault;
    const results = await w.getMany(files.map(([path]) => path));
    expect(results).not.toContain(undefined);
    for (const [path, bytes] of files) expect(w.read(path)).toEqual(bytes);
  });
}

test("getMany asks again when a pack was compacted away meanwhile", async () => {
  using w = world();
  const files = someFiles(30);
  const old = w.cluster.storePack(files);
  let asked = 0;
  w.cluster.before = (name) => {
    if (name !== "file.locate-many" || ++asked > 1) return;
    // After the answer, before the transfer.
    queueMicrotask(() => {
      for (const { chunks } of w.cluster.keepers) chunks.delete(old);
      w.cluster.storePack(files.slice(10).toReversed());
      w.cluster.storePack(files.slice(0, 10));
    });
  };
  const results = await w.getMany(files.map(([path]) => path));
  expect(results).not.toContain(undefined);
  expect(asked).toBe(2);
  for (const [path, bytes] of files) expect(w.read(path)).toEqual(bytes);
});

test("getMany answers undefined for what no holder has right, and does the rest", async () => {
  using w = world();
  const [bad, good] = [someFiles(5), someFiles(9).slice(5)];
  w.cluster.storePack(bad, [w.cluster.keeper(0)]);
  w.cluster.storePack(good, [w.cluster.keeper(1)]);
  w.cluster.keeper(0).fault = "flip";
  const results = await w.getMany([...bad, ...good].map(([path]) => path));
  // The first one is empty, the others share a block with a wrong byte or come behind it.
  expect(results.map((result) => result !== undefined)).toEqual([
    ...[true, false, false, false, false],
    ...good.map(() => true),
  ]);
  expect(existsSync(w.path("out/d1/f1"))).toBe(false);
  expect(w.cluster.doubts.map(({ keeper }) => keeper)).toContain(w.cluster.keeper(0).id);
});

test("getMany never gives a file the bytes of another place", async () => {
  using w = world();
  const files = someFiles(6);
  w.cluster.storePack(files);
  const [extent] = w.cluster.file("/d2/f2").extents;
  if (extent !== undefined) extent.chunkOffset += 1;
  const results = await w.getMany(files.map(([path]) => path));
  expect(results.map((result) => result !== undefined))
    .toEqual([true, true, false, true, true, true]);
  expect(existsSync(w.path("out/d2/f2"))).toBe(false);
  // Nor does who reads it by itself.
  await expect(w.cluster.client.get("/d2/f2", w.path("one"))).rejects.toMatchObject({
    code: "corrupt",
  });
});

test("getMany replaces files and links, and leaves alone what is neither", async () => {
  using w = world();
  const files = someFiles(5).map(([, bytes], n) => [`/f${n}`, bytes] as const);
  w.cluster.storePack(files);
  mkdirSync(w.path("out/f3"), { recursive: true });
  writeFileSync(w.path("out/f1"), "old");
  writeFileSync(w.path("kept"), "kept");
  symlinkSync("../kept", w.path("out/f2"));
  const fifo = Bun.spawnSync(["mkfifo", w.path("out/f4")]);
  expect(fifo.exitCode).toBe(0);
  const results = await w.getMany(files.map(([path]) => path));
  expect(results.map((result) => result !== undefined)).toEqual([true, true, true, false, false]);
  expect(readFileSync(w.path("kept"), "utf8")).toBe("kept");
  expect(w.read("/f2")).toEqual(someBytes(4096).fill(2, 0, 1));
  expect(statSync(w.path("out/f4")).isFIFO()).toBe(true);
  expect(readdirSync(w.path("out")).sort()).toEqual(["f0", "f1", "f2", "f3", "f4"]);
});

for (const sync of [false, true]) {
  test(`getMany that is aborted leaves no half files${sync ? ", synced" : ""}`, async () => {
    using w = world();
    const files = someFiles(120);
    w.cluster.storePack(files);
    const stop = new AbortController();
    let heard = 0;
    const many = files.map(([path]) => ({ remote: path, local: w.path(`out${path}`) }));
    const run = w.cluster.client.getMany(many, {
      ...{ sync, signal: stop.signal },
      onProgress: () => {
        if (++heard === 30) stop.abort(new Error("enough"));
      },
    });
    await expect(run).rejects.toThrow("enough");
    const bytesByPath = new Map(files);
    let found = 0;
    for (const name of readdirSync(w.path("out"), { recursive: true }) as string[]) {
      if (!name.includes("/")) continue;
      expect(w.read(`/${name}`)).toEqual(bytesByPath.get(`/${name}`) ?? new Uint8Array());
      found++;
    }
    expect(found).toBeWithin(30, 120);
  });
}

test("getMany says nothing of a cluster that is away: whoever is asked singly tells", async () => {
  using w = world();
  w.cluster.storePack(someFiles(3));
  w.cluster.before = () => {
    throw new Error("broken");
  };
  expect(await w.getMany(["/d0/f0", "/d1/f1"])).toEqual([undefined, undefined]);
});

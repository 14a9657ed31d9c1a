/** Single puts and gets that come together, against a cluster in memory. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { KIB, MIB } from "../../src/base/bytes.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { fileLocate, fileStat } from "../../src/wire/file.ts";
import { fileLocateMany } from "../../src/wire/locate_many.ts";
import { packBegin, packCommit } from "../../src/wire/pack.ts";
import { fileStatMany } from "../../src/wire/stat_many.ts";
import { uploadBegin } from "../../src/wire/upload.ts";
import type { FakeClusterOptions } from "./fake_cluster.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

function world(options: FakeClusterOptions = {}) {
  const scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: 16 * MIB, ...options });
  /** Writes a file that is no younger than a minute. */
  const plant = (name: string, bytes: Uint8Array): string => {
    const local = scratch.path(name);
    writeFileSync(local, bytes, { mode: 0o640 });
    utimesSync(local, 1_700_000_000, 1_700_000_000);
    return local;
  };
  const count = (name: string) => cluster.calls.filter((call) => call === name).length;
  return { ...scratch, cluster, plant, count };
}

const TWENTY = Array.from({ length: 20 }, (_, n) => n);

test("puts that come while others are under way go together, with what each is told alone", async () => {
  using w = world();
  const heard: number[] = [];
  const results = await Promise.all(TWENTY.map((n) => {
    const local = w.plant(`f${n}`, someBytes(100 + n));
    const onProgress = ({ doneBytes }: { doneBytes: number }) => {
      if (doneBytes === 100 + n) heard.push(n);
    };
    return w.cluster.client.put(local, `/t/f${n}`, { onProgress });
  }));
  // Four begin at once, the others go in one pack.
  expect([w.count(uploadBegin.name), w.count(packBegin.name)]).toEqual([4, 1]);
  for (const n of TWENTY) {
    const bytes = someBytes(100 + n);
    expect(w.cluster.content(`/t/f${n}`)).toEqual(bytes);
    const { checksum, version } = w.cluster.file(`/t/f${n}`);
    const facts = { path: `/t/f${n}`, sizeBytes: 100 + n, checksum, version, copies: 2, goal: 3 };
    expect(results[n]).toMatchObject({ ...facts, resumedBytes: 0 });
    expect(w.cluster.file(`/t/f${n}`)).toMatchObject({ mode: 0o640, mtimeMs: 1_700_000_000_000 });
  }
  expect(heard.sort((left, right) => left - right)).toEqual(TWENTY);
});

test("puts with other wishes, and large ones, go their own way", async () => {
  using w = world();
  const { client } = w.cluster;
  const results = await Promise.all([
    ...[1, 2, 3, 4].map((n) => client.putMemory(someBytes(n), `/busy${n}`)),
    ...[1, 2, 3].map((n) => client.putMemory(someBytes(n), `/three${n}`, { replicas: 3 })),
    ...[1, 2, 3].map((n) => client.putMemory(someBytes(n), `/two${n}`, { replicas: 2 })),
    client.putMemory(someBytes(129 * KIB), "/large"),
    client.put(w.plant("large", someBytes(129 * KIB)), "/larger"),
  ]);
  expect(results).toHaveLength(12);
  expect([w.count(uploadBegin.name), w.count(packBegin.name)]).toEqual([6, 2]);
  expect(w.cluster.content("/three2")).toEqual(someBytes(2));
});

test("each put of a group fails for itself", async () => {
  using w = world();
  const { client } = w.cluster;
  w.cluster.store("/there", someBytes(5));
  const names = ["/a", "/b", "/c", "/e", "/d", "/there", "/", "/f"];
  const puts = names.map((name) => client.putMemory(someBytes(7), name, { exclusive: true }));
  const none = client.put(w.path("none"), "/none", { exclusive: true });
  const settled = await Promise.allSettled([...puts, none]);
  const words = settled.map((result) =>
    result.status === "fulfilled" ? "ok" : (result.reason as TydfsError).code
  );
  expect(words).toEqual(["ok", "ok", "ok", "ok", "ok", "exists", "usage", "ok", "local"]);
  expect(w.cluster.content("/there")).toHaveLength(5);
});

test("a put that is given up in a group is told so at once, and is not put", async () => {
  using w = world();
  const { client } = w.cluster;
  const given = new AbortController();
  w.cluster.before = (name) => {
    if (name === packBegin.name) given.abort(new Error("given up"));
  };
  const busy = [1, 2, 3, 4].map((n) => client.putMemory(someBytes(n), `/busy${n}`));
  const others = [1, 2].map((n) => client.putMemory(someBytes(n), `/other${n}`));
  const own = client.putMemory(someBytes(9), "/own", { signal: given.signal });
  await expect(own).rejects.toThrow("given up");
  await Promise.all([...busy, ...others]);
  expect(w.count(packCommit.name)).toBe(1);
  expect([...w.cluster.files.keys()].sort()).toEqual(
    ["/busy1", "/busy2", "/busy3", "/busy4", "/other1", "/other2"],
  );
});

test("where packs can't be put, those that waited are put one by one", async () => {
  using w = world();
  w.cluster.before = (name) => {
    if (name === packBegin.name) throw new TydfsError("invalid", "No packs here");
  };
  await Promise.all(TWENTY.map((n) => w.cluster.client.putMemory(someBytes(n + 1), `/f${n}`)));
  expect(w.count(uploadBegin.name)).toBe(20);
  for (const n of TWENTY) expect(w.cluster.content(`/f${n}`)).toEqual(someBytes(n + 1));
});

test("stats that come while others are under way are asked for at once", async () => {
  using w = world({ pageMax: 10 });
  const { client } = w.cluster;
  for (const n of TWENTY) w.cluster.store(`/f${n}`, someBytes(n));
  const stats = TWENTY.map((n) => client.stat(`/f${n}`));
  const none = client.stat("/none");
  const words = await Promise.all([...stats, none.catch(({ code }) => code)]);
  for (const n of TWENTY) expect(words[n]).toMatchObject({ entry: { path: `/f${n}`, size: n } });
  expect(words[20]).toBe("not-found");
  // Four begin at once; behind where the answer stops each is asked for by itself.
  expect([w.count(fileStat.name), w.count(fileStatMany.name)]).toEqual([4 + 7, 1]);
});

test("gets that come while others are under way are asked for at once", async () => {
  using w = world();
  const files = TWENTY.map((
    n,
  ): [string, Uint8Array<ArrayBuffer>] => [`/t/f${n}`, someBytes(n * 9)]);
  w.cluster.storePack(files);
  w.cluster.store("/large", someBytes(3 * MIB));
  mkdirSync(w.path("out"));
  const { client } = w.cluster;
  const heard: number[] = [];
  const gets = TWENTY.map((n) =>
    client.get(`/t/f${n}`, w.path(`out/f${n}`), {
      exact: true,
      onProgress: ({ doneBytes }) => {
        if (doneBytes === n * 9) heard.push(n);
      },
    })
  );
  const large = await client.get("/large", w.path("out/large"), { exact: true });
  const results = await Promise.all(gets);
  // Four begin at once; the large one is left by its group.
  expect([w.count(fileLocate.name), w.count(fileLocateMany.name)]).toEqual([5, 1]);
  expect(large.sizeBytes).toBe(3 * MIB);
  for (const [n, [path, bytes]] of files.entries()) {
    const local = w.path(`out/f${n}`);
    expect(readFileSync(local)).toEqual(Buffer.from(bytes));
    const { version, checksum } = w.cluster.file(path);
    const facts = { path, version, checksum, sizeBytes: bytes.length, resumedBytes: 0, local };
    expect(results[n]).toMatchObject(facts);
    expect(statSync(local).mtimeMs).toBe(1_700_000_000_000);
  }
  expect(new Set(heard)).toEqual(new Set(TWENTY));
});

test("a large file whose size is known goes its own way at once", async () => {
  using w = world();
  const names = ["a", "b", "c", "d", "e", "f"];
  for (const name of names) w.cluster.store(`/${name}`, someBytes(2 * MIB));
  const { client } = w.cluster;
  const options = { exact: true, sizeBytes: 2 * MIB };
  await Promise.all(names.map((name) => client.get(`/${name}`, w.path(name), options)));
  expect([w.count(fileLocate.name), w.count(fileLocateMany.name)]).toEqual([6, 0]);
});

test("each get of a group fails for itself", async () => {
  using w = world();
  w.cluster.storePack(TWENTY.map((n) => [`/f${n}`, someBytes(9)]));
  const { client } = w.cluster;
  const given = new AbortController();
  w.cluster.after = (name) => {
    if (name === fileLocateMany.name) given.abort(new Error("given up"));
  };
  const get = (path: string, name: string, signal?: AbortSignal) =>
    client.get(path, w.path(name), { exact: true, ...(signal && { signal }) })
      .then(() => "ok", (error) => error.code ?? error.message);
  writeFileSync(w.path("f5"), "a file");
  const words = await Promise.all([
    ...[10, 11, 12, 13].map((n) => get(`/f${n}`, `f${n}`)),
    get("/f1", "f1"),
    get("/f2", "f2"),
    get("/none", "none"),
    get("/f3", "f5/f3"),
    get("/f4", "f4", given.signal),
    get("/f6", "new/f6"),
  ]);
  expect(words.slice(0, 6)).toEqual(Array(6).fill("ok"));
  expect(words.slice(6)).toEqual(["not-found", "local", "given up", "ok"]);
  expect(existsSync(w.path("f4"))).toBe(false);
  expect(readFileSync(w.path("new/f6"))).toEqual(Buffer.from(someBytes(9)));
});

test("a large file under way holds up no small ones", async () => {
  using w = world();
  w.cluster.storePack(TWENTY.map((n) => [`/f${n}`, someBytes(9)]));
  for (const n of [1, 2, 3, 4]) w.cluster.store(`/large${n}`, someBytes(3 * MIB));
  const { client } = w.cluster;
  const order: string[] = [];
  const get = async (name: string) => {
    await client.get(`/${name}`, w.path(name));
    order.push(name);
  };
  const large = [1, 2, 3, 4].map((n) => get(`large${n}`));
  await Promise.all([get("f1"), get("f2"), get("f3")]);
  expect(order).toHaveLength(3);
  await Promise.all(large);
});

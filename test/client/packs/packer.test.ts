/** Small files put in packs, against a cluster in memory: what is told, and what is left. */
import { expect, test } from "bun:test";
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { KIB, MIB } from "../../../src/base/bytes.ts";
import type { PackedOutcome, SmallFile } from "../../../src/client/packs/small_file.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { LINK_MODE } from "../../../src/wire/file.ts";
import { packBegin, packCommit } from "../../../src/wire/pack.ts";
import type { FakeClusterOptions } from "../fake_cluster.ts";
import { FakeCluster } from "../fake_cluster.ts";
import { scratchDirectory, someBytes } from "../scratch.ts";

function world(options: FakeClusterOptions = {}) {
  const scratch = scratchDirectory();
  const cluster = new FakeCluster({ chunkBytes: 16 * MIB, ...options });
  /** Writes a file that is no younger than a minute. */
  const plant = (name: string, bytes: Uint8Array): SmallFile => {
    const local = scratch.path(name);
    writeFileSync(local, bytes, { mode: 0o640 });
    utimesSync(local, 1_700_000_000, 1_700_000_000);
    const { size: sizeBytes, mtimeMs } = statSync(local);
    return { path: `/t/${name}`, local, sizeBytes, mtimeMs };
  };
  const some = (count: number, sizeBytes = 100) =>
    Array.from({ length: count }, (_, n) => plant(`f${n}`, someBytes(sizeBytes + n)));
  return { ...scratch, cluster, plant, some };
}

/** `ok`, the code of an error, or `left`. */
function words(outcomes: readonly PackedOutcome[]): string[] {
  return outcomes.map((outcome) =>
    outcome === undefined ? "left" : outcome instanceof TydfsError ? outcome.code : "ok"
  );
}

test("putPacked puts small files and links in one pack, and tells of each what put tells", async () => {
  using w = world();
  const link = { path: "/t/link", local: w.path("none"), sizeBytes: 3, mtimeMs: 5, target: "a/ä" };
  const files = [...w.some(20), w.plant("empty", new Uint8Array()), { ...link, sizeBytes: 4 }];
  const outcomes = await w.cluster.client.putPacked(files);
  expect(w.cluster.calls).toEqual([packBegin.name, packCommit.name]);
  expect(w.cluster.packs).toHaveLength(1);
  for (const [at, { path, local, sizeBytes, target }] of files.entries()) {
    const bytes = target === undefined ? readFileSync(local) : Buffer.from(target);
    expect(Buffer.from(w.cluster.content(path))).toEqual(bytes);
    const { checksum, version } = w.cluster.file(path);
    const facts = { path, sizeBytes, checksum, version, copies: 2, goal: 3, resumedBytes: 0 };
    expect(outcomes[at]).toMatchObject(facts);
  }
  expect(w.cluster.file("/t/f0")).toMatchObject({ mode: 0o640, mtimeMs: 1_700_000_000_000 });
  expect(w.cluster.file("/t/link")).toMatchObject({ mode: LINK_MODE, mtimeMs: 5 });
  // The same checksum as by the ordinary way.
  const alone = await w.cluster.client.put(w.path("f3"), "/alone");
  expect(outcomes[3]).toMatchObject({ checksum: alone.checksum });
});

test("putPacked leaves what has changed, is gone, is a pipe by now, or large", async () => {
  using w = world();
  const files = w.some(6);
  const [first, second, third, fourth] = files;
  writeFileSync(
    first?.local ?? "",
    "other, and longer than it was: more than a hundred bytes are".repeat(3),
  );
  rmSync(second?.local ?? "");
  utimesSync(third?.local ?? "", 1_600_000_000, 1_600_000_000);
  rmSync(fourth?.local ?? "");
  Bun.spawnSync(["mkfifo", fourth?.local ?? ""]);
  const large = w.plant("large", someBytes(MIB));
  const outcomes = await w.cluster.client.putPacked([...files, large]);
  expect(words(outcomes)).toEqual(["left", "left", "left", "left", "ok", "ok", "left"]);
  expect(w.cluster.files.size).toBe(2);
});

test("putPacked awaits that a file that was changed just now would show its next change", async () => {
  using w = world();
  const files = w.some(3);
  const now = new Date();
  utimesSync(w.path("f1"), now, now);
  const { mtimeMs } = statSync(w.path("f1"), { bigint: true });
  const young = { path: "/t/f1", local: w.path("f1"), sizeBytes: 101, mtimeMs: Number(mtimeMs) };
  const outcomes = await w.cluster.client.putPacked([...files.filter((_, at) => at !== 1), young]);
  expect(words(outcomes)).toEqual(["ok", "ok", "ok"]);
});

test("putPacked makes a pack for each group of rules, and leaves what is alone in one", async () => {
  using w = world();
  const files = w.some(9);
  w.cluster.ruleOf = (path) => path === "/t/f8" ? "alone" : String(Number(path.at(-1)) % 2);
  const outcomes = await w.cluster.client.putPacked(files);
  expect(words(outcomes)).toEqual([...Array(8).fill("ok"), "left"]);
  expect(w.cluster.packs).toHaveLength(2);
  for (const { path, local } of files.slice(0, 8)) {
    expect(Buffer.from(w.cluster.content(path))).toEqual(readFileSync(local));
  }
});

test("putPacked leaves what is refused", async () => {
  using w = world();
  w.cluster.store("/t/f1", someBytes(5));
  w.cluster.refusalOf = (path) => path === "/t/f2" ? "is-directory" : undefined;
  const outcomes = await w.cluster.client.putPacked(w.some(4), { exclusive: true });
  expect(words(outcomes)).toEqual(["ok", "left", "left", "ok"]);
  expect(w.cluster.content("/t/f1")).toHaveLength(5);
});

test("putPacked takes another hop, then another placement, when keepers fail", async () => {
  using w = world({ keepers: 4, copies: 1 });
  for (const index of [0, 1, 2]) w.cluster.keeper(index).fault = "refuse";
  const outcomes = await w.cluster.client.putPacked(w.some(3));
  expect(words(outcomes)).toEqual(["ok", "ok", "ok"]);
  expect(w.cluster.calls.filter((name) => name === packBegin.name)).toHaveLength(2);
});

test("putPacked asks again for a commit that was not answered", async () => {
  using w = world();
  let lost = 0;
  w.cluster.after = (name) => {
    if (name === packCommit.name && lost++ < 2) throw new TydfsError("timeout", "No answer");
  };
  const outcomes = await w.cluster.client.putPacked(w.some(3));
  expect(words(outcomes)).toEqual(["ok", "ok", "ok"]);
  expect(w.cluster.file("/t/f0").version).toBe(1);
});

test("putPacked tells of each file that a commit without an answer leaves open", async () => {
  using w = world();
  w.cluster.before = (name) => {
    if (name === packCommit.name) throw new TydfsError("timeout", "No answer");
  };
  const outcomes = await w.cluster.client.putPacked(w.some(3));
  expect(words(outcomes)).toEqual(["timeout", "timeout", "timeout"]);
  expect(String(outcomes[0])).toContain('Cannot tell whether "/t/f0" was put');
});

test("putPacked puts nothing again that a repeated commit knows nothing of", async () => {
  using w = world();
  let lost = 0;
  w.cluster.after = (name) => {
    if (name === packCommit.name && lost++ === 0) throw new TydfsError("timeout", "No answer");
  };
  // Somebody has replaced it since, and what it replaced has left the trash.
  w.cluster.isForgotten = (path) => path === "/t/f1";
  const outcomes = await w.cluster.client.putPacked(w.some(3));
  expect(words(outcomes)).toEqual(["ok", "timeout", "ok"]);
});

test("putPacked puts nothing again whose commit was not answered by a master that is gone", async () => {
  using w = world();
  let asked = 0;
  w.cluster.after = (name) => {
    if (name === packCommit.name) throw new TydfsError("timeout", "No answer");
  };
  w.cluster.before = (name) => {
    if (name === packCommit.name && asked++ > 0) throw new TydfsError("unavailable", "Nobody");
  };
  const outcomes = await w.cluster.client.putPacked(w.some(2));
  expect(words(outcomes)).toEqual(["timeout", "timeout"]);
  expect(w.cluster.files.size).toBe(2);
});

test("putPacked leaves what the first commit can't have made, since its pack has expired", async () => {
  using w = world();
  let asked = 0;
  w.cluster.before = (name) => {
    if (name !== packCommit.name) return;
    throw asked++ === 0
      ? new TydfsError("timeout", "No answer")
      : new TydfsError("expired", "Late");
  };
  const outcomes = await w.cluster.client.putPacked(w.some(2));
  expect(words(outcomes)).toEqual(["left", "left"]);
});

test("putPacked leaves out of its commit what nobody wants any more", async () => {
  using w = world();
  const outcomes = await w.cluster.client.putPacked(w.some(4), { isWanted: (index) => index > 1 });
  expect(words(outcomes)).toEqual(["left", "left", "ok", "ok"]);
  expect([...w.cluster.files.keys()]).toEqual(["/t/f2", "/t/f3"]);
  const none = await w.cluster.client.putPacked(w.some(2), { isWanted: () => false });
  expect(words(none)).toEqual(["left", "left"]);
});

test("putPacked tells of the group of rules that was put, whatever becomes of the next", async () => {
  using w = world();
  let asked = 0;
  w.cluster.before = (name) => {
    if (name === packCommit.name && asked++ > 0) throw new TydfsError("expired", "Too late");
  };
  w.cluster.ruleOf = (path) => String(Number(path.at(-1)) % 2);
  const outcomes = await w.cluster.client.putPacked(w.some(4), { exclusive: true });
  expect(words(outcomes)).toEqual(["ok", "left", "ok", "left"]);
});

test("putPacked leaves all when packs can't be placed, and does not try that for each", async () => {
  using w = world();
  w.cluster.before = (name) => {
    if (name === packBegin.name) throw new TydfsError("unavailable", "Nobody answers");
  };
  const files = w.some(4);
  expect(words(await w.cluster.client.putPacked(files))).toEqual(Array(4).fill("left"));
  const tried = w.cluster.calls.length;
  expect(words(await w.cluster.client.putPacked(files))).toEqual(Array(4).fill("left"));
  expect(w.cluster.calls).toHaveLength(tried);
});

test("putPacked learns that the chunks of a cluster are smaller than its packs", async () => {
  using w = world({ chunkBytes: MIB });
  const files = w.some(12, 200 * KIB);
  let outcomes: PackedOutcome[] = [];
  for (let round = 0; round < 5 && words(outcomes).includes("left") || round === 0; round++) {
    outcomes = await w.cluster.client.putPacked(files);
  }
  expect(words(outcomes)).toEqual(Array(12).fill("ok"));
  expect(w.cluster.packs.length).toBeGreaterThan(1);
});

test("putPacked ends with the signal's reason, and commits nothing", async () => {
  using w = world();
  const stop = new AbortController();
  w.cluster.onPut = () => stop.abort(new TydfsError("interrupted", "Interrupted"));
  const put = w.cluster.client.putPacked(w.some(3), { signal: stop.signal });
  await expect(put).rejects.toMatchObject({ code: "interrupted" });
  expect(w.cluster.files.size).toBe(0);
});

test("putMany puts small files together, large ones by themselves, and tells each failure", async () => {
  using w = world();
  const files = [...w.some(3), w.plant("large", someBytes(2 * MIB))];
  const asked = files.map(({ local, path }) => ({ local, remote: path }));
  const missing = { local: w.path("missing"), remote: "/t/missing" };
  const outcomes = await w.cluster.client.putMany([...asked, missing, { ...missing, remote: "/" }]);
  expect(words(outcomes)).toEqual(["ok", "ok", "ok", "ok", "local", "local"]);
  expect(w.cluster.packs).toHaveLength(1);
  expect(w.cluster.content("/t/large")).toEqual(someBytes(2 * MIB));
});

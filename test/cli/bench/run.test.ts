/** Runs of a bench on a cluster in memory: what is counted, and that nothing else is touched. */
import { expect, test } from "bun:test";
import { systemClock } from "../../../src/base/clock.ts";
import { seededRandom } from "../../../src/base/random.ts";
import { parseMix, parseSizes } from "../../../src/cli/bench/plan.ts";
import type { BenchOptions } from "../../../src/cli/bench/run.ts";
import { runBench } from "../../../src/cli/bench/run.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { FakeCluster } from "../../client/fake_cluster.ts";
import { someBytes } from "../../client/scratch.ts";

function options(changes: Partial<BenchOptions> = {}): BenchOptions {
  return {
    prefix: "/bench",
    sizes: parseSizes("1KiB,20KiB"),
    mix: parseMix("put=2,get=4,stat=2,delete=1"),
    clients: 4,
    objects: 6,
    warmupMs: 0,
    durationMs: 60,
    keep: true,
    clock: systemClock,
    random: seededRandom(5),
    signal: new AbortController().signal,
    onProgress: () => {},
    ...changes,
  };
}

test("runBench counts what it did, and stays in its directory", async () => {
  const cluster = new FakeCluster();
  const result = await runBench(cluster.client, options());
  const { put, get, stat, delete: removed } = result.tallies;
  const calls = (name: string) => cluster.calls.filter((call) => call === name).length;
  expect(put.done).toBe(calls("upload.begin") - 6);
  expect(get.done).toBe(calls("file.locate"));
  expect(stat.done).toBe(calls("file.stat"));
  expect(removed.done).toBe(calls("file.remove"));
  expect(get.firstByte.count).toBe(get.done);
  expect(cluster.files.size).toBe(6 + put.done - removed.done);
  for (const path of cluster.files.keys()) expect(path).toStartWith("/bench/objects/");
  expect(put.failed + get.failed + stat.failed + removed.failed).toBe(0);
});

test("runBench counts failures by their code and goes on", async () => {
  const cluster = new FakeCluster();
  let calls = 0;
  cluster.before = (name) => {
    if (name === "file.locate" && calls++ % 3 === 0) throw new TydfsError("denied", "No");
  };
  const { get } = (await runBench(cluster.client, options({ mix: parseMix("get") }))).tallies;
  expect(get.errors.get("denied")).toBeGreaterThan(0);
  expect(get.done).toBeGreaterThan(0);
});

test("runBench leaves the warm-up out of the figures", async () => {
  const cluster = new FakeCluster();
  const result = await runBench(cluster.client, options({ warmupMs: 40, mix: parseMix("stat") }));
  const asked = cluster.calls.filter((call) => call === "file.stat").length;
  expect(result.tallies.stat.done).toBeGreaterThan(0);
  expect(result.tallies.stat.done).toBeLessThan(asked);
});

test("runBench that is interrupted tells what it has, and cleans up", async () => {
  const cluster = new FakeCluster();
  const stop = new AbortController();
  cluster.before = () => {
    if (cluster.calls.length === 200) stop.abort(new TydfsError("interrupted", "Interrupted"));
  };
  const result = await runBench(
    cluster.client,
    options({ durationMs: 60_000, keep: false, signal: stop.signal }),
  );
  expect(result.interrupted).toBe(true);
  expect(result.tallies.get.done).toBeGreaterThan(0);
  expect(cluster.calls.slice(-2)).toEqual(["file.remove", "file.remove"]);
});

test("runBench ends when the first objects can't be put", async () => {
  const cluster = new FakeCluster();
  for (const keeper of cluster.keepers) keeper.fault = "refuse";
  await expect(runBench(cluster.client, options())).rejects.toMatchObject({ code: "no-keepers" });
  expect(cluster.files.size).toBe(0);
});

test("runBench puts nothing where something is", async () => {
  const cluster = new FakeCluster();
  await cluster.client.makeDirectory("/bench");
  cluster.store("/bench/a", someBytes(1));
  await expect(runBench(cluster.client, options())).rejects.toMatchObject({ code: "not-empty" });
  expect([...cluster.files.keys()]).toEqual(["/bench/a"]);
});

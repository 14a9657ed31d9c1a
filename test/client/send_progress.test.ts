/** Progress within a chunk: who is asked when, what is told of the answers, what failures change. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { writeFileSync } from "node:fs";
import { MIB } from "../../src/base/bytes.ts";
import type { Progress } from "../../src/client/client.ts";
import { watchSend } from "../../src/client/send_progress.ts";
import { httpTransport } from "../../src/wire/chunk_http.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { ManualClock } from "../manual_clock.ts";
import { FakeCluster } from "./fake_cluster.ts";
import { scratchDirectory, someBytes } from "./scratch.ts";

const ADDRESS = { host: "keeper", port: 1 };
type Answer = () => Promise<number>;

/** Watches a send of 1000 bytes whose questions have these answers, the last one for ever. */
function watched(answers: Answer[]) {
  const clock = new ManualClock();
  const signals: AbortSignal[] = [];
  const world = { clock, told: [] as number[], asked: 0, silent: 0, signals };
  const transport = {
    ...httpTransport,
    progress(_address: unknown, { signal }: { signal: AbortSignal }) {
      world.signals.push(signal);
      const answer = answers[Math.min(world.asked++, answers.length - 1)];
      return answer?.() ?? Promise.resolve(0);
    },
  };
  const stop = watchSend(transport, ADDRESS, {
    ...{ clock, chunk: "c", ticket: "t", sizeBytes: 1000 },
    onReceived: (bytes) => world.told.push(bytes),
    onSilent: () => world.silent++,
  });
  return { ...world, world, stop };
}

const never: Answer = () => new Promise(() => {});
const says = (bytes: number): Answer => () => Promise.resolve(bytes);
const fails: Answer = () => Promise.reject(new TydfsError("not-found", "There is nothing here"));

test("watchSend asks nothing about a chunk that is sent quickly", async () => {
  const { world, clock, stop } = watched([says(1)]);
  await clock.advance(499);
  stop();
  await clock.advance(60_000);
  expect(world.asked).toBe(0);
});

test("watchSend asks each half second, and never tells that all is there", async () => {
  const { world, clock, told, stop } = watched([says(0), says(400), says(995), says(1000)]);
  await clock.advance(2_400);
  stop();
  await clock.advance(60_000);
  expect(world.asked).toBe(4);
  expect(told).toEqual([400, 990]);
});

test("watchSend goes on after failures and after answers that never come", async () => {
  const { world, clock, told, stop } = watched([fails, never, fails, never, says(500)]);
  await clock.advance(600);
  expect(world.asked).toBe(1);
  await clock.advance(2_500);
  expect([world.asked, world.signals[1]?.aborted]).toEqual([3, true]);
  await clock.advance(3_000);
  stop();
  expect([told, world.silent]).toEqual([[500], 0]);
});

test("watchSend says within 5 s that a keeper is silent, and asks no more", async () => {
  const { world, clock, told } = watched([says(300), never]);
  await clock.advance(4_900);
  expect(world.silent).toBe(0);
  await clock.advance(200);
  expect([told, world.silent, world.asked]).toEqual([[300], 1, 3]);
  await clock.advance(60_000);
  expect([world.silent, world.asked]).toEqual([1, 3]);
});

test("watchSend tells nothing after the end, and takes its question back", async () => {
  let answer: (bytes: number) => void = () => {};
  const { world, clock, told, stop } = watched([() => new Promise((resolve) => answer = resolve)]);
  await clock.advance(600);
  stop();
  expect(world.signals[0]?.aborted).toBe(true);
  answer(500);
  await clock.advance(60_000);
  expect([told, world.asked]).toEqual([[], 1]);
});

test("watchSend never falls, whatever is answered", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(2000), { maxLength: 12 }), async (answers) => {
      const { clock, told, stop } = watched([...answers, 0].map(says));
      await clock.advance(500 * (answers.length + 1));
      stop();
      expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
      expect(told.every((bytes) => bytes <= 990)).toBe(true);
    }),
    { numRuns: 30 },
  );
});

for (const [name, sizeBytes] of [["one chunk", 3 * MIB], ["several", 9 * MIB + 17]] as const) {
  test(`put of ${name} tells of parts, never falls, and ends exactly`, async () => {
    using scratch = scratchDirectory();
    const cluster = new FakeCluster();
    writeFileSync(scratch.path("a"), someBytes(sizeBytes));
    cluster.onAsked = () => Promise.resolve(MIB * Math.min(2, cluster.asked / 3));
    cluster.onPut = async () => {
      const asked = cluster.asked + 6;
      while (cluster.asked < asked) await Bun.sleep(1);
    };
    const told: Progress[] = [];
    const onProgress = (progress: Progress) => void told.push(progress);
    await cluster.client.put(scratch.path("a"), "/a", { onProgress });
    const done = told.map(({ doneBytes }) => doneBytes);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.some((bytes) => bytes > 0 && bytes < 2 * MIB)).toBe(true);
    expect(done.filter((bytes) => bytes >= sizeBytes)).toEqual([sizeBytes]);
    expect(done.at(-1)).toBe(sizeBytes);
  });
}

test("put takes the part back when the chunk is sent anew", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  let broken = false;
  // Of the chunk that is sent anew nothing is known.
  cluster.onAsked = () => broken ? Promise.resolve(0) : Promise.resolve(MIB);
  cluster.onPut = async () => {
    if (broken) return;
    while (cluster.asked < 2) await Bun.sleep(1);
    broken = true;
    throw new TydfsError("unavailable", "The stream broke");
  };
  const told: number[] = [];
  const onProgress = ({ doneBytes }: Progress) => void told.push(doneBytes);
  const client = cluster.client.over({ parallel: 1 });
  await client.put(scratch.path("a"), "/a", { onProgress });
  expect(told.filter((bytes, index) => index === 0 || bytes !== told[index - 1])).toEqual([
    ...[0, MIB, 0],
    ...[4 * MIB, 8 * MIB, 9 * MIB],
  ]);
});

test("put does not mind questions that fail", async () => {
  using scratch = scratchDirectory();
  const cluster = new FakeCluster();
  writeFileSync(scratch.path("a"), someBytes(9 * MIB));
  cluster.onAsked = fails;
  cluster.onPut = async () => {
    const asked = cluster.asked + 3;
    while (cluster.asked < asked) await Bun.sleep(1);
  };
  await cluster.client.put(scratch.path("a"), "/a");
  expect(cluster.content("/a")).toEqual(someBytes(9 * MIB));
});

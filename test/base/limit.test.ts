/** Limiter, Pacer, forEachLimited, retry: bounds hold, failures surface. */
import { expect, test } from "bun:test";
import { backoffMs, forEachLimited, Limiter, Pacer, retry } from "../../src/base/limit.ts";
import { seededRandom } from "../../src/base/random.ts";
import { ManualClock } from "../manual_clock.ts";

test("Limiter never runs more than its bound", async () => {
  const limiter = new Limiter(3);
  let running = 0;
  let most = 0;
  await Promise.all(Array.from({ length: 20 }, () =>
    limiter.run(async () => {
      most = Math.max(most, ++running);
      await Promise.resolve();
      running--;
    })));
  expect(most).toBe(3);
  expect(limiter.running).toBe(0);
});

test("forEachLimited stops handing out at the first failure and waits for what runs", async () => {
  const begun: number[] = [];
  const work = (item: number) => {
    begun.push(item);
    return item === 2 ? Promise.reject(new Error("two")) : Promise.resolve();
  };
  await expect(forEachLimited([1, 2, 3, 4, 5, 6], 2, work)).rejects.toThrow("two");
  expect(begun.length).toBeLessThan(6);
});

test("backoffMs grows to its ceiling and never beyond", () => {
  const random = seededRandom(1);
  const options = { firstMs: 10, maxMs: 1000 };
  for (let attempt = 0; attempt < 60; attempt++) {
    const pauseMs = backoffMs(attempt, options, random);
    expect(pauseMs).toBeGreaterThanOrEqual(5);
    expect(pauseMs).toBeLessThanOrEqual(1000);
  }
});

test("Pacer lets bytes pass at its pace, and makes up for a short pause only", async () => {
  const clock = new ManualClock();
  const pacer = new Pacer(clock, 1_000);
  const startMs = clock.monotonicMs();
  const pass = (bytes: number) => clock.runUntil(pacer.pass(bytes));
  for (let piece = 0; piece < 10; piece++) await pass(200);
  expect(clock.monotonicMs() - startMs).toBe(2_000);
  await clock.advance(60_000);
  const laterMs = clock.monotonicMs();
  await pass(1_100);
  expect(clock.monotonicMs() - laterMs).toBe(1_000);
  const stop = new AbortController();
  const passing = pacer.pass(5_000, stop.signal);
  stop.abort(new Error("enough"));
  await expect(passing).rejects.toThrow("enough");
});

test("retry repeats passing faults until its time is up", async () => {
  const clock = new ManualClock();
  const options = {
    clock,
    random: seededRandom(2),
    firstMs: 10,
    maxMs: 100,
    forMs: 500,
    retryable: (error: unknown) => (error as Error).message === "passing",
  };
  let tries = 0;
  const twice = retry(() => {
    tries++;
    return tries < 3 ? Promise.reject(new Error("passing")) : Promise.resolve("done");
  }, options);
  expect(await clock.runUntil(twice)).toBe("done");
  expect(tries).toBe(3);

  const lasting = retry(() => Promise.reject(new Error("passing")), options);
  await expect(clock.runUntil(lasting)).rejects.toThrow("passing");
  await expect(retry(() => Promise.reject(new Error("final")), options)).rejects.toThrow("final");
});

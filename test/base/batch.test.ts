/** Batcher: groups what waits, refuses what is too much, settles everyone. */
import { expect, test } from "bun:test";
import type { BatchItem } from "../../src/base/batch.ts";
import { Batcher } from "../../src/base/batch.ts";

test("Batcher hands out together what waits", async () => {
  const sizes: number[] = [];
  const batcher = new Batcher<number, number>({
    waitingMax: 100,
    batchMax: 8,
    onFull: () => new Error("full"),
    run: (items) => {
      sizes.push(items.length);
      for (const item of items) item.resolve(item.input * 2);
    },
  });
  const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => batcher.submit(n)));
  expect(answers).toEqual(Array.from({ length: 20 }, (_, n) => n * 2));
  expect(sizes).toEqual([8, 8, 4]);
});

test("Batcher refuses what exceeds its room and goes on", async () => {
  const gate = Promise.withResolvers<void>();
  const batcher = new Batcher<number, number>({
    waitingMax: 2,
    batchMax: 1,
    onFull: () => new Error("full"),
    run: async (items: BatchItem<number, number>[]) => {
      await gate.promise;
      for (const item of items) item.resolve(item.input);
    },
  });
  const first = batcher.submit(1);
  await new Promise((resolve) => setImmediate(resolve));
  const more = [batcher.submit(2), batcher.submit(3)];
  expect(batcher.submit(4)).rejects.toThrow("full");
  gate.resolve();
  expect(await Promise.all([first, ...more])).toEqual([1, 2, 3]);
  await batcher.idle();
  expect(batcher.waiting).toBe(0);
});

test("Batcher rejects all of a batch whose run fails, and runs the next", async () => {
  let runs = 0;
  const batcher = new Batcher<number, number>({
    waitingMax: 10,
    batchMax: 2,
    onFull: () => new Error("full"),
    run: (items) => {
      if (runs++ === 0) throw new Error("disk");
      for (const item of items) item.resolve(item.input);
    },
  });
  const settled = await Promise.allSettled([1, 2, 3].map((n) => batcher.submit(n)));
  expect(settled.map((result) => result.status)).toEqual(["rejected", "rejected", "fulfilled"]);
});

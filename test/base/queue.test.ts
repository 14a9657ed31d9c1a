/** The bounded queue: order, back-pressure, and its end. */
import { expect, test } from "bun:test";
import { BoundedQueue } from "../../src/base/queue.ts";

test("BoundedQueue hands out in order, and lets a finder wait while it is full", async () => {
  const queue = new BoundedQueue<number>(2);
  const pushed: number[] = [];
  const finder = (async () => {
    for (let item = 0; item < 100; item++) {
      expect(await queue.push(item)).toBe(true);
      pushed.push(item);
    }
    queue.close();
  })();
  await Promise.resolve();
  const pulled: number[] = [];
  for (let item = await queue.pull(); item !== undefined; item = await queue.pull()) {
    pulled.push(item);
    expect(queue.length).toBeLessThanOrEqual(2);
  }
  await finder;
  expect(pulled).toEqual(pushed);
  expect(pulled).toHaveLength(100);
});

test("BoundedQueue.push waits until there is room", async () => {
  const queue = new BoundedQueue<number>(1);
  await queue.push(1);
  let taken = false;
  const second = queue.push(2).then(() => taken = true);
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBe(false);
  expect(await queue.pull()).toBe(1);
  await second;
  expect(await queue.pull()).toBe(2);
});

test("BoundedQueue.close ends who waits on either side", async () => {
  const queue = new BoundedQueue<number>(1);
  const puller = queue.pull();
  queue.close();
  expect(await puller).toBeUndefined();
  expect(await queue.push(1)).toBe(false);

  const full = new BoundedQueue<number>(1);
  await full.push(1);
  const pusher = full.push(2);
  full.close({ drop: true });
  expect(await pusher).toBe(false);
  expect(await full.pull()).toBeUndefined();
});

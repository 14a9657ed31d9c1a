/** A thread's end that nobody asked for is told, whatever its code; one that was asked for is not. */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { spawnThread } from "../../src/threads.ts";
import type { TydfsError } from "../../src/wire/errors.ts";

/** A worker that says ready at once, and ends when the test has it end. */
class FakeWorker extends EventTarget {
  static latest: FakeWorker | undefined;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onerror: ((event: unknown) => void) | null = null;

  constructor() {
    super();
    FakeWorker.latest = this;
  }

  postMessage(message: { kind: string }): void {
    const kind = message.kind === "start" ? "ready" : "stopped";
    queueMicrotask(() => this.onmessage?.({ data: { kind, ready: {} } }));
  }

  terminate(): void {
    this.end(0);
  }

  end(code: number): void {
    this.dispatchEvent(Object.assign(new Event("close"), { code }));
  }
}

const RealWorker = globalThis.Worker;
beforeEach(() => void Object.assign(globalThis, { Worker: FakeWorker }));
afterEach(() => void Object.assign(globalThis, { Worker: RealWorker }));

// An unhandled rejection ends a worker with code 0: see test/runtime/threads.test.ts.
test("spawnThread tells the death of a thread, also with close code 0", async () => {
  for (const code of [0, 1]) {
    const deaths: TydfsError[] = [];
    const onDeath = (error: TydfsError) => void deaths.push(error);
    await spawnThread("tracker", { name: "t", start: {}, onDeath });
    FakeWorker.latest?.end(code);
    expect(deaths).toMatchObject([{ code: "internal" }]);
  }
});

test("spawnThread tells nothing of an end that was asked for", async () => {
  const deaths: TydfsError[] = [];
  const onDeath = (error: TydfsError) => void deaths.push(error);
  const thread = await spawnThread("tracker", { name: "t", start: {}, onDeath });
  await thread.stop(1_000);
  expect(deaths).toEqual([]);
});

/** Contract: Workers, MessagePorts, shared memory and the clock behave as the threads expect. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { makeTemporaryDir, type TemporaryDir } from "./fixture.ts";

function startWorker(dir: TemporaryDir, name: string, code: string): Worker {
  writeFileSync(dir.file(`${name}.ts`), `export {};\n${code}`);
  return new Worker(dir.file(`${name}.ts`));
}

function nextMessage(source: Worker | MessagePort): Promise<unknown> {
  return new Promise((resolve, reject) => {
    source.onmessage = (event: MessageEvent) => resolve(event.data);
    if (source instanceof Worker) source.onerror = (event) => reject(new Error(event.message));
  });
}

function closeCode(worker: Worker): Promise<number> {
  return new Promise((resolve) => {
    worker.addEventListener("close", (event) => resolve((event as CloseEvent).code));
  });
}

test("a MessagePort given to a Worker carries messages both ways", async () => {
  using dir = makeTemporaryDir();
  const worker = startWorker(
    dir,
    "echo",
    "self.onmessage = ({ data }) => {" +
      "  data.port.onmessage = (event) => data.port.postMessage({ back: event.data });" +
      "  data.port.postMessage('ready');" +
      "};",
  );
  const { port1, port2 } = new MessageChannel();
  const first = nextMessage(port1);
  worker.postMessage({ port: port2 }, [port2]);
  expect(await first).toBe("ready");
  const second = nextMessage(port1);
  port1.postMessage({ n: 1, bytes: Uint8Array.of(1, 2) });
  expect(await second).toEqual({ back: { n: 1, bytes: Uint8Array.of(1, 2) } });
  port1.close();
  worker.terminate();
});

test("two Workers talk to each other over one channel", async () => {
  using dir = makeTemporaryDir();
  const asking = startWorker(
    dir,
    "asking",
    "self.onmessage = ({ data: port }) => {" +
      "  port.onmessage = (event) => self.postMessage(event.data);" +
      "  port.postMessage(20);" +
      "};",
  );
  const answering = startWorker(
    dir,
    "answering",
    "self.onmessage = ({ data: port }) => {" +
      "  port.onmessage = (event) => port.postMessage(event.data + 1);" +
      "};",
  );
  const { port1, port2 } = new MessageChannel();
  const answer = nextMessage(asking);
  answering.postMessage(port2, [port2]);
  asking.postMessage(port1, [port1]);
  expect(await answer).toBe(21);
  asking.terminate();
  answering.terminate();
});

test("Atomics on a SharedArrayBuffer lose nothing between Workers", async () => {
  using dir = makeTemporaryDir();
  const words = new Int32Array(new SharedArrayBuffer(64));
  const code = "self.onmessage = ({ data: words }) => {" +
    "  for (let i = 0; i < 100_000; i += 1) Atomics.add(words, 3, 1);" +
    "  self.postMessage(Atomics.compareExchange(words, 5, 0, 1));" +
    "};";
  const workers = [1, 2, 3].map((n) => startWorker(dir, `adder_${n}`, code));
  const answers = workers.map(nextMessage);
  for (const worker of workers) worker.postMessage(words);
  const seen = await Promise.all(answers);
  expect(Atomics.load(words, 3)).toBe(300_000);
  expect(seen.filter((before) => before === 0).length).toBe(1);
  for (const worker of workers) worker.terminate();
});

// In a process of its own: under `bun test` every such close has code 0
test("what a Worker does not catch ends it: error event, then close with 1, or 0", async () => {
  using dir = makeTemporaryDir();
  const ends = {
    throwing: "self.onmessage = () => { throw new Error('on purpose'); };",
    later: "self.onmessage = () => setTimeout(() => { throw new Error('on purpose'); }, 1);",
    rejecting: "self.onmessage = () => { Promise.reject(new Error('on purpose')); };",
  };
  for (const [name, code] of Object.entries(ends)) writeFileSync(dir.file(`${name}.ts`), code);
  writeFileSync(
    dir.file("main.ts"),
    `for (const name of ${JSON.stringify(Object.keys(ends))}) {
      const events = [];
      const worker = new Worker(import.meta.dir + "/" + name + ".ts");
      const closed = new Promise((resolve) => worker.addEventListener("close", resolve));
      worker.addEventListener("error", ({ message }) => {
        events.push(message.includes("on purpose") ? "error" : message);
      });
      worker.postMessage("go");
      events.push("close " + (await closed).code);
      console.log(name, events.join(", "));
    }`,
  );
  const run = Bun.spawn([process.execPath, dir.file("main.ts")], { stderr: "ignore" });
  expect((await run.stdout.text()).trim().split("\n")).toEqual([
    "throwing error, close 1",
    "later error, close 1",
    "rejecting error, close 0",
  ]);
  expect(await run.exited).toBe(0);
});

test("process.exit in a Worker closes it with that code, and the process lives", async () => {
  using dir = makeTemporaryDir();
  const worker = startWorker(dir, "exiting", "self.onmessage = () => process.exit(3);");
  const closed = closeCode(worker);
  worker.postMessage("go");
  expect(await closed).toBe(3);
});

/** Asks a Worker for its time, and tells by how many ms it lies outside of what was here. */
async function gapMs(worker: Worker, nowMs: () => number): Promise<number> {
  const answer = nextMessage(worker);
  const before = nowMs();
  worker.postMessage("now");
  const there = await answer as number;
  return Math.max(before - there, there - nowMs(), 0);
}

test("performance.timeOrigin + performance.now() is one clock for all threads", async () => {
  using dir = makeTemporaryDir();
  // A Worker that starts later than the process must not be behind
  await Bun.sleep(50);
  const worker = startWorker(
    dir,
    "shared_clock",
    "self.onmessage = () => self.postMessage(performance.timeOrigin + performance.now());",
  );
  for (let round = 0; round < 20; round += 1) {
    expect(await gapMs(worker, () => performance.timeOrigin + performance.now())).toBeLessThan(5);
  }
  worker.terminate();
});

test("process.hrtime counts from the start of its own thread, and must not be shared", async () => {
  using dir = makeTemporaryDir();
  await Bun.sleep(50);
  const worker = startWorker(
    dir,
    "own_clock",
    "self.onmessage = () => self.postMessage(Number(process.hrtime.bigint()) / 1e6);",
  );
  const gap = await gapMs(worker, () => Number(process.hrtime.bigint()) / 1e6);
  expect(gap).toBeGreaterThan(40);
  worker.terminate();
});

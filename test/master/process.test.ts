/** The end of other processes: over means that their ports are free. */
import { expect, test } from "bun:test";
import { systemClock } from "../../src/base/clock.ts";
import { endProcess, processArguments, processesWith } from "../../src/master/process.ts";

/** Listens, and holds much memory, so that its end takes the kernel a while. */
const LISTENER = `
  const held = new Uint8Array(200 * 2 ** 20).fill(1);
  const listener = Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } });
  console.log(listener.port, held.length);
`;

test("endProcess resolves when the ports of the process are free", async () => {
  for (let round = 0; round < 3; round++) {
    const child = Bun.spawn([process.execPath, "-e", LISTENER], { stdout: "pipe" });
    const { value } = await child.stdout.getReader().read();
    const port = Number(new TextDecoder().decode(value).split(" ")[0]);
    expect(processArguments(child.pid)).toContain("-e");
    await endProcess(systemClock, child.pid, 5_000);
    Bun.listen({ hostname: "127.0.0.1", port, socket: { data() {} } }).stop(true);
  }
});

test("endProcess bears a process that is not there", async () => {
  const child = Bun.spawn(["true"]);
  await child.exited;
  await endProcess(systemClock, child.pid, 5_000);
  expect(processArguments(child.pid)).toEqual([]);
});

test("processesWith finds a process by a word of its command line", async () => {
  const word = `word-${crypto.randomUUID()}`;
  expect(processesWith(word)).toEqual([]);
  // It has its own command line for sure once it has said something.
  const child = Bun.spawn(["sh", "-c", "echo up; read line", word], {
    ...{ stdin: "pipe", stdout: "pipe" },
  });
  try {
    await child.stdout.getReader().read();
    expect(processesWith(word)).toEqual([child.pid]);
  } finally {
    child.kill();
    await child.exited;
  }
  expect(processesWith(word)).toEqual([]);
});

/** The runtime's pool of threads takes its size from the environment at its first use. */
import { expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { scratchDirectory } from "../client/scratch.ts";

const POOL = join(import.meta.dir, "../../src/base/pool.ts");

/** Whether the pool comes to have so many threads when more calls than that wait at once. */
async function reaches(threads: number, env: Record<string, string> = {}): Promise<boolean> {
  const script = `
    import { widenPool } from ${JSON.stringify(POOL)};
    import { readdirSync, readFileSync } from "node:fs";
    import { open } from "node:fs/promises";
    widenPool(7);
    // Nobody writes to it: each of these waits for ever.
    for (let calls = 0; calls < 64; calls++) void open(process.argv[2], "r");
    const count = () => readdirSync("/proc/self/task").map((id) =>
      readFileSync("/proc/self/task/" + id + "/comm", "utf8"))
      .filter((name) => name.startsWith("Bun Pool")).length;
    const endMs = performance.now() + 3_000;
    while (count() < ${threads} && performance.now() < endMs) await Bun.sleep(5);
    process.stdout.write(String(count()));
    process.kill(process.pid, "SIGKILL");`;
  using scratch = scratchDirectory();
  writeFileSync(scratch.path("script.ts"), script);
  // As one file: to read a second one the runtime itself would use the pool before.
  const entrypoints = [scratch.path("script.ts")];
  const { outputs: [built] } = await Bun.build({ entrypoints, target: "bun" });
  writeFileSync(scratch.path("script.js"), await built?.text() ?? "");
  Bun.spawnSync(["mkfifo", scratch.path("pipe")]);
  const command = [process.execPath, scratch.path("script.js"), scratch.path("pipe")];
  const run = Bun.spawnSync(command, { env: { ...process.env, ...env } });
  return Number(run.stdout.toString()) === threads;
}

test.if(process.platform === "linux")("widenPool sets the size of the pool, once", async () => {
  expect(await reaches(7)).toBeTrue();
  expect(await reaches(3, { UV_THREADPOOL_SIZE: "3" })).toBeTrue();
});

/** What looks at a cluster, from the compiled binary: top, bench, videos, services and their logs. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DatagramSocket } from "../base/datagrams.ts";
import { makeVideo } from "../client/video.ts";
import { BINARY, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start({ env: { TYDFS_LOG_LEVEL: "debug" } });
}, 60_000);
afterAll(() => cluster.stop());

test("top --once prints one picture, and no escape", async () => {
  const picture = await cluster.ok("top", "--once");
  expect(picture).toContain("Keepers 3/3 alive");
  expect(picture).toMatch(/^keeper-2 +ALIVE +127\.0\.0\.1 /m);
  expect(picture).not.toContain("\x1b");
  // Without a terminal it is the same.
  expect(await cluster.ok("top")).toContain("Keepers 3/3 alive");
});

test("top --json is the status, and wrong flags are refused", async () => {
  const status = JSON.parse(await cluster.ok("top", "--json"));
  expect(status.keepers).toHaveLength(3);
  expect((await cluster.run(["top", "--interval", "1ms"])).exit).toBe(2);
  expect((await cluster.run(["top", "--sort", "age"])).exit).toBe(2);
});

test("status --once is status", async () => {
  await cluster.untilStatus("all is settled", ({ safeMode }) => safeMode === undefined);
  const [once, plain] = [await cluster.ok("status", "--once"), await cluster.ok("status")];
  expect(once.split("\n").length).toBe(plain.split("\n").length);
  for (const line of once.split("\n")) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(80);
});

interface BenchJson {
  prefix: string;
  ops: number;
  errors: number;
  bytes: number;
  operations: Record<
    string,
    { ops: number; bytes: number; latencyMs: { p50: number; max: number } }
  >;
}

test("bench adds up, and leaves nothing behind", async () => {
  const before = await cluster.ok("ls", "-R", "/");
  const flags = ["--duration", "2s", "--sizes", "4KiB=3,300KiB", "--clients", "4"];
  const bench: BenchJson = JSON.parse(await cluster.ok("bench", "--json", ...flags));
  const operations = Object.values(bench.operations);
  expect(bench.errors).toBe(0);
  expect(bench.ops).toBeGreaterThan(10);
  expect(operations.reduce((sum, { ops }) => sum + ops, 0)).toBe(bench.ops);
  expect(operations.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(bench.bytes);
  expect(bench.operations["put"]?.bytes).toBeGreaterThan(0);
  for (const { ops, latencyMs } of operations) {
    if (ops > 0) expect(latencyMs.p50).toBeLessThanOrEqual(latencyMs.max);
  }
  expect((await cluster.run(["stat", bench.prefix])).exit).toBe(3);
  expect(await cluster.ok("ls", "-R", "/")).toBe(before);
});

test("bench refuses what is not empty, and leaves an empty directory as it was", async () => {
  await cluster.ok("mkdir", "-p", "/used/inside", "/free");
  const refused = await cluster.run(["bench", "--prefix", "/used"]);
  expect(refused.exit).toBe(4);
  expect(refused.stderr).toContain('"/used/inside" is there');
  const flags = ["--duration", "300ms", "--sizes", "1KiB", "--objects", "3"];
  await cluster.ok("bench", "--prefix", "/free", ...flags);
  expect(await cluster.ok("ls", "-R", "/free")).toBe("");
  await cluster.ok("rm", "-r", "/used", "/free");
});

test("bench cleans up after Ctrl-C, and tells what it has", async () => {
  const flags = ["--prefix", "/cut", "--duration", "1h", "--sizes", "64KiB", "--objects", "3"];
  const child = cluster.spawn(["bench", ...flags]);
  await until("objects are there", async () => {
    return (await cluster.run(["ls", "/cut/objects"])).stdout.split("\n").length > 5;
  });
  child.kill("SIGINT");
  expect(await child.exited).toBe(130);
  expect(await new Response(child.stdout).text()).toMatch(/^(put|get|stat) +\d+/m);
  expect((await cluster.run(["stat", "/cut"])).exit).toBe(3);
});

test("stat shows what videos say of themselves, and that a broken one can't be read", async () => {
  for (const kind of ["mp4", "webm"] as const) {
    const path = join(cluster.dir, `video.${kind}`);
    writeFileSync(path, await makeVideo({ kind, frames: 90, frameBytes: 30_000 }));
    await cluster.ok("put", path, `/video.${kind}`);
    const stat = JSON.parse(await cluster.ok("stat", "--json", `/video.${kind}`));
    expect(stat.media).toEqual({
      container: kind,
      durationMs: 3000,
      video: [{ codec: "vp9", width: 320, height: 180, frameRate: 30, frames: 90 }],
      audio: [{ codec: "opus", channels: 2, sampleRate: 48_000 }],
    });
  }
  const lines = (await cluster.ok("stat", "/video.mp4")).split("\n");
  expect(lines).toContain("  video     VP9, 320 × 180, 30 fps, 90 frames");
  expect(lines).toContain("  audio     Opus, stereo, 48 kHz");
  await cluster.ok("put", cluster.file("noise.mp4", 50_000), "/noise.mp4");
  expect(await cluster.ok("stat", "/noise.mp4")).toMatch(/^ {2}media: cannot be read: .+$/m);
  expect(await cluster.ok("stat", "--no-media", "/video.mp4")).not.toContain("media");
});

test("service prints the units that the repository holds", async () => {
  for (const role of ["master", "keeper"]) {
    const path = join(import.meta.dir, `../../systemd/tydfs-${role}.service`);
    const unit = await cluster.ok("service", role);
    const start = /^ExecStart=.*$/m;
    expect(unit.replace(start, "")).toBe(readFileSync(path, "utf8").replace(start, ""));
    expect(unit).toMatch(new RegExp(`^ExecStart=/.*tydfs ${role} --data /var/lib/tydfs/`, "m"));
  }
  expect((await cluster.run(["service", "tracker"])).exit).toBe(2);
});

test("a keeper and a master tell the service manager that they are ready, and that they stop", async () => {
  using keeperSocket = new DatagramSocket(join(cluster.dir, "keeper.notify"));
  const heard: string[] = [];
  await cluster.startKeeper(4, { NOTIFY_SOCKET: join(cluster.dir, "keeper.notify") });
  await until("the keeper is ready", () => {
    heard.push(...keeperSocket.take());
    return heard.some((message) => message.startsWith("READY=1\n"));
  });
  expect(heard[0]).toMatch(/^STATUS=Waiting for the master at /);
  expect(heard.at(-1)).toMatch(/STATUS=Joined as keeper-4; serves ports \d+(, \d+)*$/);
  expect(await cluster.killKeeper(4, "SIGTERM")).toBe(0);
  expect(keeperSocket.take()).toContain("STOPPING=1\nSTATUS=Stopping");

  const path = `@tydfs-${crypto.randomUUID()}`;
  using masterSocket = new DatagramSocket(path);
  await cluster.killMaster("SIGTERM");
  await cluster.startMaster({ NOTIFY_SOCKET: path, WATCHDOG_USEC: "100000" });
  const told: string[] = [];
  await until("the master's watchdog is kept quiet", () => {
    told.push(...masterSocket.take());
    return told.filter((message) => message === "WATCHDOG=1").length >= 2;
  });
  expect(told[0]).toBe("STATUS=Checks the catalog");
  expect(told[1]).toMatch(/^READY=1\nSTATUS=Answers on port \d+$/);
  await cluster.untilAlive(3);
});

test("each line of the logs is one JSON object with the fields that scripts rely on", async () => {
  await cluster.killKeeper(3, "SIGTERM");
  await cluster.startKeeper(3);
  await cluster.untilAlive(3);
  const names = new Set<string>();
  for (const role of ["master", "keeper-1", "keeper-3"]) {
    const lines = cluster.log(role).trimEnd().split("\n");
    expect(lines.length).toBeGreaterThan(3);
    for (const line of lines) {
      const { time, level, name, message, fields, ...others } = JSON.parse(line);
      expect(new Date(time).toISOString()).toBe(time);
      expect(level).toBeOneOf(["debug", "info", "warn", "error"]);
      expect(message).toBeString();
      expect(fields).toBeObject();
      expect(others).toEqual({});
      names.add(name);
    }
  }
  for (const name of ["master", "master/writer", "master/nats", "keeper"]) {
    expect(names).toContain(name);
  }
});

test("what keeps a role from starting is a line of its log; text is for people", async () => {
  const data = join(cluster.dir, "other");
  const master = (...flags: string[]) => {
    // An address that no machine has.
    const words = ["master", "--data", data, "--host", "192.0.2.1", "--port", "1", ...flags];
    return cluster.role(words);
  };
  const json = await master();
  expect(json.exit).toBe(1);
  const lines = json.stderr.trimEnd().split("\n").map((line) => JSON.parse(line));
  expect(lines.at(-1)).toMatchObject({ level: "error", fields: { code: "local" } });
  const text = await master("--log-format", "text");
  expect(text.stderr).toMatch(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} INFO {2}master +Starting /);
  expect(text.stderr.trimEnd().split("\n").at(-1)).toMatch(/^tydfs: Cannot listen on 192\.0\.2\.1/);
});

test("top on a terminal leaves it as it was, whatever ends it", async () => {
  const ends: [string, number][] = [["q", 0], ["\x03", 0], ["SIGTERM", 130], ["SIGHUP", 129]];
  for (const [end, status] of ends) {
    let shown = "";
    const child = Bun.spawn([BINARY, "top"], {
      env: { ...process.env, TYDFS_URL: cluster.clientUrl },
      terminal: {
        cols: 100,
        rows: 20,
        data: (_terminal, bytes) => void (shown += new TextDecoder().decode(bytes)),
      },
    });
    await until("the picture is there", () => shown.includes("Keepers 3/4 alive"));
    expect(shown).toContain("\x1b[?1049h");
    if (end.startsWith("SIG")) child.kill(end as NodeJS.Signals);
    else child.terminal?.write(end);
    expect(await child.exited).toBe(status);
    await until("the terminal is back", () => shown.includes("\x1b[?1049l"));
    expect(shown.lastIndexOf("\x1b[?25h")).toBeGreaterThan(shown.lastIndexOf("\x1b[?25l"));
    child.terminal?.close();
  }
});

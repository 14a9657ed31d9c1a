/**
 * Large files: put and get of one against `cp` + fsync and `curl`, and memory while much more
 * streams.
 */
import { closeSync, fsyncSync, openSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { GIB, MIB } from "../src/base/bytes.ts";
import type { TestCluster } from "../test/cluster/harness.ts";
import type { Figure } from "./figure.ts";
import { median, timed } from "./figure.ts";

/** put and get of one file of `sizeBytes`, in turn with their limits; medians of `rounds`. */
export async function benchLarge(
  cluster: TestCluster,
  sizeBytes: number,
  rounds: number,
): Promise<Figure[]> {
  const source = cluster.file("bench.bin", sizeBytes);
  await settleDisk(cluster);
  const rate = (ms: number) => sizeBytes / MIB / (ms / 1000);
  const puts: number[] = [];
  const copies: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    const putMs = await timed(() => cluster.ok("put", "--min-copies", "3", source, `/b${round}`));
    await settleDisk(cluster);
    const copyMs = await timed(() => copyThrice(cluster, source));
    await settleDisk(cluster);
    // The first round warms caches and connections.
    if (round > 0) puts.push(rate(putMs)), copies.push(rate(copyMs));
  }
  const gets: number[] = [];
  const curls: number[] = [];
  const server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    fetch: () => new Response(Bun.file(source)),
  });
  try {
    for (let round = 0; round <= rounds; round++) {
      const target = join(cluster.dir, "bench.back");
      const getMs = await timed(() => cluster.ok("get", "/b0", target));
      rmSync(target);
      const curlMs = await timed(() => fetchByCurl(server.url.href, target));
      rmSync(target);
      await settleDisk(cluster);
      if (round > 0) gets.push(rate(getMs)), curls.push(rate(curlMs));
    }
  } finally {
    await server.stop(true);
  }
  const ratio = { kind: "ratio", value: 0.8 } as const;
  return [
    {
      what: `put ${sizeBytes / GIB} GiB, 3 copies durable`,
      value: median(puts),
      unit: "MiB/s",
      limit: { what: "3 × cp + fsync at once", value: median(copies) },
      target: ratio,
    },
    {
      what: `get ${sizeBytes / GIB} GiB, warm`,
      value: median(gets),
      unit: "MiB/s",
      limit: { what: "curl from a sendfile server", value: median(curls) },
      target: ratio,
    },
  ];
}

/** Peak memory of client and keepers while `totalBytes` go in and come back as one file. */
export async function benchMemory(cluster: TestCluster, totalBytes: number): Promise<Figure[]> {
  const source = cluster.file("memory.bin", totalBytes);
  const put = cluster.spawn(["put", source, "/memory"]);
  const putPeak = await peakMemory(put.pid, put.exited);
  const get = cluster.spawn(["get", "/memory", join(cluster.dir, "memory.back")]);
  const getPeak = await peakMemory(get.pid, get.exited);
  const keepers = [1, 2, 3].map((k) => highWater(cluster.keeperPid(k)));
  const most = (value: number) => ({ kind: "most", value }) as const;
  const what = `while ${totalBytes / GIB} GiB stream`;
  return [
    { what: `put's peak memory ${what}`, value: putPeak, unit: "MB", target: most(120) },
    { what: `get's peak memory ${what}`, value: getPeak, unit: "MB", target: most(120) },
    { what: "a keeper's peak memory", value: Math.max(...keepers), unit: "MB", target: most(150) },
    {
      what: "the master's peak memory",
      value: highWater(cluster.masterPid),
      unit: "MB",
      target: most(400),
    },
  ];
}

async function copyThrice(cluster: TestCluster, source: string): Promise<void> {
  const targets = [1, 2, 3].map((n) => join(cluster.dir, `copy${n}`));
  await Promise.all(targets.map(async (target) => {
    const copy = Bun.spawn(["sh", "-c", 'cp "$1" "$2" && sync "$2"', "sh", source, target]);
    if (await copy.exited !== 0) throw new Error("cp failed");
  }));
  for (const target of targets) rmSync(target);
}

async function fetchByCurl(url: string, target: string): Promise<void> {
  const curl = Bun.spawn(["curl", "-sS", "-o", target, url]);
  if (await curl.exited !== 0) throw new Error("curl failed: is it installed?");
}

/**
 * Waits until the kernel has written back what the last step left, so that each starts on a quiet
 * disk.
 */
async function settleDisk(cluster: TestCluster): Promise<void> {
  const sync = Bun.spawn(["sync", "-f", cluster.dir]);
  await sync.exited;
  const directory = openSync(cluster.dir, "r");
  fsyncSync(directory);
  closeSync(directory);
}

/** The high-water mark of a process's resident memory in MB, read until it ends. */
async function peakMemory(pid: number, exited: Promise<number>): Promise<number> {
  let peak = 0;
  let running = true;
  const done = exited.finally(() => running = false);
  while (running) {
    peak = Math.max(peak, highWater(pid));
    await Bun.sleep(50);
  }
  if (await done !== 0) throw new Error("the measured command failed");
  return peak;
}

function highWater(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/VmHWM:\s+(\d+) kB/.exec(text)?.[1] ?? 0) * 1024 / 1e6;
  } catch {
    // It has ended between two looks.
    return 0;
  }
}

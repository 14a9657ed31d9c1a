/**
 * Lines that are cut between a keeper and the master, a client, another keeper: both ways and one
 * way, each host in a network namespace of its own. Puts and gets go on or end cleanly meanwhile;
 * when the lines are whole again nothing is lost, doubled or deleted. And a nats-server that dies
 * while transfers run.
 */
import { afterEach, expect, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "../cluster/harness.ts";
import { type Host, Namespaces } from "./hosts.ts";

const KEEPERS = [1, 2, 3, 4];
/** Half a minute is what a client tries for; the rest is for the machine. */
const COMMAND_MS = 45_000;
/** Done; or: no answer in time, too few keepers. */
const CLEAN_ENDS = [0, 5, 6];

let cluster: TestCluster;
let namespaces: Namespaces | undefined;

afterEach(async () => {
  await cluster?.stop();
  namespaces?.close();
  namespaces = undefined;
});

interface Cut {
  /** Who does not hear whom. */
  deaf: string;
  mute: string;
  way: "one way" | "both ways";
}

const CUTS: readonly Cut[] = [
  { deaf: "keeper-1", mute: "master", way: "both ways" },
  { deaf: "keeper-2", mute: "master", way: "one way" },
  { deaf: "master", mute: "keeper-3", way: "one way" },
  { deaf: "keeper-4", mute: "client", way: "both ways" },
  { deaf: "client", mute: "keeper-1", way: "one way" },
  { deaf: "keeper-2", mute: "keeper-3", way: "both ways" },
];

/** Cuts a line; returns how to make it whole. */
function cut({ deaf, mute, way }: Cut, hosts: Map<string, Host>): () => void {
  const [host, other] = [hosts.get(deaf), hosts.get(mute)];
  if (host === undefined || other === undefined) throw new Error("There is no such host");
  const chain = (hook: string, side: string) =>
    `chain ${hook} { type filter hook ${hook} priority 0; ip ${side} ${other.address} drop; }\n`;
  const back = way === "both ways" ? chain("output", "daddr") : "";
  namespaces?.run(host, ["nft", `table ip cut { ${chain("input", "saddr")}${back} }`]);
  return () => void namespaces?.run(host, ["nft", "delete table ip cut"]);
}

test("lines cut both ways and one way: nothing is lost, doubled or deleted", async () => {
  const spaces = new Namespaces();
  namespaces = spaces;
  const names = ["master", "client", ...KEEPERS.map((k) => `keeper-${k}`)];
  const hosts = new Map(names.map((name) => [name, spaces.add(name)]));
  const place = (who: string) => {
    const host = spaces.add(who);
    return { enter: spaces.enter(host), address: host.address };
  };
  const env = { TYDFS_CHUNK_SIZE: "4MiB" };
  cluster = await TestCluster.start({ keepers: KEEPERS.length, env, place });
  const contents = new Map<string, string>();
  const old = cluster.file("old.bin", 9 * MIB);
  await cluster.ok("put", old, "/old");
  contents.set("/old", old);
  for (const [n, line] of CUTS.entries()) {
    const whole = cut(line, hosts);
    const path = `/new-${n}`;
    const source = cluster.file(`new-${n}.bin`, 6 * MIB + n);
    const back = join(cluster.dir, `back-${n}`);
    const within = { timeoutMs: COMMAND_MS };
    const [put, get] = await Promise.all([
      cluster.run(["put", source, path], within),
      cluster.run(["get", "/old", back], within),
    ]);
    whole();
    expect({ ...line, exit: put.exit, clean: CLEAN_ENDS.includes(put.exit) })
      .toEqual({ ...line, exit: put.exit, clean: true });
    // A copy that is known and can be reached is read.
    expect({ ...line, get: get.exit, stderr: get.stderr })
      .toEqual({ ...line, get: 0, stderr: get.stderr });
    expect(await sameBytes(old, back)).toBe(true);
    if (put.exit === 0) contents.set(path, source);
  }
  await cluster.untilAlive(KEEPERS.length);
  const onDisks = () => KEEPERS.reduce((sum, k) => sum + cluster.replicas(k).length, 0);
  await cluster.untilStatus(
    "each chunk has its copies, and no more",
    ({ chunks }) => chunks.under + chunks.lost === 0 && onDisks() === 3 * chunks.total,
  );
  for (const [path, source] of contents) {
    const back = join(cluster.dir, "back");
    await cluster.ok("get", path, back);
    expect(await sameBytes(source, back)).toBe(true);
  }
}, 180_000);

test("nats-server killed under a put and a get: both finish, and no role ends", async () => {
  cluster = await TestCluster.start();
  const source = cluster.file("big.bin", 300 * MIB);
  await cluster.ok("put", source, "/old");
  const back = join(cluster.dir, "back");
  const pids = () => [cluster.masterPid, ...[1, 2, 3].map((k) => cluster.keeperPid(k))];
  const before = pids();
  const chunks = () => [1, 2, 3].reduce((sum, k) => sum + cluster.replicas(k).length, 0);
  const there = chunks();
  const commands = Promise.all([
    cluster.run(["put", source, "/new"]),
    cluster.run(["get", "/old", back]),
  ]);
  await until("chunks arrive", () => chunks() > there);
  // Who is not connected yet is told at once that nobody is there.
  const begun = () => readdirSync(cluster.dir).some((name) => name.includes("back"));
  await until("the get has begun", begun);
  process.kill(Number(readFileSync(join(cluster.masterDir, "nats.pid"), "utf8")), "SIGKILL");
  const [put, get] = await commands;
  expect(put.stderr + put.exit).toEndWith("0");
  expect(get.stderr + get.exit).toEndWith("0");
  expect(await sameBytes(source, back)).toBe(true);
  await cluster.ok("get", "/new", back);
  expect(await sameBytes(source, back)).toBe(true);
  await cluster.untilAlive(3);
  expect(pids()).toEqual(before);
}, 120_000);

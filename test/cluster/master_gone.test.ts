/**
 * The master is killed while a command works on a tree: a clear line and status 5, nothing half done
 * that is not said, and the same command once more brings the right result.
 */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Outcome } from "./harness.ts";
import { TestCluster, until } from "./harness.ts";

const FILES = 2_000;

let cluster: TestCluster;
let tree = "";
let names: string[] = [];

beforeAll(async () => {
  cluster = await TestCluster.start({ keepers: 1, env: { TYDFS_REPLICAS: "1" } });
  tree = join(cluster.dir, "tree");
  mkdirSync(join(tree, "below"), { recursive: true });
  for (let index = 0; index < FILES; index++) {
    const name = index % 2 === 0 ? `f${index}` : `below/f${index}`;
    // Most are empty: it is the names that matter here.
    writeFileSync(join(tree, name), index % 20 === 0 ? `this is ${name}` : "");
    names.push(name);
  }
  names = names.sort();
  await cluster.ok("put", "-r", tree, "/whole");
}, 120_000);
afterAll(() => cluster.stop());

beforeEach(async () => {
  if (cluster.masterPid === 0) await cluster.startMaster();
  await cluster.untilAlive(1);
}, 60_000);

/** Runs a command, and kills the master when `isUnderWay`; the master stays away. */
async function withoutMaster(args: string[], isUnderWay: () => boolean | Promise<boolean>) {
  const child = cluster.spawn([...args, "--wait", "1s"]);
  const stdout = new Response(child.stdout).text();
  const stderr = new Response(child.stderr).text();
  await until(`${args[0]} is under way`, isUnderWay);
  await cluster.killMaster();
  const outcome = { exit: await child.exited, stdout: await stdout, stderr: await stderr };
  console.log(
    args.join(" "),
    outcome.exit,
    outcome.stdout.slice(0, 300),
    outcome.stderr.slice(0, 1000),
  );
  return outcome;
}

async function remote(path: string): Promise<string[]> {
  const { exit, stdout } = await cluster.run(["find", path, "--type", "f", "-0"]);
  if (exit !== 0) return [];
  return stdout.split("\0").filter((name) => name !== "").map((name) =>
    name.slice(path.length + 1)
  );
}

async function untilRemote(path: string): Promise<boolean> {
  return (await remote(path)).length > 50;
}

function local(path: string): string[] {
  if (!existsSync(path)) return [];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) =>
      join(entry.parentPath, entry.name).slice(path.length + 1)
    ).sort();
}

test("put -r", async () => {
  const args = ["put", "-r", tree, "/put"];
  await withoutMaster(args, () => untilRemote("/put"));
  await cluster.startMaster();
  await cluster.untilAlive(1);
  console.log(await cluster.ok(...args));
  expect((await remote("/put")).sort()).toEqual(names);
}, 120_000);
test("get -r", async () => {
  const args = ["get", "-r", "/whole", join(cluster.dir, "got")];
  await withoutMaster(args, () => local(join(cluster.dir, "got")).length > 50);
  console.log(local(join(cluster.dir, "got")).filter((name) => name.includes("tydfs")));
  await cluster.startMaster();
  await cluster.untilAlive(1);
  console.log(await cluster.ok(...args));
  expect(local(join(cluster.dir, "got"))).toEqual(names);
}, 120_000);
test("sync", async () => {
  const args = ["sync", "--delete", tree, ":/sync"];
  await withoutMaster(args, () => untilRemote("/sync"));
  await cluster.startMaster();
  await cluster.untilAlive(1);
  console.log(await cluster.ok(...args));
  expect((await remote("/sync")).sort()).toEqual(names);
}, 120_000);
test("cp", async () => {
  const args = ["cp", "-r", "/whole", "/cp"];
  await withoutMaster(args, () => untilRemote("/cp"));
  await cluster.startMaster();
  await cluster.untilAlive(1);
  console.log(await cluster.run(args));
  console.log((await remote("/cp")).length, (await remote("/cp/whole")).length);
}, 120_000);
test("ls", async () => {
  const args = ["ls", "-R", "/"];
  await withoutMaster(args, () => true);
  await cluster.startMaster();
  await cluster.untilAlive(1);
}, 120_000);
test("rm pattern", async () => {
  const args = ["rm", "/put/**/f*"];
  await withoutMaster(args, async () => (await remote("/put")).length < 1900);
  await cluster.startMaster();
  await cluster.untilAlive(1);
  console.log(await cluster.run(args));
  console.log((await remote("/put")).length);
}, 120_000);
test("mv", async () => {
  const args = ["mv", "/sync/**/f*", "/mv"];
  await withoutMaster(args, async () => (await remote("/sync")).length < 1900);
  await cluster.startMaster();
  await cluster.untilAlive(1);
  console.log(await cluster.run(args));
  console.log((await remote("/mv")).length);
}, 120_000);

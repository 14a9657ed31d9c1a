/** The spine from the compiled binary: put, get, ls, stat, mv, rm, mkdir, status on real files. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
}, 60_000);
afterAll(() => cluster.stop());

const SIZES: [string, number][] = [
  ["empty", 0],
  ["one byte", 1],
  ["a block", MIB],
  ["a block and a byte", MIB + 1],
  ["one chunk", 64 * MIB],
  ["one chunk and a byte", 64 * MIB + 1],
  ["three chunks", 150 * MIB + 77],
];

test.each(SIZES)("put and get of %s come back identical", async (name, sizeBytes) => {
  const source = cluster.file(`${name}.bin`, sizeBytes);
  const put = JSON.parse(await cluster.ok("put", "--json", source, `/sizes/${name}`));
  expect(put).toMatchObject({ path: `/sizes/${name}`, size: sizeBytes, replicas: 3 });
  const target = join(cluster.dir, `${name}.back`);
  await cluster.ok("get", `/sizes/${name}`, target);
  expect(await sameBytes(source, target)).toBe(true);
});

test("put reaches three copies and stat shows where they lie", async () => {
  const source = cluster.file("placed.bin", 3 * MIB);
  await cluster.ok("put", source, "/placed.bin");
  await cluster.untilStatus("all chunks have their copies", (status) => status.chunks.under === 0);
  const stat = JSON.parse(await cluster.ok("stat", "--json", "--locations", "/placed.bin"));
  expect(stat).toMatchObject({ path: "/placed.bin", kind: "file", size: 3 * MIB, replicas: 3 });
  expect(stat.chunks).toHaveLength(1);
  const holders = stat.chunks[0].holders as { keeper: string; path: string; state: string }[];
  expect(holders.map((holder) => holder.keeper).sort()).toEqual([
    "keeper-1",
    "keeper-2",
    "keeper-3",
  ]);
  for (const { keeper, path } of holders) {
    expect(await sameBytes(source, join(cluster.dir, keeper, path))).toBe(true);
  }
});

test("put replaces a file atomically and says no with --no-replace", async () => {
  const first = cluster.file("v1.bin", 2 * MIB);
  const second = cluster.file("v2.bin", 3 * MIB);
  await cluster.ok("put", first, "/replaced");
  const refused = await cluster.run(["put", "--no-replace", second, "/replaced"]);
  expect(refused.exit).toBe(4);
  await cluster.ok("put", second, "/replaced");
  await cluster.ok("get", "/replaced", join(cluster.dir, "replaced"));
  expect(await sameBytes(second, join(cluster.dir, "replaced"))).toBe(true);
});

test("standard input and output stream through a pipe", async () => {
  const source = cluster.file("piped.bin", 40 * MIB + 5);
  const put = await cluster.run(["put", "-", "/piped"], { stdin: Bun.file(source) });
  expect(put.stderr + put.exit).toEndWith("0");
  const child = cluster.spawn(["get", "/piped", "-"]);
  const bytes = await new Response(child.stdout).bytes();
  expect(await child.exited).toBe(0);
  expect(Buffer.compare(bytes, await Bun.file(source).bytes())).toBe(0);
});

test("names with spaces and any script, and ls in byte order", async () => {
  const source = cluster.file("small.bin", 10);
  const names = ["Ferien 2026.mp4", "über.txt", "日本.webm", "a", "a.b", "-dash"];
  for (const name of names) await cluster.ok("put", "--", source, `/names/${name}`);
  const listed = JSON.parse(await cluster.ok("ls", "--json", "/names")) as { path: string }[];
  const expected = names.map((name) => `/names/${name}`).sort((a, b) =>
    Buffer.compare(Buffer.from(a), Buffer.from(b))
  );
  expect(listed.map((entry) => entry.path)).toEqual(expected);
  expect(await cluster.ok("ls", "-l", "/names")).toContain("Ferien 2026.mp4");
});

test("mkdir, mv and rm change names only", async () => {
  const source = cluster.file("moved.bin", MIB);
  await cluster.ok("mkdir", "-p", "/deep/er/est");
  await cluster.ok("put", source, "/deep/er/file");
  await cluster.ok("mv", "/deep/er/file", "/deep/renamed");
  await cluster.ok("mv", "/deep/renamed", "/deep/er/est");
  await cluster.ok("get", "/deep/er/est/renamed", join(cluster.dir, "moved.back"));
  expect(await sameBytes(source, join(cluster.dir, "moved.back"))).toBe(true);
  expect((await cluster.run(["rm", "/deep"])).exit).toBe(4);
  await cluster.ok("rm", "/deep/er/est/renamed");
  expect((await cluster.run(["stat", "/deep/er/est/renamed"])).exit).toBe(3);
  await cluster.ok("rm", "-r", "/deep");
  expect((await cluster.run(["ls", "/deep"])).exit).toBe(3);
});

test("the owner is recorded", async () => {
  const source = cluster.file("owned.bin", 10);
  await cluster.ok("put", "--as", "anna", source, "/owned");
  expect(JSON.parse(await cluster.ok("stat", "--json", "/owned")).owner).toBe("anna");
});

test("status has the promised shape", async () => {
  const status = await cluster.status();
  expect(status.keepers).toHaveLength(3);
  for (const keeper of status.keepers) {
    expect(keeper).toMatchObject({ state: "ALIVE", host: "127.0.0.1" });
    expect(keeper.ports.length).toBeGreaterThan(0);
    for (const port of keeper.ports) expect(port).toMatchObject({ state: "FREE", slots: 8 });
  }
  expect(status.chunks.total).toBeGreaterThan(0);
  expect(status.chunks.lost).toBe(0);
  expect(await cluster.ok("status")).toContain("keeper-2");
});

test("removed and replaced files leave the keepers' disks after the grace", async () => {
  const source = cluster.file("doomed.bin", 70 * MIB);
  await cluster.ok("put", source, "/doomed");
  const chunks = JSON.parse(await cluster.ok("stat", "--json", "--locations", "/doomed"))
    .chunks as { id: string }[];
  expect(chunks).toHaveLength(2);
  await cluster.ok("rm", "/doomed");
  const onDisk = () =>
    [1, 2, 3].flatMap((k) => cluster.replicas(k)).filter((path) =>
      chunks.some(({ id }) => path.endsWith(id))
    );
  await until("the chunks are removed", () => onDisk().length === 0);
});

test("no temporary file is left anywhere", () => {
  for (const k of [1, 2, 3]) {
    expect(readdirSync(join(cluster.keeperDir(k), "tmp"))).toEqual([]);
  }
  expect(readdirSync(cluster.dir).filter((name) => name.includes(".tydfs-"))).toEqual([]);
});

test("the master stops in good order on SIGTERM, and all is there after its return", async () => {
  const before = await cluster.ok("ls", "-R", "--json", "/");
  expect(await cluster.killMaster("SIGTERM")).toBe(0);
  expect(existsSync(join(cluster.masterDir, "join.client"))).toBe(false);
  await cluster.startMaster();
  await cluster.untilAlive(3);
  expect(await cluster.ok("ls", "-R", "--json", "/")).toBe(before);
  expect(statSync(join(cluster.masterDir, "cluster.key")).mode & 0o777).toBe(0o600);
});

test("version names tydfs, Bun, nats-server and the commit", async () => {
  const version = await cluster.ok("version");
  for (const word of ["tydfs", "Bun", "nats-server"]) expect(version).toContain(word);
});

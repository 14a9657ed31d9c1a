/** Which files status says to be in danger, or would be: needs the master's `audit.risk`. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { MIB, TestCluster, until } from "./harness.ts";

interface IfLost {
  without: string[];
  lost: { files: number; bytes: number };
  endangered: { files: number; bytes: number };
  short: { files: number; bytes: number };
  files: { path: string; danger: string; copies: number; goal: number }[];
}

let cluster: TestCluster;

beforeAll(async () => {
  const env = { TYDFS_REPAIR_DELAY: "10m", TYDFS_MAINTENANCE_WINDOW: "10m" };
  cluster = await TestCluster.start({ env: { ...env, TYDFS_CHUNK_SIZE: "2MiB" } });
  const source = cluster.file("a.bin", 5 * MIB);
  await cluster.ok("put", "--min-copies", "3", source, "/three");
  await cluster.ok("put", "--replicas", "1", "--min-copies", "1", source, "/single");
}, 60_000);
afterAll(() => cluster.stop());

async function ifLost(...names: string[]): Promise<IfLost> {
  return JSON.parse(await cluster.ok("status", "--json", "--if-lost", ...names)) as IfLost;
}

test("status --if-lost tells sums and files, and changes nothing", async () => {
  const all = ["keeper-1", "keeper-2", "keeper-3"];
  const without = await Promise.all(all.map((name) => ifLost(name)));
  // Each chunk of the single file lies on one of them.
  expect(without.some(({ lost }) => lost.files === 1)).toBe(true);
  for (const { short, files } of without) {
    expect(short.files).toBe(1);
    expect(files.find(({ path }) => path === "/three")).toMatchObject({ copies: 2, goal: 3 });
  }
  expect(await ifLost("keeper-1", "keeper-2")).toMatchObject({ endangered: { files: 1 } });
  const text = await cluster.ok("status", "--if-lost", ...all);
  expect(text).toStartWith("Without keeper-1, keeper-2 and keeper-3:\n  2 files, 10 MiB, would be");
  expect(text).toMatch(/\n {2}lost +0 of 3 copies +3 of 3 chunks +5 MiB {2}\/three\n/);
  expect(await cluster.ok("status")).toContain("\nAll is well: ");
});

test("status --if-lost of a keeper that is not known is not found", async () => {
  const { exit, stderr } = await cluster.run(["status", "--if-lost", "keeper-9"]);
  expect([exit, stderr]).toEqual([3, expect.stringContaining("keeper-9")]);
});

test(
  "status names the files that are lost, and those that a keeper's end leaves short",
  async () => {
    expect(await cluster.ok("status", "--all")).toEndWith("\nEvery file has all its copies\n");
    const holders = await Promise.all([1, 2, 3].map(async (k) => {
      return (await ifLost(`keeper-${k}`)).lost.files > 0 ? k : undefined;
    }));
    const holder = holders.find((k) => k !== undefined) ?? 1;
    await cluster.killKeeper(holder);
    await until("status tells of the lost file", async () => {
      const status = await cluster.ok("status");
      return /\nFiles in danger:\n {2}lost .* \/single\n/.test(status);
    });
    const all = await cluster.ok("status", "--all");
    expect(all).toMatch(/\nFiles that lack copies:\n {2}lost .* \/single\n {2}short .* \/three\n$/);
    const json = JSON.parse(await cluster.ok("status", "--all", "--json"));
    expect(json.atRisk).toHaveLength(2);
  },
  60_000,
);

/** fsck against real keepers: what it finds on their disks, what it mends, how it ends. */
import { afterEach, expect, test } from "bun:test";
import { rmSync, truncateSync } from "node:fs";
import { MIB, TestCluster, until } from "./harness.ts";

interface Item {
  what: string;
  path?: string;
  chunk?: string;
  keeper?: string;
  copies?: number;
  repaired?: boolean;
}

let cluster: TestCluster | undefined;
afterEach(async () => {
  await cluster?.stop();
  cluster = undefined;
});

async function start(options: Parameters<typeof TestCluster.start>[0] = {}): Promise<TestCluster> {
  cluster = await TestCluster.start(options);
  return cluster;
}

async function fsck(of: TestCluster, ...flags: string[]) {
  const { exit, stdout, stderr } = await of.run(["fsck", "--json", ...flags]);
  if (stdout === "") throw new Error(`fsck → ${exit}: ${stderr}`);
  const items = JSON.parse(stdout) as Item[];
  return { exit, items: items.filter(({ what }) => what !== "summary") };
}

/** All files have all their copies. */
async function untilWhole(of: TestCluster): Promise<void> {
  await of.untilStatus("all chunks are whole", ({ chunks }) => chunks.atGoal === chunks.total);
}

test("a sound cluster: one line and exit 0", async () => {
  const c = await start();
  await c.ok("put", c.file("a.bin", 3 * MIB), "/a");
  await c.ok("put", c.file("b.bin", 0), "/b");
  await untilWhole(c);
  const { exit, stdout, stderr } = await c.run(["fsck"]);
  expect({ exit, stderr }).toEqual({ exit: 0, stderr: "" });
  expect(stdout).toBe("Checked the catalog and 2 chunks: every copy on record is there\n");
}, 60_000);

test("missing and truncated copies: fsck finds them, --repair has them made again", async () => {
  const c = await start({ env: { TYDFS_CHUNK_SIZE: "1MiB" } });
  await c.ok("put", c.file("a.bin", 4 * MIB), "/films/a");
  await untilWhole(c);
  const [gone = "", cut = ""] = c.replicas(1);
  rmSync(gone);
  truncateSync(cut, 1000);
  const idOf = (path: string) => path.slice(-32);
  const found = await fsck(c);
  expect(found.exit).toBe(1);
  expect(found.items).toMatchObject(
    [
      { what: "missing", chunk: idOf(gone), keeper: "keeper-1", repaired: false },
      { what: "wrong-size", chunk: idOf(cut), keeper: "keeper-1", repaired: false },
    ].sort((left, right) => {
      const place = ({ chunk }: { chunk: string }) =>
        found.items.findIndex((item) => item.chunk === chunk);
      return place(left) - place(right);
    }),
  );
  expect(await fsck(c)).toEqual(found);

  const mended = await fsck(c, "--repair");
  expect(mended.exit).toBe(0);
  expect(mended.items.map(({ repaired }) => repaired)).toEqual([true, true]);
  await untilWhole(c);
  await until("fsck finds nothing", async () => (await fsck(c)).items.length === 0);
  expect(c.replicas(1)).toHaveLength(4);
}, 90_000);

test(
  "a keeper that is down: unreachable, and the files that depend on others are named",
  async () => {
    const c = await start({
      keepers: 2,
      env: { TYDFS_REPAIR_DELAY: "1h", TYDFS_MAINTENANCE_WINDOW: "1h", TYDFS_REPLICAS: "2" },
    });
    await c.ok("put", c.file("a.bin", MIB), "/a");
    await c.ok("put", c.file("b.bin", MIB), "/d/b");
    await untilWhole(c);
    await c.killKeeper(2);
    await c.untilAlive(1);
    await c.untilStatus(
      "the keeper is dead",
      ({ keepers }) => keepers.some(({ state }) => state === "DEAD"),
    );
    const { exit, items } = await fsck(c);
    expect(exit).toBe(1);
    const files = items.filter(({ what }) => what === "endangered").map(({ path }) => path);
    expect(files.sort()).toEqual(["/a", "/d/b"]);
    expect(items.filter(({ what }) => what === "unreachable"))
      .toMatchObject([{ keeper: "keeper-2", copies: 2 }]);
  },
  60_000,
);

test("all copies gone: the file is named as lost, and the exit is 7", async () => {
  const c = await start({ keepers: 2 });
  await c.ok("put", c.file("a.bin", MIB), "/only");
  await c.ok("put", c.file("b.bin", 2 * MIB), "/other");
  const lost = [1, 2].flatMap((k) => c.replicas(k)).filter((path) => Bun.file(path).size === MIB);
  expect(lost).toHaveLength(2);
  for (const path of lost) rmSync(path);
  const { exit, items } = await fsck(c, "--repair");
  expect(exit).toBe(7);
  expect(items.filter(({ what }) => what === "lost").map(({ path }) => path)).toEqual(["/only"]);
  const words = await c.run(["fsck"]);
  expect(words.exit).toBe(7);
  expect(words.stdout).toContain("1 file is lost");
}, 60_000);

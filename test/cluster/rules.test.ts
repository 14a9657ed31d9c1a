/**
 * Placement rules from the compiled binary: those of the master's file and those that are added
 * decide where files go, and move what is there.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

const VIDEO = ["keeper-1", "keeper-2"];
const RULES = `
[[rule]]
pattern = "*.mp4"
require = "kind=video"
copies = 2
`;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = new TestCluster();
  writeFileSync(join(cluster.dir, "tydfs.toml"), RULES);
  await cluster.startMaster();
  const kinds = ["video", "video", "other", "other", "other"];
  await Promise.all(
    kinds.map((kind, n) => cluster.startKeeper(n + 1, { TYDFS_LABEL: `kind=${kind}` })),
  );
  await cluster.untilAlive(kinds.length);
}, 60_000);
afterAll(() => cluster.stop());

/** The names of the keepers that have each chunk of a file. */
async function holders(path: string): Promise<string[][]> {
  const stat = JSON.parse(await cluster.ok("stat", "--json", "--locations", path)) as {
    chunks: { holders: { keeper: string }[] }[];
  };
  return stat.chunks.map((chunk) => chunk.holders.map(({ keeper }) => keeper).sort());
}

async function untilOn(path: string, keepers: string[]): Promise<void> {
  await until(`${path} lies on ${keepers.join(", ")}`, async () => {
    return (await holders(path)).every((names) => names.join() === keepers.join());
  }, 60_000);
}

test("a rule of the master's file decides where new files go", async () => {
  const source = cluster.file("clip.bin", 5 * MIB);
  const put = JSON.parse(await cluster.ok("put", "--json", source, "/clips/clip.mp4"));
  expect(put).toMatchObject({ copies: 2, replicas: 2 });
  expect(await holders("/clips/clip.mp4")).toEqual([VIDEO]);
  await cluster.ok("put", cluster.file("large.bin", 130 * MIB), "/clips/large.mp4");
  expect(await holders("/clips/large.mp4")).toEqual([VIDEO, VIDEO, VIDEO]);
  const target = join(cluster.dir, "clip.back");
  await cluster.ok("get", "/clips/clip.mp4", target);
  expect(await sameBytes(source, target)).toBe(true);
});

test("a rule that is added has the copies of files moved that are there", async () => {
  const source = cluster.file("old.bin", 70 * MIB + 3);
  await cluster.ok("put", source, "/old.dat");
  await cluster.ok("put", cluster.file("other.bin", MIB), "/other.bin");
  await cluster.untilStatus("all copies are made", ({ chunks }) => chunks.under === 0);
  const before = await holders("/other.bin");
  const add = ["rule", "add", "--json", "*.dat", "--require", "kind=video", "--copies", "2"];
  const added = JSON.parse(await cluster.ok(...add, "--apply"));
  expect(added).toMatchObject({ id: 1, pattern: "*.dat", require: { kind: "video" }, copies: 2 });
  expect(added.applied.changed).toBe(1);
  await untilOn("/old.dat", VIDEO);
  await cluster.untilStatus("nothing is to be moved", ({ chunks }) => chunks.misplaced === 0);
  const target = join(cluster.dir, "old.back");
  await cluster.ok("get", "/old.dat", target);
  expect(await sameBytes(source, target)).toBe(true);
  expect(await holders("/other.bin")).toEqual(before);
  // The copies that were given up leave the disks, too.
  const ids = (JSON.parse(await cluster.ok("stat", "--json", "--locations", "/old.dat"))
    .chunks as { id: string }[]).map(({ id }) => id);
  await until("the others have deleted theirs", () => {
    const left = [3, 4, 5].flatMap((k) => cluster.replicas(k));
    return !left.some((path) => ids.some((id) => path.endsWith(id)));
  });
});

test("rule ls shows the rules in their order, also after a restart of the master", async () => {
  const table = await cluster.ok("rule", "ls");
  expect(table.split("\n").map((line) => line.trim().replace(/ +/g, " "))).toEqual([
    "ID PATTERN REQUIRE PREFER COPIES FROM",
    "- *.mp4 kind=video - 2 tydfs.toml",
    "1 *.dat kind=video - 2 added",
    "",
  ]);
  const before = await cluster.ok("rule", "ls", "--json");
  await cluster.killMaster("SIGTERM");
  await cluster.startMaster();
  await cluster.untilAlive(5);
  expect(await cluster.ok("rule", "ls", "--json")).toBe(before);
});

test("what can't be is refused, with the status that scripts rely on", async () => {
  const exits = async (...args: string[]) => {
    const { exit, stderr } = await cluster.run(["rule", ...args]);
    return [exit, stderr.trim()];
  };
  expect(await exits("add", "*.dat", "--copies", "1")).toEqual([
    4,
    'tydfs: Cannot add a rule for "*.dat": this pattern has one; remove that first',
  ]);
  expect(await exits("add", "*.mp4", "--copies", "1")).toEqual([
    4,
    'tydfs: Cannot add a rule for "*.mp4": the master\'s configuration file has one',
  ]);
  expect(await exits("rm", "*.mp4")).toEqual([
    8,
    'tydfs: Cannot remove rule "*.mp4": it stands in the master\'s configuration file; ' +
    "change it there",
  ]);
  expect((await exits("rm", "77"))[0]).toBe(3);
  expect((await exits("add", "/x/", "--copies", "1"))[0]).toBe(2);
});

test("a rule that too few keepers can follow warns, and puts fail with its name", async () => {
  const added = await cluster.run(["rule", "add", "*.mp3", "--require", "kind=music"]);
  expect(added.exit).toBe(0);
  expect(added.stdout).toBe('added rule 2 · "*.mp3" · require kind=music\n');
  expect(added.stderr).toContain("Only 0 keepers have kind=music now, and such files need 2");
  const source = cluster.file("song.bin", MIB);
  const put = await cluster.run(["put", "--wait", "0s", source, "/song.mp3"]);
  expect(put.exit).toBe(6);
  expect(put.stderr).toContain("0 keepers with kind=music can be written, 2 are needed (the rule");
  const removed = await cluster.ok("rule", "rm", "*.mp3", "--apply");
  expect(removed).toContain('removed rule 2 · "*.mp3" · require kind=music\napplied to 4 files');
  await cluster.ok("put", source, "/song.mp3");
});

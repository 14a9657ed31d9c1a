/**
 * Rules that part the files of packs, in the compiled binary: each file's copies come to lie as its
 * rule says, through a master that dies over it, and until then status tells that they do not.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sameBytes, TestCluster, until } from "./harness.ts";

const VIDEO = "keeper-1,keeper-2";
const FILES = 16;

interface Stat {
  chunks: { id: string; holders: { keeper: string }[] }[];
}

let cluster: TestCluster;
let local: string;
beforeAll(async () => {
  cluster = new TestCluster();
  await cluster.startMaster();
  const kinds = ["video", "video", "other", "other", "other"];
  await Promise.all(
    kinds.map((kind, n) => cluster.startKeeper(n + 1, { TYDFS_LABEL: `kind=${kind}` })),
  );
  await cluster.untilAlive(kinds.length);
  local = join(cluster.dir, "mix");
  mkdirSync(local);
  for (let index = 0; index < FILES; index++) {
    const bytes = crypto.getRandomValues(new Uint8Array(10_000 + index));
    writeFileSync(join(local, nameOf(index)), bytes);
  }
}, 60_000);
afterAll(() => cluster.stop());

/** Every other file is a clip. */
function nameOf(index: number): string {
  return `${index}.${index % 2 === 0 ? "clip" : "txt"}`;
}

/** The pack of a file, and the keepers that have it. */
async function where(path: string): Promise<{ pack: string; keepers: string }> {
  const stat = JSON.parse(await cluster.ok("stat", "--json", "--locations", path)) as Stat;
  const [chunk] = stat.chunks;
  const keepers = (chunk?.holders ?? []).map(({ keeper }) => keeper).sort().join();
  return { pack: chunk?.id ?? "", keepers };
}

function untilOn(path: string, test: (keepers: string) => boolean): Promise<void> {
  return until(
    `${path} lies as its rule says`,
    async () => test((await where(path)).keepers),
    60_000,
  );
}

test(
  "each file of a pack comes to lie as its own rule says, and status tells until then",
  async () => {
    await cluster.ok("put", "-r", local, "/mix");
    const { pack } = await where("/mix/0.clip");
    expect((await where("/mix/1.txt")).pack).toBe(pack);
    const add = ["rule", "add", "--json", "*.clip", "--require", "kind=video", "--copies", "2"];
    // The master dies when the clips' own pack is made, and nothing lies in it yet.
    await cluster.killMaster("SIGTERM");
    await cluster.startMaster({ TYDFS_FAILPOINTS: "master.compact.stored=kill" });
    await cluster.untilAlive(5);
    const added = JSON.parse(await cluster.ok(...add, "--apply"));
    expect(added.applied.changed).toBe(FILES / 2);
    expect((await cluster.status()).chunks.misplaced).toBe(1);
    await cluster.masterEnd();
    await cluster.startMaster();
    await cluster.untilAlive(5);
    expect((await cluster.status()).chunks.misplaced).toBe(1);

    for (let index = 0; index < FILES; index += 2) {
      await untilOn(`/mix/${nameOf(index)}`, (keepers) => keepers === VIDEO);
    }
    const clips = (await where("/mix/0.clip")).pack;
    expect(clips).not.toBe(pack);
    await untilOn("/mix/1.txt", (keepers) => keepers.split(",").length === 3);
    await cluster.untilStatus("nothing lies wrong", ({ chunks }) => {
      return chunks.misplaced === 0 && chunks.under === 0;
    });
    const back = join(cluster.dir, "mix.back");
    await cluster.ok("get", "-r", "/mix", back);
    for (let index = 0; index < FILES; index++) {
      expect(await sameBytes(join(local, nameOf(index)), join(back, nameOf(index)))).toBe(true);
    }
  },
  120_000,
);

test("what is moved or copied below another rule goes there with the next apply", async () => {
  const clips = (await where("/mix/0.clip")).pack;
  await cluster.ok("mv", "/mix/0.clip", "/mix/0.doc");
  await cluster.ok("cp", "/mix/1.txt", "/mix/1.clip");
  await cluster.ok("rule", "apply");
  await untilOn("/mix/0.doc", (keepers) => keepers.split(",").length === 3);
  await untilOn("/mix/1.clip", (keepers) => keepers === VIDEO);
  expect(await where("/mix/2.clip")).toEqual({ pack: clips, keepers: VIDEO });
  expect((await where("/mix/0.doc")).pack).not.toBe(clips);
  await cluster.untilStatus("nothing lies wrong", ({ chunks }) => chunks.misplaced === 0);
  for (const [path, name] of [["/mix/0.doc", nameOf(0)], ["/mix/1.clip", nameOf(1)]] as const) {
    const target = join(cluster.dir, `${name}.back`);
    await cluster.ok("get", path, target);
    expect(await sameBytes(join(local, name), target)).toBe(true);
  }
}, 120_000);

/**
 * Compaction in the compiled binary: the space of removed small files comes back, and what stays is
 * never away, through a master that dies over it.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sameBytes, TestCluster, until } from "./harness.ts";

interface Stat {
  chunks: { id: string; holders: { keeper: string }[] }[];
}

const KIB = 1024;
const FILES = 24;
/** One file in so many stays. */
const KEPT = 4;

let cluster: TestCluster;
beforeAll(async () => {
  cluster = await TestCluster.start();
}, 60_000);
afterAll(() => cluster.stop());

/** Puts a tree of small files; returns its local directory. */
async function putTree(name: string): Promise<string> {
  const local = join(cluster.dir, name);
  mkdirSync(local);
  for (let index = 0; index < FILES; index++) {
    const bytes = crypto.getRandomValues(new Uint8Array(20 * KIB + index));
    writeFileSync(join(local, `${index}`), bytes);
  }
  await cluster.ok("put", "-r", local, `/${name}`);
  return local;
}

async function stat(path: string): Promise<Stat> {
  return JSON.parse(await cluster.ok("stat", "--locations", "--json", path)) as Stat;
}

/** The chunks that the files of a tree which stay lie in. */
async function chunksOf(name: string): Promise<Set<string>> {
  const chunks = new Set<string>();
  for (let index = 0; index < FILES; index += KEPT) {
    for (const { id } of (await stat(`/${name}/${index}`)).chunks) chunks.add(id);
  }
  return chunks;
}

async function removeMost(name: string): Promise<void> {
  const all = Array.from({ length: FILES }, (_, index) => index);
  const gone = all.filter((index) => index % KEPT !== 0).map((index) => `/${name}/${index}`);
  await cluster.ok("rm", ...gone);
}

/** Waits until what stays lies elsewhere, and the old chunks have left all disks. */
async function untilCompacted(name: string, old: Set<string>): Promise<void> {
  const isElsewhere = async () => {
    return (await stat(`/${name}/0`)).chunks.every(({ id }) => !old.has(id));
  };
  await until(`the files of /${name} lie elsewhere`, isElsewhere, 30_000);
  await until(`the old packs of /${name} are gone`, () => {
    const left = [1, 2, 3].flatMap((k) => cluster.replicas(k));
    return !left.some((path) => [...old].some((chunk) => path.includes(chunk)));
  }, 30_000);
}

async function compare(name: string, local: string): Promise<void> {
  const back = join(cluster.dir, `${name}.back`);
  await cluster.ok("get", "-r", `/${name}`, back);
  for (let index = 0; index < FILES; index += KEPT) {
    expect(await sameBytes(join(local, `${index}`), join(back, `${index}`))).toBe(true);
  }
}

test("A pack of which most was removed is made smaller, and its files stay", async () => {
  const local = await putTree("tree");
  const old = await chunksOf("tree");
  expect(old.size).toBe(1);
  await removeMost("tree");
  await untilCompacted("tree", old);
  const now = await chunksOf("tree");
  expect(now.size).toBe(1);
  const { chunks } = await stat("/tree/0");
  expect(chunks[0]?.holders).toHaveLength(3);
  await compare("tree", local);
}, 90_000);

test(
  "A master that dies over a pack or its compaction loses nothing and leaves nothing",
  async () => {
    for (const point of ["master.pack.committed", "master.compact.stored"]) {
      await cluster.killMaster("SIGTERM");
      await cluster.startMaster({ TYDFS_FAILPOINTS: `${point}=kill` });
      await cluster.untilAlive(3);
      const restarted = cluster.masterEnd().then(() => cluster.startMaster());
      const name = point.replaceAll(".", "-");
      const local = await putTree(name);
      const old = await chunksOf(name);
      expect(old.size).toBe(1);
      await removeMost(name);
      await restarted;
      await cluster.untilAlive(3);
      await untilCompacted(name, old);
      await compare(name, local);
    }
    // Of all trees there is one pack each; whatever else was made on the way has gone.
    await until("no other chunk is left", () => {
      return [1, 2, 3].every((k) => cluster.replicas(k).length === 3);
    }, 30_000);
  },
  180_000,
);

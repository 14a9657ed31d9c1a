/** Trees of small files: whole commands, from the start of the process to its end. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { TestCluster } from "../test/cluster/harness.ts";
import type { Figure } from "./figure.ts";
import { median, timed } from "./figure.ts";
import { Aside } from "./peers/aside.ts";

const DIRECTORIES = 100;
const FILES = 10_000;
const FILE_BYTES = 4096;
/** Files are put at once only when they were not changed just now. */
const SETTLED_MS = 100;

/** Files a second of `put -r`, `get -r` and `rm -r` of 10,000 × 4 KiB, put with three copies. */
export async function benchTrees(cluster: TestCluster, rounds: number): Promise<Figure[]> {
  const aside = new Aside(cluster.dir);
  const source = await makeTree(join(cluster.dir, "trees"));
  const times = { put: [] as number[], get: [] as number[], remove: [] as number[] };
  const limits = { put: [] as number[], get: [] as number[] };
  for (let round = 0; round < rounds; round++) {
    const remote = `/trees-${round}`;
    const local = join(cluster.dir, `trees-${round}`);
    const copies = ["--replicas", "3", "--min-copies", "3"];
    times.put.push(await timed(() => cluster.ok("put", "-r", ...copies, source, remote)));
    times.get.push(await timed(() => cluster.ok("get", "-r", remote, local)));
    times.remove.push(await timed(() => cluster.ok("rm", "-r", remote)));
    aside.put(local);
    const triple = [1, 2, 3].map((copy) => join(cluster.dir, `copy-${round}-${copy}`));
    limits.get.push(await timed(() => copyTree(source, `${local}-limit`)));
    limits.put.push(
      await timed(async () => {
        await Promise.all(triple.map((copy) => copyTree(source, copy)));
        await run("sync", "--file-system", source);
      }),
    );
    for (const copy of [...triple, `${local}-limit`]) aside.put(copy);
  }
  aside.put(source);
  const perSecond = (ms: number[]) => FILES / median(ms) * 1000;
  const row = (what: string, ms: number[], least: number): Figure => ({
    what: `${what}, ${FILES} files of 4 KiB, whole command`,
    value: perSecond(ms),
    unit: "files/s",
    target: { kind: "least", value: least },
  });
  return [
    {
      ...row("put -r with 3 durable copies", times.put, 5_000),
      limit: { what: "3 × cp -r at once, then sync", value: perSecond(limits.put) },
    },
    {
      ...row("get -r", times.get, 10_000),
      limit: { what: "cp -r", value: perSecond(limits.get) },
    },
    row("rm -r", times.remove, 10_000),
  ];
}

function copyTree(from: string, to: string): Promise<void> {
  return run("cp", "-r", from, to);
}

async function run(...command: string[]): Promise<void> {
  const exit = await Bun.spawn(command, { stdio: ["ignore", "ignore", "inherit"] }).exited;
  if (exit !== 0) throw new Error(`${command.join(" ")} ended with ${exit}`);
}

async function makeTree(root: string): Promise<string> {
  const bytes = new Uint8Array(FILE_BYTES);
  for (let directory = 0; directory < DIRECTORIES; directory++) {
    mkdirSync(join(root, `${directory}`), { recursive: true });
    for (let file = 0; file < FILES / DIRECTORIES; file++) {
      crypto.getRandomValues(bytes);
      await Bun.write(join(root, `${directory}`, `file-${file}.bin`), bytes);
    }
  }
  await Bun.sleep(SETTLED_MS);
  return root;
}

/**
 * A watched directory: how long a scan takes in which nothing has changed, and how soon a file that
 * was closed is there for others.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TydfsClient } from "../src/client/client.ts";
import { hasCode } from "../src/wire/errors.ts";
import type { TestCluster } from "../test/cluster/harness.ts";
import { until } from "../test/cluster/harness.ts";
import type { Figure } from "./figure.ts";
import { median, timed } from "./figure.ts";

const DIRECTORIES = 1_000;
const FILES_EACH = 10;
const LOOK_MS = 5;

/** Scans of 10,000 files in 1,000 directories, and the worst time from a close to a stat. */
export async function benchWatch(cluster: TestCluster, rounds: number): Promise<Figure[]> {
  const root = join(cluster.dir, "watched");
  for (let d = 0; d < DIRECTORIES; d++) {
    mkdirSync(join(root, `d${d}`), { recursive: true });
    for (let f = 0; f < FILES_EACH; f++) writeFileSync(join(root, `d${d}/f${f}`), `${d} ${f}`);
  }
  const state = join(cluster.dir, "watch.db");
  const args = ["watch", "--state", state, root, "/watched"];
  const options = { timeoutMs: 30 * 60_000 };
  await cluster.run([...args, "--once", "--quiet", "--transfers", "32"], options);
  const scans: number[] = [];
  for (let round = 0; round < rounds; round++) {
    scans.push(await timed(() => cluster.run([...args, "--once", "--quiet"])));
  }
  const visible = await benchVisible(cluster, args, root, 4 * rounds);
  const most = (value: number) => ({ kind: "most", value }) as const;
  return [
    {
      what: "watch: scan of 10,000 files in 1,000 directories, whole command",
      value: median(scans) / 1000,
      unit: "s",
      target: most(5),
    },
    {
      what: `watch: worst of ${visible.length} times from close to visible`,
      value: Math.max(...visible) / 1000,
      unit: "s",
      target: most(2),
    },
  ];
}

async function benchVisible(
  cluster: TestCluster,
  args: string[],
  root: string,
  files: number,
): Promise<number[]> {
  const watch = cluster.spawn(args);
  let told = "";
  const reading = (async () => {
    const decoder = new TextDecoder();
    for await (const bytes of watch.stdout) told += decoder.decode(bytes);
  })();
  const client = await TydfsClient.connect({ url: cluster.clientUrl });
  const isThere = async (path: string) => {
    try {
      return (await client.stat(path)).entry.kind === "file";
    } catch (error) {
      if (hasCode(error, "not-found")) return false;
      throw error;
    }
  };
  try {
    await until("the watch is in step", () => told.includes("watching"), 60_000);
    const times: number[] = [];
    for (let n = 0; n < files; n++) {
      const name = `d${n}/new-${n}`;
      times.push(
        await timed(async () => {
          writeFileSync(join(root, name), "new");
          while (!await isThere(`/watched/${name}`)) await Bun.sleep(LOOK_MS);
        }),
      );
    }
    return times;
  } finally {
    await client.close();
    watch.kill("SIGINT");
    await reading;
  }
}

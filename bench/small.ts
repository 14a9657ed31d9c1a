/**
 * Small files: whole commands, process start included, and many single puts and gets through the
 * library.
 */
import { forEachLimited } from "../src/base/limit.ts";
import { TydfsClient } from "../src/client/client.ts";
import { join } from "node:path";
import type { TestCluster } from "../test/cluster/harness.ts";
import type { Figure } from "./figure.ts";
import { median, timed } from "./figure.ts";

const FILES = 2_000;
const CLIENTS = 16;

/**
 * A single put and stat through the binary, and the rate of single puts and gets at 16 clients in
 * one process.
 */
export async function benchSmall(cluster: TestCluster, rounds: number): Promise<Figure[]> {
  const source = cluster.file("small.bin", 4096);
  const puts: number[] = [];
  const stats: number[] = [];
  for (let round = 0; round < 4 * rounds; round++) {
    puts.push(await timed(() => cluster.ok("put", source, `/small/${round}`)));
    stats.push(await timed(() => cluster.ok("stat", `/small/${round}`)));
  }
  const client = await TydfsClient.connect({ url: cluster.clientUrl });
  const numbers = () => Array.from({ length: FILES }, (_, n) => n);
  const putMs = await timed(() =>
    forEachLimited(numbers(), CLIENTS, async (n) => void await client.put(source, `/many/${n}`))
  );
  const getMs = await timed(() =>
    forEachLimited(numbers(), CLIENTS, async (n) => {
      await client.get(`/many/${n}`, join(cluster.dir, `many-${n}`));
    })
  );
  await client.close();
  const most = (value: number) => ({ kind: "most", value }) as const;
  const least = (value: number) => ({ kind: "least", value }) as const;
  return [
    { what: "put of 4 KiB, whole command", value: median(puts), unit: "ms", target: most(150) },
    { what: "stat, whole command", value: median(stats), unit: "ms", target: most(100) },
    {
      what: "single puts of 4 KiB at 16 clients",
      value: FILES / putMs * 1000,
      unit: "files/s",
      target: least(5000),
    },
    {
      what: "single gets of 4 KiB at 16 clients",
      value: FILES / getMs * 1000,
      unit: "files/s",
      target: least(10_000),
    },
  ];
}

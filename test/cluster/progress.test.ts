/** Progress of a put that is longer in one chunk than anybody likes to look at nothing. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { MIB, TestCluster } from "./harness.ts";

let cluster: TestCluster;
beforeAll(async () => {
  // A keeper has all bytes of a chunk, and takes its time with the rest.
  const env = { TYDFS_FAILPOINTS: "keeper.put.written=delay:2500" };
  cluster = await TestCluster.start({ keepers: 2, env });
}, 60_000);
afterAll(() => cluster.stop());

interface Told {
  event: string;
  bytes: number;
  bytesTotal: number;
  filesTotal: number;
}

for (const [name, sizeBytes] of [["one", 20 * MIB], ["several", 80 * MIB]] as const) {
  test(
    `put -r tells of the bytes of a file of ${name} that a keeper has, but not of all`,
    async () => {
      const tree = join(cluster.dir, name);
      mkdirSync(tree);
      cluster.file(`${name}/file`, sizeBytes);
      const lines = (await cluster.ok("put", "-r", "--json", tree, "/trees/")).trim().split("\n");
      const told = lines.map((line) => JSON.parse(line) as Told);
      const during = told.filter(({ event }) => event === "progress").map(({ bytes }) => bytes);
      expect(during).toEqual(during.toSorted((a, b) => a - b));
      // All of them is told only when the keepers have answered.
      expect(during.some((bytes) => bytes > 0.9 * sizeBytes && bytes < sizeBytes)).toBe(true);
      expect(Math.max(...during)).toBeLessThanOrEqual(sizeBytes);
      expect(told.at(-1)).toMatchObject({ event: "summary", bytes: sizeBytes });
    },
    60_000,
  );
}

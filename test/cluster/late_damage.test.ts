/**
 * A large catalog is checked while the master works already. Damage that is found then ends the
 * master, keeps it from starting again, and costs nothing that was acknowledged.
 */
import { Database } from "bun:sqlite";
import { afterEach, expect, test } from "bun:test";
import { closeSync, existsSync, openSync, rmSync, statSync, writeSync } from "node:fs";
import { join } from "node:path";
import { MIB, sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

/** Above what is checked before the start. */
const LARGE_BYTES = 40 * MIB;

const catalogOf = () => join(cluster.masterDir, "catalog.db");
const owed = () => `${catalogOf()}.unchecked`;

/** Makes the catalog large by a table that no part of the master reads. */
function enlarge(): void {
  const database = new Database(catalogOf());
  database.run("CREATE TABLE ballast (bytes BLOB)");
  database.run(`INSERT INTO ballast WITH RECURSIVE n(i) AS (
    SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${LARGE_BYTES / 1000}
  ) SELECT randomblob(1000) FROM n`);
  database.run("PRAGMA wal_checkpoint(TRUNCATE)");
  database.close();
}

/** Damages pages of the ballast, which lie at the end. */
function damage(): void {
  const file = openSync(catalogOf(), "r+");
  const bytes = Buffer.alloc(64 * 1024, 0xa5);
  writeSync(file, bytes, 0, bytes.length, statSync(catalogOf()).size - 8 * MIB);
  closeSync(file);
}

test(
  "damage that is found after the start ends the master, and nothing promised is lost",
  async () => {
    cluster = await TestCluster.start({ keepers: 2 });
    const file = cluster.file("file", 10_000);
    await cluster.ok("put", file, "/before");
    await cluster.untilStatus("the catalog is archived", ({ archive }) => {
      return archive.snapshotCopies >= 2 && archive.archived === archive.sequence;
    });
    const { keeperUrl } = cluster;
    await cluster.killMaster("SIGTERM");
    enlarge();
    damage();

    await cluster.startMaster({ TYDFS_FAILPOINTS: "master.check.before=delay:3000" });
    expect(existsSync(owed())).toBe(true);
    await cluster.ok("put", file, "/meanwhile");
    expect(await cluster.masterEnd()).toBe(7);
    const log = cluster.log("master");
    expect(log).toContain("Cannot go on with the catalog");
    expect(log).toContain("quick_check says");
    expect(log).toContain("tydfs master --recover");

    // Whoever starts it again and again gets no further work out of it.
    const again = await cluster.role(["master", "--data", cluster.masterDir, "--port", "0"]);
    expect(again.exit).toBe(7);
    expect(again.stderr).toContain("Cannot open the catalog");
    expect(again.stderr).toContain("nothing was changed in it");

    rmSync(cluster.masterDir, { recursive: true });
    const recover = ["--recover", "--recover-wait", "2s"];
    await cluster.startMaster({ TYDFS_URL: keeperUrl }, recover);
    await cluster.untilAlive(2);
    for (const path of ["/before", "/meanwhile"]) {
      const copy = join(cluster.dir, `copy${path.slice(1)}`);
      await cluster.ok("get", path, copy);
      expect(await sameBytes(file, copy)).toBe(true);
    }
  },
  60_000,
);

test(
  "a large catalog that is whole is checked once, and a check that was cut off first",
  async () => {
    cluster = await TestCluster.start({ keepers: 1, env: { TYDFS_MIN_COPIES: "1" } });
    await cluster.killMaster("SIGTERM");
    enlarge();
    await cluster.startMaster({ TYDFS_FAILPOINTS: "master.check.before=hang" });
    expect(existsSync(owed())).toBe(true);
    expect(await cluster.killMaster("SIGTERM")).toBe(0);
    expect(cluster.log("master")).not.toContain("must stop");
    expect(existsSync(owed())).toBe(true);

    // The failpoint would hold a check that comes later.
    await cluster.startMaster({ TYDFS_FAILPOINTS: "master.check.before=hang" });
    expect(existsSync(owed())).toBe(false);
    await cluster.killMaster("SIGTERM");

    await cluster.startMaster();
    await until(
      "the catalog is whole",
      () => cluster.log("master").includes("The catalog is whole"),
    );
    expect(existsSync(owed())).toBe(false);
    await cluster.untilAlive(1);
  },
  60_000,
);

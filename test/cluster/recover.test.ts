/**
 * A master whose disk is lost: `master --recover` brings back every acknowledged change from the
 * keepers, with nothing but their URL.
 */
import { afterEach, expect, test } from "bun:test";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { sameBytes, TestCluster, until } from "./harness.ts";

let cluster: TestCluster;
afterEach(() => cluster.stop());

const RECOVER = ["--recover", "--recover-wait", "2s"];

/** Kills the master, wipes its disk, and recovers it from the keepers. */
async function loseMasterDisk(keepers: number): Promise<void> {
  const { keeperUrl, clientUrl } = cluster;
  await cluster.killMaster();
  rmSync(cluster.masterDir, { recursive: true });
  await cluster.startMaster({ TYDFS_URL: keeperUrl }, RECOVER);
  expect(cluster.clientUrl).toBe(clientUrl);
  expect(cluster.keeperUrl).toBe(keeperUrl);
  await cluster.untilAlive(keepers);
}

async function paths(): Promise<string[]> {
  const entries = JSON.parse(await cluster.ok("ls", "-R", "--json", "/")) as { path: string }[];
  return entries.map(({ path }) => path);
}

async function mustHave(path: string, local: string): Promise<void> {
  const copy = join(cluster.dir, "copy");
  rmSync(copy, { force: true });
  await cluster.ok("get", path, copy);
  expect(await sameBytes(local, copy)).toBe(true);
}

function archiveOf(k: number): string[] {
  return readdirSync(join(cluster.keeperDir(k), "archive"));
}

async function untilArchived(): Promise<void> {
  await cluster.untilStatus("the catalog is archived", ({ archive }) => {
    return archive.snapshotCopies >= 2 && archive.archived === archive.sequence;
  });
}

/** Clients that put small files until the end, and what they were acknowledged so far. */
function startLoad() {
  const file = cluster.file("file", 4_096);
  const acknowledged: string[] = [];
  let isOver = false;
  const client = async (who: number) => {
    for (let n = 0; !isOver; n++) {
      const path = `/load/${who}-${n}`;
      const { exit } = await cluster.run(["put", "-q", file, path], { timeoutMs: 30_000 });
      if (exit === 0 && !isOver) acknowledged.push(path);
    }
  };
  const over = Promise.all([0, 1, 2, 3].map(client));
  const end = () => {
    isOver = true;
    return { promised: [...acknowledged], over };
  };
  return { file, acknowledged, end };
}

/** Loses the master's disk under a load; all that was promised must be back, and is returned. */
async function loseAndRecover(end: ReturnType<typeof startLoad>["end"]): Promise<string[]> {
  const { keeperUrl } = cluster;
  await cluster.killMaster();
  const { promised, over } = end();
  rmSync(cluster.masterDir, { recursive: true });
  await cluster.startMaster({ TYDFS_URL: keeperUrl }, RECOVER);
  await over;
  await cluster.untilAlive(3);
  const present = new Set(await paths());
  expect(promised.filter((path) => !present.has(path))).toEqual([]);
  return promised;
}

test("recover brings back everything acknowledged, from snapshot and journal", async () => {
  cluster = await TestCluster.start({
    env: { TYDFS_SNAPSHOT_PERIOD: "1h", TYDFS_TRASH_TTL: "1h" },
  });
  await untilArchived();
  const [small, large, other] = [
    cluster.file("small", 5_000),
    cluster.file("large", 70 * 2 ** 20),
    cluster.file("other", 100_000),
  ];
  await cluster.ok("mkdir", "-p", "/d/e");
  await cluster.ok("put", small, "/d/small");
  await cluster.ok("put", large, "/d/large");
  await cluster.ok("put", other, "/gone");
  await cluster.ok("put", small, "/d/e/old-name");
  await cluster.ok("mv", "/d/e/old-name", "/d/e/new-name");
  await cluster.ok("rm", "/gone");
  await cluster.ok("rule", "add", "/d/**", "--copies", "2");
  await cluster.ok("put", other, "/last");
  const before = await paths();

  await loseMasterDisk(3);

  expect(await paths()).toEqual(before);
  expect(before).toContain("/d/e/new-name");
  expect(before).not.toContain("/gone");
  await mustHave("/d/small", small);
  await mustHave("/d/large", large);
  await mustHave("/d/e/new-name", small);
  await mustHave("/last", other);
  expect(await cluster.ok("rule", "ls")).toContain("/d/**");
  await cluster.ok("put", small, "/after");
  await mustHave("/after", small);
  const log = cluster.log("master");
  expect(log).toContain("Heard 3 keepers: keeper-1, keeper-2, keeper-3");
  expect(log).toContain("The catalog is recovered");
  expect(log).not.toContain("Missing: operations");
  // The new master is a newer one than any before, and archives on.
  await untilArchived();
  const obeyed = () => readFileSync(join(cluster.keeperDir(1), "master-epoch"), "utf8");
  await until("keeper 1 obeys it", () => Number(obeyed().split(" ")[0]) > 1);
}, 120_000);

test(
  "recover survives the loss of a keeper with the journal, and the master's disk twice",
  async () => {
    cluster = await TestCluster.start({ keepers: 4 });
    await untilArchived();
    const file = cluster.file("file", 20_000);
    await cluster.ok("put", file, "/one");
    await cluster.ok("put", file, "/two");
    const journalKeeper =
      [1, 2, 3, 4].find((k) => archiveOf(k).some((name) => name.startsWith("journal-"))) ?? 0;
    await cluster.killMaster();
    await cluster.killKeeper(journalKeeper);
    rmSync(cluster.keeperDir(journalKeeper), { recursive: true });
    await loseMasterDisk(3);
    expect(await paths()).toEqual(["/one", "/two"]);
    expect(cluster.log("master")).toContain(`Not heard: keeper-${journalKeeper}`);
    await mustHave("/two", file);
    await cluster.ok("put", file, "/three");
    await cluster.ok("rm", "/one");
    await loseMasterDisk(3);
    expect(await paths()).toEqual(["/three", "/two"]);
    await mustHave("/three", file);
  },
  120_000,
);

test("recover in the middle of a load: what was acknowledged is there", async () => {
  cluster = await TestCluster.start({
    env: { TYDFS_SNAPSHOT_PERIOD: "2s", TYDFS_TRASH_TTL: "1h" },
  });
  await untilArchived();
  const { file, acknowledged, end } = startLoad();
  await until("files are there", () => acknowledged.length >= 30, 60_000);
  const promised = await loseAndRecover(end);
  await mustHave(promised.at(-1) ?? "", file);
}, 120_000);

test("recover needs no snapshot while the journal goes back to the beginning", async () => {
  cluster = await TestCluster.start({ keepers: 2 });
  const file = cluster.file("file", 10_000);
  await cluster.ok("put", file, "/young");
  await untilArchived();
  await cluster.killMaster();
  for (const k of [1, 2]) {
    for (const name of archiveOf(k)) {
      if (name.startsWith("snapshot-")) rmSync(join(cluster.keeperDir(k), "archive", name));
    }
  }
  await loseMasterDisk(2);
  expect(await paths()).toEqual(["/young"]);
  await mustHave("/young", file);
  expect(cluster.log("master")).toContain(
    "no snapshot, but the journal from the first operation on",
  );
}, 60_000);

test("recover refuses a directory with a catalog, and a dry run changes nothing", async () => {
  cluster = await TestCluster.start({ keepers: 2 });
  await untilArchived();
  const { keeperUrl: url } = cluster;
  const args = ["master", "--data", cluster.masterDir, ...RECOVER, "--url", url];
  await cluster.killMaster();
  const refused = await cluster.role(args);
  expect(refused.exit).toBe(4);
  expect(refused.stderr).toContain("it holds a catalog");
  const none = await cluster.role(["master", "--data", cluster.masterDir, "--recover"]);
  expect(none.exit).toBe(2);
  expect(none.stderr).toContain("the keepers' URL is missing");

  const dryStart = await cluster.role(["master", "--data", cluster.masterDir, "--dry-run"]);
  expect(dryStart.exit).toBe(2);

  const elsewhere = join(cluster.dir, "elsewhere");
  // The killed master's nats-server would be in the way.
  const orphan = Number(readFileSync(join(cluster.masterDir, "nats.pid"), "utf8"));
  process.kill(orphan, "SIGTERM");
  const dry = await cluster.role([
    "master",
    "--data",
    elsewhere,
    ...RECOVER,
    "--dry-run",
    "--url",
    url,
  ]);
  expect(dry.stderr).toContain("Nothing was changed (--dry-run)");
  expect(dry.stderr).toContain("The catalog has 0 files");
  expect(dry.exit).toBe(0);
  expect(existsSync(join(elsewhere, "catalog.db"))).toBe(false);
  expect(existsSync(join(elsewhere, "cluster.key"))).toBe(false);
}, 60_000);

test("a damaged catalog is refused, and the way back is named and works", async () => {
  cluster = await TestCluster.start({ keepers: 2 });
  const file = cluster.file("file", 10_000);
  await cluster.ok("put", file, "/kept");
  await untilArchived();
  const { keeperUrl } = cluster;
  await cluster.killMaster("SIGTERM");
  const catalog = join(cluster.masterDir, "catalog.db");
  const bytes = readFileSync(catalog);
  bytes.fill(0x5a, 4096, 12_288);
  writeFileSync(catalog, bytes);
  const refused = await cluster.role(["master", "--data", cluster.masterDir, "--port", "0"]);
  expect(refused.exit).toBe(7);
  expect(refused.stderr).toContain("quick_check says");
  expect(refused.stderr).toContain("tydfs master --recover");
  rmSync(cluster.masterDir, { recursive: true });
  await cluster.startMaster({ TYDFS_URL: keeperUrl }, RECOVER);
  await cluster.untilAlive(2);
  expect(await paths()).toEqual(["/kept"]);
  await mustHave("/kept", file);
}, 60_000);

test("recover right after a master was killed in mid-load and started again", async () => {
  cluster = await TestCluster.start({ env: { TYDFS_TRASH_TTL: "1h" } });
  await untilArchived();
  const { acknowledged, end } = startLoad();
  for (const goal of [10, 25]) {
    await until("files are there", () => acknowledged.length >= goal, 60_000);
    await cluster.killMaster();
    await cluster.startMaster();
  }
  await until("a few more", () => acknowledged.length >= 28, 60_000);
  await loseAndRecover(end);
  expect(cluster.log("master")).not.toContain("Missing: operations");
}, 180_000);

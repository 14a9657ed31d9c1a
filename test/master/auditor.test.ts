/** The auditor: which files are in danger, and what the disks say against the catalog. */
import { afterEach, expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import { AuditReader } from "../../src/catalog/audit_reader.ts";
import { Auditor } from "../../src/master/auditor.ts";
import { FIRST_CHUNK } from "../../src/master/danger.ts";
import type { FileAtRisk, Finding, FsckPage, RiskPage } from "../../src/wire/audit.ts";
import { auditRisk, fsckCheck } from "../../src/wire/audit.ts";
import { fileCopy, fileRemove } from "../../src/wire/file.ts";
import { codeOf, World } from "./world.ts";

const QUICK = { dead_after: "4s", suspect_after: "2s", repair_delay: "1h", trash_ttl: "1d" };

let world: World;
let auditor: Auditor;
let auditReader: AuditReader;
afterEach(async () => {
  await auditor.stop();
  auditReader.close();
  await world.stop();
});

async function start(keepers: string[], flags: Record<string, string> = {}): Promise<void> {
  world = await World.start({ ...QUICK, ...flags });
  auditReader = new AuditReader(world.catalogPath);
  const { clock, bus, reader, tables } = world;
  auditor = new Auditor({
    ...{ cluster: "main", log: silentLog, journal: world.writer, masterEpoch: 1 },
    ...{ clock, bus, reader, tables, auditReader },
  });
  auditor.start();
  await world.addKeepers(keepers);
}

/** All pages of `audit.risk`. */
async function risks(without: string[] = []): Promise<FileAtRisk[]> {
  const files: FileAtRisk[] = [];
  for (let after: number | undefined = 0; after !== undefined;) {
    const page: RiskPage = await world.ask(auditRisk, { without, after });
    files.push(...page.files);
    after = page.next;
  }
  return files;
}

/** All pages of `fsck.check`. */
async function fsck(repair = false): Promise<{ findings: Finding[]; files: FileAtRisk[] }> {
  const found = { findings: [] as Finding[], files: [] as FileAtRisk[] };
  for (let after: number | undefined = 0; after !== undefined;) {
    const page: FsckPage = await world.ask(fsckCheck, { repair, after });
    found.findings.push(...page.findings);
    found.files.push(...page.files);
    after = page.next;
  }
  return found;
}

const byPath = (files: FileAtRisk[]) =>
  files.map(({ path, danger, copies }) => `${path} ${danger} ${copies}`).sort();

test("risk names nothing while all keepers are there, and each file without them", async () => {
  await start(["a", "b", "c"]);
  await world.put("/d/one");
  await world.putLarge("/d/two", [new Uint8Array(5), new Uint8Array(6)]);
  expect(await risks()).toEqual([]);
  expect(byPath(await risks(["a"]))).toEqual(["/d/one short 2", "/d/two short 2"]);
  expect(byPath(await risks(["a", "b"]))).toEqual(["/d/one endangered 1", "/d/two endangered 1"]);
  const all = await risks(["a", "b", world.keeper("c").id.slice(0, 4)]);
  expect(all.find(({ path }) => path === "/d/two")).toEqual({
    ...{ path: "/d/two", size: 11, danger: "lost", chunks: 2, chunksTotal: 2 },
    ...{ copies: 0, goal: 3, trashed: false },
  });
});

test("risk counts a dead keeper as away, and names files in the trash as such", async () => {
  await start(["a", "b", "c"]);
  await world.put("/kept");
  await world.put("/removed");
  await world.ask(fileRemove, { path: "/removed", recursive: false });
  await world.live(6_000, [world.keeper("b")]);
  const files = await risks();
  expect(byPath(files)).toEqual(["/kept short 2", "/removed short 2"]);
  expect(files.filter(({ trashed }) => trashed).map(({ path }) => path)).toEqual(["/removed"]);
});

test("risk knows no file of an upload under way, and refuses unknown keepers", async () => {
  await start(["a", "b", "c"]);
  await world.store(await world.beginOnly("/gone", new Uint8Array(3)), 2, false);
  expect(await risks(["a", "b", "c"])).toEqual([]);
  expect(await codeOf(risks(["nobody"]))).toBe("not-found");
});

test("risk tells all files of one chunk, however many pages they take", async () => {
  await start(["a", "b", "c"]);
  await world.put("/0");
  for (let n = 1; n < 300; n++) {
    await world.ask(fileCopy, { from: "/0", to: `/${n}`, replace: false, owner: "ann" });
  }
  const files = await risks(["a"]);
  expect(new Set(files.map(({ path }) => path)).size).toBe(300);
  expect(files).toHaveLength(300);
});

test("fsck of a sound cluster finds nothing, and begins with the catalog itself", async () => {
  await start(["a", "b", "c"]);
  await world.put("/f");
  expect(await fsck()).toEqual({ findings: [], files: [] });
  const first = await world.ask(fsckCheck, { repair: false, after: 0 });
  expect(first).toMatchObject({ chunks: 0, chunksTotal: 1 });
  expect(first.next).toBeLessThanOrEqual(FIRST_CHUNK);
});

test("fsck finds missing copies and those of another size; repair corrects the record", async () => {
  await start(["a", "b", "c"]);
  const chunk = await world.put("/f");
  world.keeper("a").chunks.delete(chunk);
  world.keeper("b").chunks.set(chunk, 3);
  const { findings, files } = await fsck();
  expect(findings).toMatchObject([
    { kind: "missing", chunk, keeper: "a", repaired: false },
    { kind: "wrong-size", chunk, keeper: "b", repaired: false },
  ]);
  expect(byPath(files)).toEqual(["/f endangered 1"]);
  expect(world.holders(chunk)).toEqual(["a", "b", "c"]);
  expect((await fsck(true)).findings.every(({ repaired }) => repaired)).toBe(true);
  expect(world.holders(chunk)).toEqual(["c"]);
  expect(world.commands("verify")).toEqual([`b: verify ${chunk}`]);
});

test("fsck leaves alone what it can't ask, and says which keepers those are", async () => {
  await start(["a", "b", "c"]);
  const chunk = await world.put("/f");
  await world.live(6_000, [world.keeper("b")]);
  const { findings, files } = await fsck(true);
  expect(findings).toEqual([
    { kind: "unreachable", keeper: "b", detail: "it is away", copies: 1, repaired: false },
  ]);
  expect(byPath(files)).toEqual(["/f short 2"]);
  expect(world.holders(chunk)).toHaveLength(3);
});

test("fsck tells of chunks that nothing needs, and of those only an inventory knows", async () => {
  await start(["a", "b", "c"]);
  const placement = await world.beginOnly("/gone", new Uint8Array(3));
  await world.store(placement, 2, false);
  const stray = "ab".repeat(16);
  world.keeper("c").chunks.set(stray, 9);
  await world.keeper("c").list();
  const { findings } = await fsck(true);
  const kinds = findings.map(({ kind, chunk }) => `${kind} ${chunk}`);
  expect(kinds).toContain(`orphan ${placement.chunk}`);
  expect(findings.filter(({ chunk }) => chunk === stray)).toMatchObject([{ repaired: false }]);
});

test("fsck passes over a copy whose record goes while it asks", async () => {
  await start(["a", "b", "c"]);
  const chunk = await world.put("/f");
  const keeper = world.keeper("a");
  keeper.chunks.delete(chunk);
  const asked = fsck();
  await keeper.lost([chunk]);
  const { findings } = await asked;
  expect(findings).toEqual([]);
});

/**
 * Recovery on virtual time, from archives in memory: late and silent keepers, snapshots that turn
 * out bad, journals with gaps, and the words for it.
 */
import { afterEach, beforeEach, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import type { Operation } from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { readCatalogFacts, snapshotCatalog } from "../../src/catalog/snapshot.ts";
import { CatalogWriter, type CommittedBatch } from "../../src/catalog/writer.ts";
import { bodyOf, DraftFile } from "../../src/master/archive_files.ts";
import { recoverCatalog, type RecoveryReport } from "../../src/master/recovery.ts";
import { recoveryWords } from "../../src/master/recovery_words.ts";
import { writeSnapshot } from "../../src/master/snapshot_file.ts";
import { UNKNOWN_SCRUB } from "../../src/tables/keeper_table.ts";
import type { JournalPiece } from "../../src/wire/archive.ts";
import { archiveName, commandArchive } from "../../src/wire/archive.ts";
import type { ArchiveTransport } from "../../src/wire/archive_http.ts";
import { call, serve } from "../../src/wire/bus.ts";
import { encode } from "../../src/wire/codec.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { encodeFrame } from "../../src/wire/journal_frame.ts";
import { commandRegister } from "../../src/wire/command.ts";
import { reportJoined } from "../../src/wire/report.ts";
import { roleSecret, sealKey } from "../../src/wire/secrets.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { fileChecksum, sumsOf } from "../../src/wire/sums.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";
import { ManualClock } from "../manual_clock.ts";
import { FakeBus } from "./fake_bus.ts";

const subjects = subjectsOf("main");
const CLUSTER_KEY = "5e".repeat(32);
const KEEPER_SECRET = roleSecret(CLUSTER_KEY, "keeper");
const idOf = (number: number) => String(number).padStart(32, "0");

/** A catalog that is to be lost, and what of it lies on keepers. */
class Disaster {
  readonly directory = mkdtempSync(join(tmpdir(), "recovery-"));
  readonly clock = new ManualClock();
  readonly bus = new FakeBus(this.clock);
  readonly path = join(this.directory, "lost.db");
  readonly target = join(this.directory, "catalog.db");
  readonly batches: CommittedBatch[] = [];
  readonly writer: CatalogWriter;
  /** Files by keeper and name. */
  readonly files: Map<string, Uint8Array>[] = [];
  readonly unreachable = new Set<number>();
  key: string | undefined;

  constructor() {
    this.writer = new CatalogWriter({
      path: this.path,
      log: silentLog,
      onFatal: (error) => {
        throw error;
      },
      ship: (batch) => {
        this.batches.push(batch);
        return undefined;
      },
    });
  }

  async do(...operations: Operation[]): Promise<void> {
    for (const operation of operations) await this.writer.submit(operation as never);
  }

  /** A keeper of the cluster that answers `archive` when it is asked. */
  async keeper(): Promise<number> {
    const number = this.files.length;
    this.files.push(new Map());
    const facts = { host: "k", ports: [7000 + number], slots: 8, labels: {}, name: `k${number}` };
    const keeper = { ...facts, id: idOf(number), epoch: 1, instance: idOf(9) };
    await this.do({ kind: "keeper.join", keeper, atMs: 1 });
    const on = { onFailure: () => {} };
    const subject = subjects.command(idOf(number), commandArchive.name);
    serve(this.bus, subject, commandArchive, on, () => ({
      masterEpoch: 4,
      files: [...this.files[number] ?? []].map(([name, bytes]) => {
        const checksum = name.startsWith("snapshot") ? fileChecksum([sumsOf(bytes)]) : "";
        return { name, sizeBytes: bytes.length, checksum };
      }),
    }));
    return number;
  }

  /** Asks to be taken in, as keepers do until they are answered. */
  announce(number: number): void {
    const again = () => {
      const subject = subjects.report(idOf(number), "joined");
      const facts = { keeper: idOf(number), name: `k${number}`, host: "k", ports: [7000 + number] };
      const more = {
        epoch: 1,
        instance: idOf(9),
        slots: 8,
        labels: {},
        totalBytes: 1,
        freeBytes: 1,
      };
      const request = { ...facts, ...more, protocol: PROTOCOL_VERSION, version: "0" };
      void call(this.bus, subject, reportJoined, request, { timeoutMs: 5_000 }).catch(again);
    };
    again();
  }

  /** Beats, as a keeper does that has lost no connection, and announces itself when it is told. */
  beat(number: number): void {
    const facts = { keeper: idOf(number), epoch: 1, ports: [], totalBytes: 1 };
    const scrub = { ...UNKNOWN_SCRUB };
    const more = { freeBytes: 1, chunks: 0, readOnly: false, leaving: false, aside: 0, scrub };
    const subject = subjects.command(idOf(number), commandRegister.name);
    const on = { onFailure: () => {} };
    serve(this.bus, subject, commandRegister, on, ({ epoch }) => {
      if (epoch === 4) this.announce(number);
      return {};
    });
    const send = () => this.bus.publish(subjects.heartbeat(idOf(number)), encode(beat()));
    let beats = 0;
    const beat = () => ({ ...facts, ...more, beat: ++beats });
    this.clock.every(1_000, send);
  }

  /** Puts a snapshot of now on these keepers. */
  async snapshot(...keepers: number[]): Promise<string> {
    const database = join(this.directory, "snapshot.db");
    const facts = snapshotCatalog(this.path, database);
    const body = bodyOf(database);
    const draft = new DraftFile(join(this.directory, "snapshot.zst"));
    const head = { cluster: "main", key: sealKey(CLUSTER_KEY), sizeBytes: body.size, madeMs: 1e12 };
    await writeSnapshot({ ...facts, ...head, format: 1 }, body, draft);
    draft.close();
    const name = archiveName("snapshot", facts.catalog, facts.sequence);
    const bytes = await bodyOf(draft.path).bytes();
    for (const keeper of keepers) this.files[keeper]?.set(name, bytes);
    return name;
  }

  /** Puts the batches that begin with these operations on a keeper. */
  journal(keeper: number, from: number, to: number): void {
    const catalog = this.writer.catalogId;
    const own = this.batches.filter((batch) => batch.from >= from && batch.to <= to);
    const frames = own.map(({ operations, ...batch }) => {
      const facts = { catalog, epoch: 1, cluster: "main", key: sealKey(CLUSTER_KEY) };
      const piece = { ...facts, ...batch, operations: encode(operations) };
      return encodeFrame(encode(piece satisfies JournalPiece));
    });
    this.files[keeper]?.set(archiveName("journal", catalog, from), Buffer.concat(frames));
  }

  /** Runs while an archive is being read. */
  onGet: (() => Promise<void>) | undefined;

  recover(more: { dryRun?: boolean; secret?: string } = {}): Promise<RecoveryReport> {
    const transport: ArchiveTransport = {
      put: () => Promise.reject(new Error("Recovery stores nothing")),
      get: async ({ port }, { name, firstBytes }) => {
        const bytes = this.files[port - 7000]?.get(name);
        if (bytes === undefined || this.unreachable.has(port - 7000)) {
          throw new TydfsError("unavailable", "Nobody is there");
        }
        await this.onGet?.();
        return (async function* () {
          yield bytes.slice(0, firstBytes);
        })();
      },
    };
    const { clock, bus } = this;
    return this.clock.runUntil(recoverCatalog({
      ...{ clock, bus, transport, log: silentLog, catalogPath: this.target, waitMs: 15_000 },
      url: {
        ...{ role: "keeper", host: "k", port: 4222, cluster: "main" },
        secret: more.secret ?? KEEPER_SECRET,
      },
      dryRun: more.dryRun ?? false,
      keepKey: (key) => void (this.key = key),
      signal: new AbortController().signal,
    }));
  }

  async stop(): Promise<void> {
    await this.writer.close();
    rmSync(this.directory, { recursive: true });
  }
}

function make(path: string): Operation {
  const facts = { parents: false, owner: "ann", mode: 0o755, mtimeMs: 1, atMs: 1e12 };
  return { kind: "dir.make", path, ...facts };
}

let disaster: Disaster;
beforeEach(async () => {
  disaster = new Disaster();
  await disaster.do({ kind: "master.start", atMs: 1 });
});
afterEach(() => disaster.stop());

function directories(): string[] {
  const reader = new CatalogReader(disaster.target);
  try {
    const options = { recursive: true, after: undefined, limit: 100 };
    return reader.list("/", options).entries.map(({ path }) => path);
  } finally {
    reader.close();
  }
}

test("recoverCatalog puts together what several keepers have, each a part", async () => {
  for (let number = 0; number < 3; number++) await disaster.keeper();
  await disaster.do(make("/a"));
  await disaster.snapshot(0, 1);
  await disaster.do(make("/b"), make("/c"), make("/d"));
  disaster.journal(0, 6, 7);
  disaster.journal(2, 7, 8);
  for (const number of [0, 1, 2]) disaster.announce(number);
  const report = await disaster.recover();
  expect(directories()).toEqual(["/a", "/b", "/c", "/d"]);
  expect(disaster.key).toBe(CLUSTER_KEY);
  expect(report).toMatchObject({ heard: ["k0", "k1", "k2"], missing: [], badSnapshots: [] });
  expect(report.rebuilt).toMatchObject({ sequence: 8, applied: 3, problems: [] });
  // Newer than any master that a keeper has obeyed.
  expect(readCatalogFacts(disaster.target)).toMatchObject({ epoch: 4, sequence: 8 });
  expect(recoveryWords(report)).toEqual([
    "Heard 3 keepers: k0, k1, k2",
    "Found a snapshot of 2001-09-09 01:46:40 UTC (operation 5), and 3 operations since then, " +
    "the last one of 2001-09-09 01:46:40 UTC",
    "The catalog has 0 files with 0 B, up to operation 8",
  ]);
  const left = readdirSync(disaster.directory).filter((name) => name.includes("recovering"));
  expect(left).toEqual([]);
});

test("recoverCatalog waits a while for keepers on record, and takes what they bring", async () => {
  for (let number = 0; number < 2; number++) await disaster.keeper();
  await disaster.snapshot(0);
  await disaster.do(make("/late"));
  disaster.journal(1, 4, 4);
  disaster.announce(0);
  disaster.clock.after(40_000, () => disaster.announce(1));
  const report = await disaster.recover();
  expect(directories()).toEqual(["/late"]);
  expect(report).toMatchObject({ heard: ["k0", "k1"], missing: [] });
});

test("recoverCatalog takes what a keeper brings that comes while the catalog is rebuilt", async () => {
  for (let number = 0; number < 2; number++) await disaster.keeper();
  await disaster.snapshot(0);
  await disaster.do(make("/late"));
  disaster.journal(1, 4, 4);
  disaster.announce(0);
  disaster.onGet = async () => {
    disaster.onGet = undefined;
    disaster.announce(1);
    await disaster.clock.sleep(5_000);
  };
  const report = await disaster.recover();
  expect(directories()).toEqual(["/late"]);
  expect(report).toMatchObject({ heard: ["k0", "k1"], missing: [] });
});

test("recoverCatalog names who was not heard, what is missing, and what could not be read", async () => {
  for (let number = 0; number < 4; number++) await disaster.keeper();
  await disaster.do(make("/a"), make("/b"), make("/c"));
  const snapshot = await disaster.snapshot(0);
  const bytes = disaster.files[0]?.get(snapshot);
  if (bytes !== undefined) bytes[bytes.length - 5] = (bytes.at(-5) ?? 0) ^ 1;
  disaster.journal(1, 1, 6);
  disaster.journal(1, 8, 8);
  disaster.journal(2, 7, 7);
  disaster.unreachable.add(2);
  for (const number of [0, 1, 2]) disaster.announce(number);
  const report = await disaster.recover();
  expect(directories()).toEqual(["/a"]);
  const words = recoveryWords(report).join("\n");
  expect(words).toContain("Found no snapshot, but the journal from the first operation on");
  expect(words).toContain("Missing: operations 7 to 7 are on no keeper");
  expect(words).toContain("1 later one can't be used");
  expect(words).toContain("Not heard: k3;");
  expect(words).toContain("Journals could not be read from: k2");
  expect(words).toContain(`Unreadable snapshots: ${snapshot}`);
});

test("recoverCatalog without anything to begin with, or with another secret, says what is lost", async () => {
  await disaster.keeper();
  await disaster.do(make("/a"), make("/b"));
  disaster.journal(0, 3, 4);
  disaster.announce(0);
  await expect(disaster.recover()).rejects.toMatchObject({ code: "lost" });
  await disaster.snapshot(0);
  const foreign = disaster.recover({ secret: "ab".repeat(32) });
  disaster.announce(0);
  await expect(foreign).rejects.toMatchObject({ code: "lost" });
  expect(existsSync(disaster.target)).toBe(false);
  expect(disaster.key).toBeUndefined();
});

test("recoverCatalog in a dry run tells the same, and leaves nothing", async () => {
  await disaster.keeper();
  await disaster.do(make("/a"));
  await disaster.snapshot(0);
  disaster.announce(0);
  const report = await disaster.recover({ dryRun: true });
  expect(report.rebuilt.sequence).toBe(3);
  expect(existsSync(disaster.target)).toBe(false);
  expect(disaster.key).toBeUndefined();
});

test("recoverCatalog is not held up by a keeper that never tells what it has", async () => {
  await disaster.keeper();
  await disaster.do(make("/a"));
  await disaster.snapshot(0);
  disaster.announce(0);
  // It sends, but serves nothing.
  disaster.announce(7);
  expect((await disaster.recover()).heard).toEqual(["k0"]);
});

test("recoverCatalog has keepers introduce themselves that never lost NATS and only beat", async () => {
  for (let number = 0; number < 2; number++) await disaster.keeper();
  await disaster.snapshot(0);
  await disaster.do(make("/a"));
  disaster.journal(1, 4, 4);
  for (const number of [0, 1]) disaster.beat(number);
  expect((await disaster.recover()).heard).toEqual(["k0", "k1"]);
  expect(directories()).toEqual(["/a"]);
});

/**
 * Rebuilding: from any snapshot, or none, and pieces in any order, cut anywhere, often or twice,
 * comes the same catalog, row for row; what does not belong to it is left out, and a gap is told.
 */
import { Database } from "bun:sqlite";
import { afterAll, expect, test } from "bun:test";
import fc from "fast-check";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../../src/base/log.ts";
import type { Operation } from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { leapEpoch, rebuildCatalog, type RebuildPiece } from "../../src/catalog/rebuild.ts";
import { readCatalogFacts, snapshotCatalog } from "../../src/catalog/snapshot.ts";
import { CatalogWriter, chainBytes, type CommittedBatch } from "../../src/catalog/writer.ts";
import { encode } from "../../src/wire/codec.ts";
import { readFiles } from "./pack_lines.ts";
import { fileAt, idOf, sumsFor } from "./world.ts";

const directory = mkdtempSync(join(tmpdir(), "rebuild-"));
afterAll(() => rmSync(directory, { recursive: true }));

/** Rows of all tables. */
function dump(path: string): string {
  const database = new Database(path, { readonly: true });
  try {
    const tables = database.prepare("SELECT name FROM sqlite_master WHERE type = 'table'").values()
      .map(([name]) => String(name)).sort();
    const rows = tables.map((table) => [
      table,
      database.prepare(`SELECT * FROM "${table}"`).values().map((row) =>
        row.map((value) => value instanceof Uint8Array ? value.toHex() : value)
      ),
    ]);
    return JSON.stringify(rows);
  } finally {
    database.close();
  }
}

function put(path: string, label: string, atMs: number): Operation {
  return {
    kind: "chunk.stored",
    chunk: { id: idOf(label), sizeBytes: 10, sums: sumsFor(label, 10), goal: 3 },
    keepers: [idOf("k0")],
    commit: { upload: idOf(`u${label}`), file: fileAt(path) },
    atMs,
  };
}

/** A report of a pack, its files, and their way into the next pack. */
function packOf(n: number, atMs: number): Operation[] {
  const [pack, next] = [`p${n}`, `q${n}`];
  const stored = (label: string): Operation => ({
    kind: "chunk.stored",
    chunk: { id: idOf(label), sizeBytes: 100, sums: sumsFor(label, 100), goal: 3 },
    keepers: [idOf("k0")],
    packed: true,
    atMs,
  });
  // One of them is refused where a file is in the way.
  const files = readFiles(`/p/${n}=10,/a/${n - 1}/x=5,/p/${n}/x=5,/p/${n - 5}=7`);
  const common = { goal: 3, minCopies: 1, atMs };
  const moves = [{ from: idOf(pack), fromOffset: 20, length: 7, toOffset: 0 }];
  return [
    stored(pack),
    { kind: "pack.commit", chunk: idOf(pack), files, ...common },
    stored(next),
    { kind: "pack.move", to: idOf(next), minCopies: 1, moves, atMs },
    { kind: "file.copy", from: `/p/${n}`, to: `/copy/${n}`, replace: true, owner: "ann", atMs },
  ];
}

function keeperNamed(label: string): Operation {
  const facts = { host: "127.0.0.1", ports: [7000], slots: 8, labels: { zone: label } };
  const keeper = { ...facts, id: idOf(label), name: label, epoch: 1, instance: idOf("i") };
  return { kind: "keeper.join", keeper, atMs: 1 };
}

interface History {
  path: string;
  catalog: string;
  operations: Uint8Array[];
  /** The hash before each operation, and the last one. */
  hashes: Uint8Array[];
  /** Snapshots by the operation at which they were made. */
  snapshots: Map<number, string>;
}

let made = 0;

/** A catalog with a history of all sorts of things, and snapshots on the way. */
async function makeHistory(length: number): Promise<History> {
  const root = join(directory, `history-${made++}`);
  const path = `${root}.db`;
  const batches: CommittedBatch[] = [];
  const onFatal = (error: unknown) => {
    throw error;
  };
  const ship = (batch: CommittedBatch) => void batches.push(batch);
  const writer = new CatalogWriter({
    path,
    log: silentLog,
    onFatal,
    ship: (b) => (ship(b), undefined),
  });
  const snapshots = new Map<number, string>();
  const catalog = writer.catalogId;
  await writer.submit({ kind: "master.start", atMs: 1 });
  await writer.submit(keeperNamed("k0") as never);
  for (let n = 0; n < length; n++) {
    const atMs = 1000 + n;
    const turns: Operation[] = [
      put(`/a/${n}`, `c${n}`, atMs),
      { kind: "file.rename", from: `/a/${n - 1}`, to: `/b/${n}`, replace: true, atMs },
      { kind: "file.remove", path: `/b/${n - 1}`, recursive: false, atMs },
      { kind: "rule.add", rule: { pattern: `/r${n}`, require: { a: "b" }, prefer: {} } },
      { kind: "replica.gone", keeper: idOf("k0"), chunks: [idOf(`c${n - 4}`)], atMs },
    ];
    const operation = turns[n % turns.length];
    const packed = n % turns.length === 0 ? packOf(n, atMs) : [];
    for (const one of [...(operation === undefined ? [] : [operation]), ...packed]) {
      // Refused ones are no part of the history.
      await writer.submit(one as never).catch(() => {});
    }
    if (n % 7 !== 3) continue;
    const target = `${root}-${n}.snapshot`;
    snapshots.set(snapshotCatalog(path, target).sequence, target);
  }
  await writer.close();
  const operations = batches.flatMap((batch) => batch.operations);
  const hashes = operations.reduce<Uint8Array[]>(
    (list, bytes) => [...list, chainBytes(list.at(-1) ?? new Uint8Array(32), bytes)],
    [new Uint8Array(32)],
  );
  return { path, catalog, operations, hashes, snapshots };
}

function pieceOf(history: History, from: number, to: number, epoch = 1): RebuildPiece {
  const { catalog, operations, hashes } = history;
  const hashBefore = hashes[from - 1] ?? new Uint8Array(32);
  const bytes = encode(operations.slice(from - 1, to));
  return { catalog, epoch, from, to, hashBefore, operations: bytes } as RebuildPiece;
}

function target(): string {
  return join(directory, `target-${made++}.db`);
}

/** Copies a snapshot, or begins with nothing. */
async function begin(history: History, sequence: number): Promise<string> {
  const path = target();
  const snapshot = history.snapshots.get(sequence);
  if (snapshot !== undefined) await Bun.write(path, Bun.file(snapshot));
  return path;
}

test(
  "rebuildCatalog gives the same rows from any snapshot and any cut of the journal",
  async () => {
    const history = await makeHistory(40);
    const length = history.operations.length;
    const expected = dump(history.path);
    const begins = [0, ...history.snapshots.keys()];
    const cut = fc.tuple(fc.integer({ min: 1, max: length }), fc.integer({ min: 0, max: 9 }));
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...begins),
        fc.array(cut, { maxLength: 12 }),
        fc.infiniteStream(fc.nat()),
        async (sequence, cuts, order) => {
          const path = await begin(history, sequence);
          const pieces = cuts.map(([from, more]) =>
            pieceOf(history, from, Math.min(length, from + more))
          );
          // What makes it whole, in pieces of five.
          for (let from = sequence + 1; from <= length; from += 5) {
            pieces.push(pieceOf(history, from, Math.min(length, from + 4)));
          }
          const shuffled = pieces.map((piece) => ({ piece, key: order.next().value as number }))
            .sort((left, right) => left.key - right.key).map(({ piece }) => piece);
          const report = rebuildCatalog(path, shuffled);
          expect(report).toMatchObject({ sequence: length, foreign: 0, problems: [], epoch: 1 });
          expect(report.applied).toBe(length - sequence);
          expect(report.gap).toBeUndefined();
          expect(dump(path)).toBe(expected);
          expect(readCatalogFacts(path)).toEqual(readCatalogFacts(history.path));
          rmSync(path);
        },
      ),
      { numRuns: 40 },
    );
  },
  30_000,
);

test("rebuildCatalog stops before a gap, and says what lies behind it", async () => {
  const history = await makeHistory(20);
  const path = target();
  const pieces = [pieceOf(history, 9, 12), pieceOf(history, 1, 4), pieceOf(history, 3, 6)];
  const report = rebuildCatalog(path, pieces);
  expect(report).toMatchObject({ sequence: 6, applied: 6, problems: [] });
  expect(report.gap).toEqual({ from: 7, to: 8, lastSeen: 12 });
  expect(readCatalogFacts(path).catalog).toBe(history.catalog);
  expect(report.lastMs).toBeGreaterThanOrEqual(1000);
});

test("rebuildCatalog takes no piece of another history, and the newer master's where they part", async () => {
  const history = await makeHistory(20);
  const other = await makeHistory(24);
  const forged = { ...pieceOf(history, 5, 9), hashBefore: new Uint8Array(32).fill(1) };
  const foreign = pieceOf(other, 1, 12);
  const report = rebuildCatalog(target(), [pieceOf(history, 1, 4), forged, foreign]);
  expect(report).toMatchObject({ sequence: 4, foreign: 1, problems: [] });

  // The same history up to 6; from there an older master went one way, a newer one another.
  const older = { ...pieceOf(history, 7, 12), epoch: 3 };
  const [, , , , , , ...tail] = history.operations;
  const parted = encode([encode({ kind: "master.start", atMs: 9 }), ...tail.slice(0, 1)]);
  const newer = { ...pieceOf(history, 7, 8), epoch: 1003, operations: parted } as RebuildPiece;
  const path = target();
  const both = rebuildCatalog(path, [older, pieceOf(history, 1, 6), newer]);
  expect(both).toMatchObject({ sequence: 8, epoch: 1003, problems: [] });
  expect(readCatalogFacts(path).epoch).toBe(2);
});

test("rebuildCatalog refuses a damaged snapshot by name, and leaves a catalog without pieces", async () => {
  const path = target();
  await Bun.write(path, "This is no database.".repeat(1000));
  expect(() => rebuildCatalog(path, [])).toThrow("file is not a database");
  const history = await makeHistory(5);
  const [sequence = 0] = history.snapshots.keys();
  const snapshot = await begin(history, sequence);
  expect(rebuildCatalog(snapshot, [])).toMatchObject({ sequence, applied: 0, problems: [] });
});

test("leapEpoch makes every later master newer, and never an older one", async () => {
  const history = await makeHistory(3);
  leapEpoch(history.path, 41);
  expect(readCatalogFacts(history.path).epoch).toBe(41);
  leapEpoch(history.path, 7, 90);
  leapEpoch(history.path, 7, 80);
  expect(readCatalogFacts(history.path).epoch).toBe(41);
  const reader = new CatalogReader(history.path);
  expect(reader.givenUpSequence()).toBe(90);
  reader.close();
});

test("snapshotCatalog takes over what an earlier one has left, while the writer goes on", async () => {
  const history = await makeHistory(3);
  const path = target();
  await Bun.write(path, "left over");
  const onFatal = (error: unknown) => {
    throw error;
  };
  const writer = new CatalogWriter({ path: history.path, log: silentLog, onFatal });
  const facts = snapshotCatalog(history.path, path);
  await writer.submit({ kind: "master.start", atMs: 5 });
  expect(facts).toEqual(readCatalogFacts(path));
  expect(facts.sequence).toBe(writer.mark.sequence - 1);
  await writer.close();
  expect(existsSync(`${path}-wal`)).toBe(false);
});

/**
 * The writer: one transaction for many, answers that hold, a history that can be compared, an end
 * that is final.
 */
import { Database } from "bun:sqlite";
import { afterEach, beforeEach, expect, test } from "bun:test";
import { copyFileSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Log, silentLog } from "../../src/base/log.ts";
import { checkCatalog } from "../../src/catalog/check.ts";
import type { Operation } from "../../src/catalog/operation.ts";
import { CatalogReader } from "../../src/catalog/reader.ts";
import { CatalogWriter, type CatalogWriterOptions } from "../../src/catalog/writer.ts";
import { readFiles } from "./pack_lines.ts";
import { fileAt, idOf, sumsFor } from "./world.ts";

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "catalog-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

function openWriter(name: string, options: Partial<CatalogWriterOptions> = {}): CatalogWriter {
  return new CatalogWriter({
    path: join(directory, name),
    log: silentLog,
    onFatal: (error) => {
      throw error;
    },
    ...options,
  });
}

function put(path: string, label: string, exclusive = false): Extract<
  Operation,
  { kind: "chunk.stored" }
> {
  return {
    kind: "chunk.stored",
    chunk: { id: idOf(label), sizeBytes: 10, sums: sumsFor(label, 10), goal: 3 },
    keepers: [idOf("k0")],
    commit: { upload: idOf(`u${label}`), file: fileAt(path, exclusive) },
    atMs: 1000,
  };
}

function packed(label: string): Extract<Operation, { kind: "chunk.stored" }> {
  const chunk = { id: idOf(label), sizeBytes: 100, sums: sumsFor(label, 100), goal: 3 };
  return { kind: "chunk.stored", chunk, keepers: [idOf("k0")], packed: true, atMs: 1000 };
}

function fill(label: string, files: string): Extract<Operation, { kind: "pack.commit" }> {
  const facts = { chunk: idOf(label), goal: 3, minCopies: 0, files: readFiles(files) };
  return { kind: "pack.commit", ...facts, atMs: 1000 };
}

function remove(path: string): Operation {
  return { kind: "file.remove", path, recursive: false, atMs: 2000 };
}

function rowsOf(name: string): string {
  const database = new Database(join(directory, name), { readonly: true });
  try {
    expect(checkCatalog(database)).toEqual([]);
    return dump(database);
  } finally {
    database.close();
  }
}

test("submit answers each of a batch on its own: one that fails does not disturb the others", async () => {
  const writer = openWriter("a.db");
  const results = await Promise.allSettled([
    writer.submit(put("/a", "a")),
    writer.submit(remove("/none")),
    writer.submit(put("/b", "b")),
    writer.submit(put("/a", "c", true)),
    writer.submit(put("/a/b/c", "d")),
    writer.submit(put("/d", "e")),
  ]);
  const told = results.map((result) =>
    result.status === "rejected" ? result.reason.code : result.value
  );
  expect(told).toMatchObject([
    { committed: { path: "/a", version: 1 } },
    "not-found",
    { committed: { path: "/b", version: 2 } },
    "exists",
    "not-directory",
    { committed: { path: "/d", version: 3 } },
  ]);
  expect(writer.mark.sequence).toBe(3);
  await writer.close();
  rowsOf("a.db");
});

test("a failed operation leaves no trace: the same history without it gives the same rows and hash", async () => {
  const history: Operation[] = [];
  for (let round = 0; round < 40; round++) {
    history.push(put(`/d${round % 5}/f${round % 7}`, `c${round}`));
    if (round % 3 === 0) history.push(remove(`/d${round % 4}/f${round % 7}`));
    if (round % 4 === 0) history.push(put(`/d${round % 5}/f${round % 7}/x`, `x${round}`));
    if (round % 9 === 0) {
      history.push({
        kind: "trash.purge",
        beforeMs: 3000 + round,
        limit: 3,
        atMs: 3000 + round,
      });
    }
  }
  const writers = [openWriter("one.db", { batchMax: 1 }), openWriter("all.db")];
  const stood: Operation[] = [];
  for (const writer of writers) {
    const results = await Promise.allSettled(history.map((operation) => writer.submit(operation)));
    stood.splice(0, Infinity, ...history.filter((_, at) => results[at]?.status === "fulfilled"));
  }
  expect(stood.length).toBeLessThan(history.length);
  const replayed = openWriter("replayed.db");
  for (const operation of stood) await replayed.submit(operation);
  writers.push(replayed);
  const marks = writers.map((writer) => writer.mark);
  for (const writer of writers) await writer.close();
  expect(marks).toEqual([marks[0], marks[0], marks[0]] as typeof marks);
  expect(rowsOf("all.db")).toBe(rowsOf("one.db"));
  expect(rowsOf("replayed.db")).toBe(rowsOf("one.db"));
});

test("an operation that fails half-way is undone whole, rows and counters", async () => {
  const writer = openWriter("a.db");
  await writer.submit(put("/a", "a"));
  // An extent that is not the catalog's stands where the next file's goes.
  const vandal = new Database(join(directory, "a.db"));
  vandal.run("INSERT INTO extent VALUES (3, 0, 0, 10, 1, 0)");
  const results = await Promise.allSettled([
    writer.submit(put("/d/b", "b")),
    writer.submit({
      kind: "dir.make",
      path: "/d",
      parents: false,
      owner: "ann",
      mode: 0o755,
      mtimeMs: 1,
      atMs: 1,
    }),
  ]);
  expect(results).toMatchObject([
    { status: "rejected", reason: { code: "internal" } },
    { status: "fulfilled", value: { made: true } },
  ]);
  vandal.run("DELETE FROM extent WHERE inode = 3");
  vandal.close();
  await writer.close();
  rowsOf("a.db");
});

test("the hash tells histories apart that end with the same rows", async () => {
  const left = openWriter("left.db");
  const right = openWriter("right.db");
  for (const writer of [left, right]) await writer.submit({ kind: "master.start", atMs: 1 });
  expect(left.mark).toEqual(right.mark);
  await left.submit({ kind: "upload.abort", upload: idOf("a"), keep: false, atMs: 1 });
  await right.submit({ kind: "upload.abort", upload: idOf("b"), keep: false, atMs: 1 });
  expect(left.mark.sequence).toBe(right.mark.sequence);
  expect(left.mark.hash).not.toBe(right.mark.hash);
  for (const writer of [left, right]) await writer.close();
});

test("what was answered is in the files: a copy made without closing has it", async () => {
  const writer = openWriter("live.db");
  const answered: string[] = [];
  for (let batch = 0; batch < 5; batch++) {
    const puts = Array.from({ length: 20 }, (_, n) => put(`/b${batch}/f${n}`, `c${batch}-${n}`));
    for (const { committed } of await Promise.all(puts.map((one) => writer.submit(one)))) {
      answered.push(committed?.path ?? "");
    }
    const [, { files }] = await Promise.all([
      writer.submit(packed(`p${batch}`)),
      writer.submit(fill(`p${batch}`, `/p${batch}/a=10,/p${batch}/b=5`)),
    ]);
    for (const one of files) answered.push(one.ok ? one.file.path : one.message);
  }
  const mark = writer.mark;
  for (const suffix of ["", "-wal"]) {
    const from = join(directory, `live.db${suffix}`);
    expect(existsSync(from)).toBeTrue();
    copyFileSync(from, join(directory, `copy.db${suffix}`));
  }
  const copy = openWriter("copy.db");
  expect(copy.mark).toEqual(mark);
  const reader = new CatalogReader(join(directory, "copy.db"));
  expect(answered.filter((path) => reader.entry(path) === undefined)).toEqual([]);
  expect(answered).toHaveLength(110);
  expect(reader.sequence()).toBe(110);
  reader.close();
  expect((await copy.submit(put("/more", "more"))).committed?.version).toBe(111);
  await copy.close();
  await writer.close();
  rowsOf("copy.db");
});

test("a writer that is full refuses with busy, and goes on", async () => {
  const writer = openWriter("a.db", { waitingMax: 2 });
  const results = await Promise.allSettled(
    [1, 2, 3].map((n) => writer.submit(put(`/${n}`, `${n}`))),
  );
  expect(results.map(({ status }) => status)).toEqual(["fulfilled", "fulfilled", "rejected"]);
  expect(results[2]).toMatchObject({ reason: { code: "busy" } });
  await writer.submit(put("/3", "3"));
  await writer.close();
});

test("close lets what waits finish, moves the log in, and refuses what comes after", async () => {
  const writer = openWriter("a.db");
  const waiting = writer.submit(put("/a", "a"));
  await Promise.all([writer.close(), writer.close()]);
  expect((await waiting).committed?.version).toBe(1);
  await expect(writer.submit(put("/b", "b"))).rejects.toMatchObject({ code: "unavailable" });
  expect(existsSync(join(directory, "a.db-wal"))).toBeFalse();
});

test("a catalog that can't be written ends the writer: all of the batch are refused, once and for good", async () => {
  const fatal: unknown[] = [];
  const lines: string[] = [];
  const log = new Log("writer", {
    level: "error",
    format: "text",
    nowMs: () => 0,
    write: (line) => lines.push(line),
  });
  const writer = openWriter("a.db", { log, onFatal: (error) => fatal.push(error) });
  await writer.submit(put("/a", "a"));
  // Another hand destroys a table behind the writer's back.
  const vandal = new Database(join(directory, "a.db"));
  vandal.run("DROP TABLE meta");
  vandal.close();
  const results = await Promise.allSettled([
    writer.submit(put("/b", "b")),
    writer.submit(remove("/none")),
  ]);
  expect(results).toMatchObject([{ reason: { code: "internal" } }, {
    reason: { code: "internal" },
  }]);
  expect(fatal).toHaveLength(1);
  expect(lines[0]).toContain("the master must stop");
  await expect(writer.submit(put("/c", "c"))).rejects.toMatchObject({ code: "internal" });
  await writer.close();
  expect(fatal).toHaveLength(1);
});

test("a broken invariant ends the writer", async () => {
  const fatal: unknown[] = [];
  const writer = openWriter("a.db", { onFatal: (error) => fatal.push(error) });
  await writer.submit({
    kind: "keeper.join",
    keeper: {
      id: idOf("k0"),
      name: "k0",
      epoch: 1,
      instance: idOf("i"),
      host: "h",
      ports: [1],
      slots: 1,
      labels: {},
    },
    atMs: 1,
  });
  await writer.submit(put("/a", "a"));
  const vandal = new Database(join(directory, "a.db"));
  vandal.run("DELETE FROM chunk");
  vandal.close();
  const facts = { from: "/a", to: "/b", replace: true, owner: "ann", atMs: 1 };
  await expect(writer.submit({ kind: "file.copy", ...facts })).rejects.toMatchObject({
    code: "internal",
  });
  expect(String(fatal[0])).toContain("a chunk that is shared is in use");
});

/** All rows of all tables, SQLite's own counters included but the random id left out, as text. */
function dump(database: Database): string {
  const tables = database.prepare(
    "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name",
  ).values();
  return tables.map(([table]) => {
    const columns = database.prepare(`PRAGMA table_info(${table})`).values().map(([, name]) =>
      name
    );
    const rows = database.prepare(
      `SELECT ${columns.map((name) => `quote(${name})`).join(", ")} FROM ${table} ORDER BY 1, 2`,
    ).values();
    const told = rows.map((row) => "  " + row.join(" | ")).filter((row) =>
      !row.includes("'catalog' |")
    );
    return `${table}\n${told.join("\n")}`;
  }).join("\n");
}

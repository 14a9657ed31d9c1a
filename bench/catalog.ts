/**
 * The catalog alone: how its operations and reads cost as it grows to a million files, and the
 * memory of it.
 */
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silentLog } from "../src/base/log.ts";
import { seededRandom } from "../src/base/random.ts";
import type { Operation } from "../src/catalog/operation.ts";
import { CatalogReader } from "../src/catalog/reader.ts";
import { CatalogWriter } from "../src/catalog/writer.ts";
import { makeId } from "../src/wire/ids.ts";
import type { Figure } from "./figure.ts";
import { median, timed } from "./figure.ts";

const DIRECTORY_FILES = 1000;
const STEP = 10_000;

/**
 * Fills a catalog with `files` files of one chunk and three replicas, and compares its first steps
 * with its last.
 */
export async function benchCatalog(files: number): Promise<Figure[]> {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-bench-"));
  const path = join(directory, "catalog.db");
  const writer = new CatalogWriter({
    path,
    log: silentLog,
    onFatal: (error) => {
      throw error;
    },
  });
  const random = seededRandom(1);
  const keepers = [0, 1, 2].map(() => makeId(random));
  for (const [n, id] of keepers.entries()) {
    await writer.submit({ kind: "keeper.join", keeper: keeperFacts(id, n), atMs: 0 });
  }
  const commits: number[] = [];
  const lists: number[] = [];
  for (let first = 0; first < files; first += STEP) {
    const operations = Array.from(
      { length: STEP },
      (_, n) => storedOperation(first + n, keepers, makeId(random), makeId(random)),
    );
    const ms = await timed(() => Promise.all(operations.map((each) => writer.submit(each))));
    commits.push(STEP / ms * 1000);
    const reader = new CatalogReader(path);
    reader.list(`/d${first / DIRECTORY_FILES}`, { recursive: false, after: undefined, limit: 1 });
    lists.push(median(
      await Promise.all(Array.from({ length: 15 }, (_, n) =>
        timed(() => {
          const page = reader.list(`/d${first / DIRECTORY_FILES + n % 10}`, {
            recursive: false,
            after: undefined,
            limit: DIRECTORY_FILES,
          });
          if (page.entries.length !== DIRECTORY_FILES) throw new Error("a listing is short");
        }))),
    ));
    reader.close();
  }
  await writer.close();
  const bytes = statSync(path).size;
  rmSync(directory, { recursive: true });
  const firstRate = median(commits.slice(0, 3));
  const lastRate = median(commits.slice(-3));
  const label = `${files.toLocaleString("en")} files`;
  return [
    row(`ls of 1,000 entries out of ${label}, in the tracker`, lists.at(-1) ?? NaN, "ms", 10),
    row(`cost of a commit, from 10,000 to ${label}`, firstRate / lastRate, "×", 1.5),
    row(`cost of ls, from 10,000 to ${label}`, (lists.at(-1) ?? NaN) / (lists[0] ?? NaN), "×", 1.5),
    row(`catalog bytes a file (3 replicas), ${label}`, bytes / files, "B", 1000),
    {
      what: "commits of small files in the catalog",
      value: lastRate,
      unit: "files/s",
      target: { kind: "least", value: 5000 },
    },
  ];
}

function row(what: string, value: number, unit: string, most: number): Figure {
  return { what, value, unit, target: { kind: "most", value: most } };
}

function keeperFacts(id: string, n: number): Extract<Operation, { kind: "keeper.join" }>["keeper"] {
  return {
    id,
    name: `keeper-${n}`,
    epoch: 1,
    instance: id,
    host: "127.0.0.1",
    ports: [7000],
    slots: 8,
    labels: {},
  };
}

function storedOperation(
  n: number,
  keepers: string[],
  chunk: string,
  upload: string,
): Extract<Operation, { kind: "chunk.stored" }> {
  const path = `/d${Math.floor(n / DIRECTORY_FILES)}/file-${n % DIRECTORY_FILES}.bin`;
  const file = { path, mode: 0o644, mtimeMs: n, owner: "bench", exclusive: false };
  return {
    kind: "chunk.stored",
    chunk: { id: chunk, sizeBytes: 4096, sums: new Uint8Array(8), goal: 3 },
    keepers,
    commit: { upload, file },
    atMs: n,
  };
}

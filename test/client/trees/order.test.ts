/** The order of a local walk is that of the real catalog, for whatever names: a merge lives by it. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import fc from "fast-check";
import type { CatalogReader } from "../../../src/catalog/reader.ts";
import { TAKE_ALL } from "../../../src/client/trees/filter.ts";
import { localTree } from "../../../src/client/trees/sync_sides.ts";
import type { TreeEntry } from "../../../src/client/trees/merge.ts";
import { mergeTrees } from "../../../src/client/trees/merge.ts";
import { fileChecksum } from "../../../src/wire/sums.ts";
import { fileAt, idOf, World } from "../../catalog/world.ts";
import { scratchDirectory } from "../scratch.ts";

// What sorts around the slash, composed and decomposed letters, the ends of UTF-8 and of UTF-16.
const letters = ["a", "b", "!", "-", ".", "0", " ", "~", "\\", "\n", "\x7f", "%2f", "ä", "a\u0308"];
const others = ["\uFB01", "\uFFFD", "\uE000", "\u{10FFFF}", "\u{1F600}", "日"];
const name = fc.array(fc.constantFrom(...letters, ...others), { minLength: 1, maxLength: 4 })
  .map((parts) => parts.join(""))
  .filter((name) => name !== "." && name !== "..");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));

function plant(root: string, world: World, paths: readonly string[]): void {
  mkdirSync(root);
  for (const path of paths) {
    try {
      mkdirSync(dirname(`${root}/${path}`), { recursive: true });
      writeFileSync(`${root}/${path}`, "");
    } catch {
      // A file is above it, or a directory is there.
      continue;
    }
    const upload = idOf(`${world.sequence}`);
    const terms = { goal: 1, minCopies: 1, atMs: world.nowMs };
    world.apply({ kind: "upload.begin", upload, file: fileAt(`/${path}`), ...terms });
    const whole = { sizeBytes: 0, chunks: 0, checksum: fileChecksum([]), atMs: world.nowMs };
    world.apply({ kind: "upload.commit", upload, ...whole });
  }
}

async function* catalogTree(reader: CatalogReader, limit: number): AsyncGenerator<TreeEntry> {
  let after: string | undefined;
  for (;;) {
    const { entries, next } = reader.list("/", { recursive: true, after, limit });
    for (const { path, kind, size: sizeBytes, mtimeMs, mode } of entries) {
      yield { path: path.slice(1), kind, sizeBytes, mtimeMs, mode };
    }
    if (next === undefined) return;
    after = next;
  }
}

test("a local tree and the same tree in the catalog merge without a difference", async () => {
  const { signal } = new AbortController();
  const onTrouble = (error: unknown) => {
    throw error;
  };
  const paths = fc.uniqueArray(path, { maxLength: 25 });
  await fc.assert(
    fc.asyncProperty(paths, fc.integer({ min: 1, max: 5 }), async (paths, limit) => {
      using scratch = scratchDirectory();
      using world = new World();
      const root = scratch.path("tree");
      plant(root, world, paths);
      const local = localTree(root, { filter: TAKE_ALL, links: "keep", signal, onTrouble });
      const kinds = new Set<string>();
      for await (const { kind } of mergeTrees(local, catalogTree(world.reader, limit))) {
        kinds.add(kind);
      }
      expect([...kinds].filter((kind) => kind !== "both")).toEqual([]);
    }),
    { numRuns: Number(process.env["ORDER_RUNS"] ?? 60) },
  );
}, 600_000);

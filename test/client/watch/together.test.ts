/** What is sent together: nobody may wait for one who waits for him. */
import { expect, test } from "bun:test";
import type { SmallFile } from "../../../src/client/packs/small_file.ts";
import type { PutResult } from "../../../src/client/api.ts";
import type { LocalEntry } from "../../../src/client/trees/local_tree.ts";
import { acceptSmall, Together } from "../../../src/client/watch/together.ts";

function seen(path: string, facts: Partial<LocalEntry> = {}) {
  const entry = { path, local: path, kind: "file", sizeBytes: 1, mtimeMs: 1, mode: 0o644 };
  return { path, seen: { ...entry, inode: 1n, device: 1n, ...facts } as LocalEntry };
}

test("acceptSmall refuses what lies below another that it has accepted", () => {
  const accept = acceptSmall();
  expect(accept(seen("a/b"))).toBe(true);
  expect(accept(seen("a/bc"))).toBe(true);
  // Of the two one was seen before the other took its name.
  expect(accept(seen("a/b/c"))).toBe(false);
  expect(accept(seen("a/b/c/d", { kind: "link" }))).toBe(false);
  expect(accept(seen("d", { kind: "directory" }))).toBe(false);
  expect(accept({ path: "e", seen: undefined })).toBe(false);
});

test("who leaves is not waited for, and each hears what has become of its own file", async () => {
  const sent: string[][] = [];
  const result = (path: string) => ({ path }) as PutResult;
  const client = {
    putPacked: (files: readonly SmallFile[]) => {
      sent.push(files.map(({ path }) => path));
      return Promise.resolve(files.map(({ path }) => path === "/b" ? undefined : result(path)));
    },
  };
  const signal = new AbortController().signal;
  const together = new Together(client, 3, { signal, transfers: 1 });
  const [a, b, c] = [together.member(), together.member(), together.member()];
  const file = (path: string): SmallFile => ({ path, local: path, sizeBytes: 1, mtimeMs: 1 });
  const alone = (path: string) => () => Promise.resolve(result(`${path} alone`));
  const ends = [a.send(file("/a"), alone("/a")), b.send(file("/b"), alone("/b"))];
  expect(sent).toEqual([]);
  c.leave();
  c.leave();
  expect((await Promise.all(ends)).map(({ path }) => path)).toEqual(["/a", "/b alone"]);
  expect(sent).toEqual([["/a", "/b"]]);
  expect((await a.send(file("/a"), alone("/a"))).path).toBe("/a alone");
});

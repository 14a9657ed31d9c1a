/** Walks of real trees: order, depth, width, links, loops, and what can't be taken. */
import { expect, test } from "bun:test";
import {
  chmodSync,
  mkdirSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import type { TreeFilter } from "../../../src/client/trees/filter.ts";
import { makeFilter, TAKE_ALL } from "../../../src/client/trees/filter.ts";
import type { LocalEntry, WalkOptions } from "../../../src/client/trees/local_tree.ts";
import { walkTree } from "../../../src/client/trees/local_tree.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { scratchDirectory } from "../scratch.ts";

interface Walked {
  entries: LocalEntry[];
  paths: string[];
  troubles: TydfsError[];
}

/** Makes files (and directories, for names with a slash at the end) below a scratch directory. */
function plant(root: string, names: string[]): void {
  for (const name of names) {
    mkdirSync(name.endsWith("/") ? `${root}/${name}` : dirname(`${root}/${name}`), {
      recursive: true,
    });
    if (!name.endsWith("/")) writeFileSync(`${root}/${name}`, name);
  }
}

async function walk(
  root: string,
  links: WalkOptions["links"] = "keep",
  filter: TreeFilter = TAKE_ALL,
): Promise<Walked> {
  const troubles: TydfsError[] = [];
  const entries: LocalEntry[] = [];
  const { signal } = new AbortController();
  const onTrouble = (error: TydfsError) => void troubles.push(error);
  for await (const entry of walkTree(root, { filter, links, signal, onTrouble })) {
    entries.push(entry);
  }
  return { entries, paths: entries.map(({ path }) => path), troubles };
}

test("walkTree goes depth first in byte order, a directory as name/ and before what is in it", async () => {
  using scratch = scratchDirectory();
  const names = ["b", "a/z", "a/b/c", "a!", "a.txt", "a0", "B", "ü", "日本", "\u{1F600}", "\uFB01"];
  plant(scratch.path("."), [...names, "a-/x", "empty/", ".dot"]);
  const { paths } = await walk(scratch.path("."));
  const key = (path: string) => {
    const directory = statSync(scratch.path(path)).isDirectory();
    return Buffer.from(directory ? `${path}/` : path);
  };
  const sorted = paths.slice(1).sort((left, right) => Buffer.compare(key(left), key(right)));
  expect(paths).toEqual(["", ...sorted]);
  expect(paths.slice(1, 8)).toEqual([".dot", "B", "a!", "a-", "a-/x", "a.txt", "a"]);
  expect(paths).toHaveLength(18);
});

test("walkTree tells size, time, mode and place of each entry", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["d/f"]);
  chmodSync(scratch.path("d/f"), 0o640);
  utimesSync(scratch.path("d/f"), 1_600_000_000.5, 1_600_000_000.5);
  const { entries } = await walk(scratch.path("."));
  const { ino } = statSync(scratch.path("d/f"), { bigint: true });
  expect(entries.at(-1)).toMatchObject({
    path: "d/f",
    local: scratch.path("d/f"),
    kind: "file",
    sizeBytes: 3,
    mtimeMs: 1_600_000_000_500,
    mode: 0o640,
    inode: ino,
  });
  expect(entries.map(({ kind }) => kind)).toEqual(["directory", "directory", "file"]);
});

test("walkTree yields a root that is a file, and follows one that is a link", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["d/f"]);
  symlinkSync("d", scratch.path("link"));
  expect((await walk(scratch.path("d/f"))).entries).toMatchObject([{ path: "", kind: "file" }]);
  expect((await walk(scratch.path("link"))).paths).toEqual(["", "f"]);
});

test("walkTree throws when its root is missing", async () => {
  using scratch = scratchDirectory();
  const error = await walk(scratch.path("none")).catch((error) => error);
  expect(error).toMatchObject({ code: "local" });
  expect(error.message).toContain("there is no such file");
});

test("walkTree takes 10,000 entries in one directory, and 40 levels", async () => {
  using scratch = scratchDirectory();
  const wide = Array.from({ length: 10_000 }, (_, index) => `wide/${index}`);
  const deep = Array.from({ length: 40 }, (_, index) => `level-${index}`).join("/");
  plant(scratch.path("."), [...wide, `${deep}/end`]);
  const { paths, troubles } = await walk(scratch.path("."));
  expect(paths).toHaveLength(10_000 + 1 + 40 + 1 + 1);
  expect(paths).toContain(`${deep}/end`);
  expect(troubles).toEqual([]);
});

test("walkTree keeps links with their targets, skips them, or follows them", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["d/f", "g"]);
  symlinkSync("../g", scratch.path("d/to-g"));
  symlinkSync("d", scratch.path("to-d"));
  const kept = await walk(scratch.path("."), "keep");
  expect(kept.paths).toEqual(["", "d", "d/f", "d/to-g", "g", "to-d"]);
  expect(kept.entries.filter(({ kind }) => kind === "link").map(({ target }) => target))
    .toEqual(["../g", "d"]);
  expect((await walk(scratch.path("."), "skip")).paths).toEqual(["", "d", "d/f", "g"]);
  const followed = await walk(scratch.path("."), "follow");
  expect(followed.paths).toEqual([
    ...["", "d", "d/f", "d/to-g", "g", "to-d", "to-d/f", "to-d/to-g"],
  ]);
  expect(followed.entries.every(({ kind }) => kind !== "link")).toBe(true);
});

test("walkTree tells of loops and of links that lead nowhere, and goes on", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["a/b/f", "z"]);
  symlinkSync("../..", scratch.path("a/b/up"));
  symlinkSync("nowhere", scratch.path("dangling"));
  symlinkSync("self", scratch.path("self"));
  const { paths, troubles } = await walk(scratch.path("."), "follow");
  expect(paths).toEqual(["", "a", "a/b", "a/b/f", "z"]);
  const messages = troubles.map(({ message }) => message).join("\n");
  expect(troubles).toHaveLength(3);
  for (const words of ["it leads back to", "leads nowhere", "go in a circle"]) {
    expect(messages).toContain(words);
  }
  expect((await walk(scratch.path("."), "keep")).troubles).toEqual([]);
});

test("walkTree tells of names that are not UTF-8, and of what is no file", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["good"]);
  writeFileSync(Buffer.concat([Buffer.from(scratch.path("bad")), Buffer.from([0xff])]), "x");
  expect(Bun.spawnSync(["mkfifo", scratch.path("pipe")]).exitCode).toBe(0);
  const { paths, troubles } = await walk(scratch.path("."));
  expect(paths).toEqual(["", "good"]);
  expect(troubles.map(({ message }) => message.replace(/".*"/, "X")).sort()).toEqual([
    "Cannot take X: its name is not UTF-8; rename it",
    "Left out X: it is a named pipe, not a file",
  ]);
  expect(troubles.map(({ data }) => data["skipped"] === true).sort()).toEqual([false, true]);
});

test("walkTree tells of a directory that goes away before it is read", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["a/f", "z"]);
  const troubles: TydfsError[] = [];
  const { signal } = new AbortController();
  const onTrouble = (error: TydfsError) => void troubles.push(error);
  const paths: string[] = [];
  const options = { filter: TAKE_ALL, links: "keep", signal, onTrouble } as const;
  for await (const { path } of walkTree(scratch.path("."), options)) {
    paths.push(path);
    if (path === "a") rmSync(scratch.path("a"), { recursive: true });
  }
  expect(paths).toEqual(["", "a", "z"]);
  expect(troubles).toMatchObject([{ code: "local" }]);
});

test("walkTree never goes out of order, also when a file becomes a directory meanwhile", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["a", "a!", "b/x", "b-"]);
  const filter = {
    ...TAKE_ALL,
    takesFile(path: string) {
      if (path === "a" && statSync(scratch.path("a")).isFile()) {
        rmSync(scratch.path("a"));
        mkdirSync(scratch.path("a"));
      } else if (path === "b" && statSync(scratch.path("b")).isDirectory()) {
        rmSync(scratch.path("b"), { recursive: true });
        writeFileSync(scratch.path("b"), "");
      }
      return true;
    },
  };
  const { paths, troubles } = await walk(scratch.path("."), "keep", filter);
  expect(paths).toEqual(["", "a!", "b-"]);
  expect(troubles.map(({ message }) => message)).toEqual([
    expect.stringContaining('/a": it changed while its directory was read'),
    expect.stringContaining('/b": it changed while its directory was read'),
  ]);
});

test("walkTree takes link/.. for what the system takes it for", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["far/in/", "far/x"]);
  writeFileSync(scratch.path("x"), "another file");
  symlinkSync("far/in", scratch.path("link"));
  const root = `${scratch.path("link")}/..`;
  const { entries } = await walk(root);
  expect(entries.map(({ path, local, sizeBytes }) => [path, local, sizeBytes]).at(-1))
    .toEqual(["x", `${root}/x`, "far/x".length]);
});

test("walkTree leaves out what the filter leaves out, and does not look into it", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["a/b.mp4", "a/c.txt", "tmp/d.mp4", "empty/"]);
  const noTmp = makeFilter([{ kind: "exclude", pattern: "tmp/" }]);
  expect((await walk(scratch.path("."), "keep", noTmp)).paths)
    .toEqual(["", "a", "a/b.mp4", "a/c.txt", "empty"]);
  const videos = makeFilter([{ kind: "include", pattern: "*.mp4" }]);
  expect((await walk(scratch.path("."), "keep", videos)).paths)
    .toEqual(["", "a", "a/b.mp4", "tmp", "tmp/d.mp4"]);
});

test("walkTree stops when its signal aborts", async () => {
  using scratch = scratchDirectory();
  plant(scratch.path("."), ["a", "b"]);
  const stop = new AbortController();
  const options = { filter: TAKE_ALL, links: "keep", onTrouble: () => {} } as const;
  const walked = walkTree(scratch.path("."), { ...options, signal: stop.signal });
  await walked.next();
  stop.abort(new TydfsError("interrupted", "Interrupted"));
  await expect(walked.next()).rejects.toMatchObject({ code: "interrupted" });
});

/**
 * What readers are told: facts of paths, pinned versions, pages, and the lists that repair works
 * from.
 */
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import type { CatalogReader } from "../../src/catalog/reader.ts";
import { idOf, sumsFor, World } from "./world.ts";

function paths(reader: CatalogReader, path: string, recursive: boolean, limit: number): string[] {
  const told: string[] = [];
  let after: string | undefined;
  do {
    const page = reader.list(path, { recursive, after, limit });
    expect(page.entries.length).toBeLessThanOrEqual(limit);
    told.push(...page.entries.map((entry) => entry.path));
    after = page.next;
  } while (after !== undefined);
  return told;
}

describe("entry and locate", () => {
  test("entry tells the facts of a file, a directory and the root", () => {
    using world = new World();
    world.joinKeepers(2);
    world.do("put /d/f x");
    const { reader } = world;
    expect(reader.entry("/d/f")).toEqual({
      inode: 2,
      kind: "file",
      size: 10,
      version: 3,
      mtimeMs: 7,
      mode: 0o644,
      owner: "ann",
      checksum: expect.stringMatching(/^[0-9a-f]{16}$/),
      goal: 3,
      updating: false,
    });
    expect(reader.entry("/d")).toMatchObject({ kind: "directory", size: 0, version: 3 });
    expect(reader.entry("/")).toMatchObject({ inode: 1, kind: "directory", version: 0 });
    expect(reader.entry("/none")).toBeUndefined();
    expect(reader.entry("/d/f/x")).toBeUndefined();
    expect(() => reader.getEntry("/none"))
      .toThrow('Cannot find "/none": no such file or directory');
    expect(() => reader.getEntry("/d/f/x")).toThrow('Cannot find "/d/f/x": "/d/f" is a file');
  });

  test("a file is updating while an upload to it is under way", () => {
    using world = new World();
    world.joinKeepers(2);
    world.do("put /d/f");
    world.do("put /d/g");
    world.do("begin u /d/f");
    const updating = () =>
      world.reader.list("/d", { recursive: false, after: undefined, limit: 9 }).entries
        .filter((entry) => entry.updating).map((entry) => entry.path);
    expect(updating()).toEqual(["/d/f"]);
    expect(world.reader.getEntry("/d/f").updating).toBeTrue();
    world.do("abort u");
    expect(updating()).toEqual([]);
    expect(world.reader.getEntry("/d/f").updating).toBeFalse();
  });

  test("locate pages through extents, and a pinned version stays readable until it is purged", () => {
    using world = new World();
    world.joinKeepers(3);
    const { reader } = world;
    world.do("begin u /f");
    for (const [seq, label] of ["x", "y", "z"].entries()) {
      world.do(`place u ${seq} ${seq * 10} ${label} 10 k2,k0`);
    }
    world.do("commit u x=10,y=10,z=10");
    const first = reader.locate("/f", undefined, 0, 2);
    expect(first).toMatchObject({ size: 30, version: 8, more: true });
    expect(first.extents[1]).toEqual({
      seq: 1,
      offset: 10,
      length: 10,
      chunk: idOf("y"),
      chunkOffset: 0,
      chunkBytes: 10,
      sums: sumsFor("y", 10),
      keepers: [0, 2],
    });
    world.do("put /f");
    expect(reader.locate("/f", undefined, 0, 2).extents).toHaveLength(1);
    const rest = reader.locate("/f", first.inode, 2, 2);
    expect(rest.extents.map(({ chunk }) => chunk)).toEqual([idOf("z")]);
    expect(rest.more).toBeFalse();
    world.do("purge 10");
    // Something is at the path: whoever reads it must not hear that there is nothing.
    expect(() => reader.locate("/f", first.inode, 0, 2)).toThrow(
      expect.objectContaining({
        code: "changed",
        message: 'Cannot read "/f": this version of it was removed',
      }),
    );
    expect(() => reader.locate("/", undefined, 0, 2)).toThrow('Cannot read "/": it is a directory');
    expect(() => reader.locate("/f/x", undefined, 0, 2)).toThrow('"/f" is a file');
  });
});

describe("list", () => {
  // Few names, so that files and directories of one name, and names around "/", meet.
  const name = fc.constantFrom("a", "a-", "a.", "a0", "b", "é");
  const tree = fc.uniqueArray(
    fc.array(name, { minLength: 1, maxLength: 4 }).map((parts) => "/" + parts.join("/")),
    { maxLength: 30 },
  );

  function plant(world: World, files: string[]): string[] {
    world.joinKeepers(1);
    for (const path of files) world.do(`put ${path}`);
    return paths(world.reader, "/", true, 1000);
  }

  test("any page size gives the same entries, flat and recursive", () => {
    fc.assert(
      fc.property(tree, fc.integer({ min: 1, max: 9 }), (files, limit) => {
        using world = new World();
        const all = plant(world, files);
        expect(paths(world.reader, "/", true, limit)).toEqual(all);
        for (const top of ["/", "/a", "/a/a"]) {
          const entry = world.reader.entry(top);
          if (entry?.kind !== "directory") continue;
          const prefix = top === "/" ? "/" : top + "/";
          const below = all.filter((path) => path.startsWith(prefix));
          const direct = below.filter((path) => !path.slice(prefix.length).includes("/"));
          expect(paths(world.reader, top, true, limit)).toEqual(below);
          expect(paths(world.reader, top, false, limit)).toEqual(direct);
        }
      }),
      { numRuns: 60 },
    );
  });

  test("what comes and goes between pages neither repeats nor hides what stays", () => {
    const changes = fc.array(fc.tuple(fc.boolean(), tree), { maxLength: 20 });
    fc.assert(
      fc.property(tree, changes, fc.integer({ min: 1, max: 4 }), (files, plan, limit) => {
        using world = new World();
        const before = new Set(plant(world, files));
        const ever = new Set(before);
        const told: string[] = [];
        let after: string | undefined;
        for (let page = 0;; page++) {
          const { entries, next } = world.reader.list("/", { recursive: true, after, limit });
          told.push(...entries.map((entry) => entry.path));
          after = next;
          if (after === undefined) break;
          const [removal, [path = "/a"] = []] = plan[page] ?? [false, []];
          if (page >= plan.length) continue;
          world.do(removal ? `rm -r ${path}` : `put ${path}`);
          const now = new Set(paths(world.reader, "/", true, 1000));
          for (const one of [...before]) if (!now.has(one)) before.delete(one);
          for (const one of now) ever.add(one);
        }
        expect(told.filter((path) => !ever.has(path))).toEqual([]);
        expect([...before].filter((path) => !told.includes(path))).toEqual([]);
        // A name can come twice only when it was a file and became a directory, or the reverse.
        const twice = told.filter((path, at) => told.indexOf(path) !== at);
        expect(twice.filter((path) => before.has(path) && !wasReplaced(path, plan))).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  function wasReplaced(path: string, plan: [boolean, string[]][]): boolean {
    return plan.some(([, [changed = ""]]) => path.startsWith(changed) || changed.startsWith(path));
  }

  test("a file lists as itself, an empty directory as nothing, a foreign cursor not at all", () => {
    using world = new World();
    world.joinKeepers(1);
    world.do("put /a/f");
    world.do("mkdir /e");
    expect(paths(world.reader, "/a/f", true, 5)).toEqual(["/a/f"]);
    expect(paths(world.reader, "/e", true, 5)).toEqual([]);
    const list = (after: string) => () =>
      world.reader.list("/a", { recursive: true, after, limit: 5 });
    for (const after of ["/b/x", "", "/a/", "x"]) {
      expect(list(after)).toThrow("the cursor is of another list");
    }
    expect(list("/a/zzz/y")()).toEqual({ entries: [], next: undefined });
  });

  test("a page of 1,000 of 100,000 files comes in a few ms, wherever it starts", () => {
    using world = new World();
    world.database.run("BEGIN");
    world.database.run("INSERT INTO inode VALUES (2, 'directory', 0, 0, 0, 0, '', '', 0, 0, 0, 0)");
    world.database.run("INSERT INTO dentry VALUES (1, 'd/', 2)");
    world.database.run(`INSERT INTO inode WITH RECURSIVE n(i) AS (
      SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 100009)
      SELECT i, 'file', 0, 0, 0, 0, '', '', 0, 0, 0, 0 FROM n`);
    world.database.run(`INSERT INTO dentry SELECT 2, printf('f%06d', id), id FROM inode
      WHERE kind = 'file'`);
    world.database.run("COMMIT");
    const times = [undefined, "/d/f050000", "/d/f090000"].map((after) => {
      const start = performance.now();
      const page = world.reader.list("/", { recursive: true, after, limit: 1000 });
      expect(page.entries).toHaveLength(1000);
      return performance.now() - start;
    });
    // Many times what it takes on an idle machine; a scan of the directory takes longer.
    expect(Math.min(...times)).toBeLessThan(25);
  });
});

describe("lists for repair", () => {
  test("short, surplus, orphaned and held chunks come by pages", () => {
    using world = new World();
    world.joinKeepers(5);
    const { reader } = world;
    for (let n = 0; n < 5; n++) world.do(`put /f${n} c${n}`);
    world.do("stored c1 10 k2");
    world.do("stored c2 10 k2,k3");
    world.do("stored s1 10 k4");
    world.do("stored s2 10 k0,k4");
    const ids = (chunks: { id: string }[]) =>
      chunks.map(({ id }) => Buffer.from(id.replace(/(00)+$/, ""), "hex").toString());

    expect(ids(reader.shortChunks(0, 2))).toEqual(["c0", "c3"]);
    expect(ids(reader.shortChunks(reader.shortChunks(0, 2)[1]?.no ?? 0, 9))).toEqual(["c4"]);
    expect(ids(reader.surplusChunks(0, 9))).toEqual(["c2"]);
    expect(reader.surplusChunks(0, 9)[0]).toMatchObject({
      keepers: [0, 1, 2, 3],
      goal: 3,
      refs: 1,
    });
    expect(ids(reader.chunksOfKeeper(4, 0, 9))).toEqual(["s1", "s2"]);
    expect(ids(reader.chunksOfKeeper(0, 1, 3))).toEqual(["c1", "c2", "c3"]);
    expect(reader.counts()).toMatchObject({ chunks: 5, chunksShort: 3, chunksLost: 0 });

    world.do("rm /f0");
    expect(reader.trashDue(world.nowMs - 1)).toBeFalse();
    expect(reader.trashDue(world.nowMs)).toBeTrue();
    world.do("purge 9");
    expect(ids(reader.orphans(world.nowMs, 9))).toEqual(["s1", "s2", "c0"]);
    const [first] = reader.orphans(world.nowMs, 1);
    expect(ids(reader.orphans(world.nowMs, 9, first))).toEqual(["s2", "c0"]);
    expect(ids(reader.orphans(world.nowMs - 1, 9))).toEqual(["s1", "s2"]);
    world.do("copied t1 10 k1");
    world.do("copied t2 10 k1");
    const [stray] = reader.strays(world.nowMs, 1);
    expect(ids(reader.strays(world.nowMs, 9))).toEqual(["t1", "t2"]);
    expect(ids(reader.strays(world.nowMs, 9, stray))).toEqual(["t2"]);
    expect(ids(reader.strays(world.nowMs - 1, 9))).toEqual(["t1"]);
    expect(ids(reader.orphans(world.nowMs, 9))).toEqual(["s1", "s2", "c0"]);
    for (const keeper of ["k0", "k1"]) world.do(`gone ${keeper} c3`);
    expect(reader.counts()).toMatchObject({ files: 4, bytes: 40, chunks: 4, chunksLost: 1 });
    expect(world.check()).toEqual([]);
  });

  test("keepers come with all they registered, and their generation changes only with them", () => {
    using world = new World();
    const { reader } = world;
    world.joinKeepers(2);
    const generation = reader.keepersGeneration();
    expect(reader.keepers()[1]).toEqual({
      draining: false,
      number: 1,
      id: idOf("k1"),
      name: "k1",
      host: "localhost",
      ports: [7000, 7001],
      slots: 8,
      labels: { zone: "a" },
      epoch: 1,
      instance: idOf("k1-1"),
      joinedMs: 1001,
    });
    world.do("join k1 1");
    world.do("put /f");
    expect(reader.keepersGeneration()).toBe(generation);
    world.do("join k1 2");
    expect(reader.keepersGeneration()).toBe(generation + 1);
  });

  test("uploads are told while they are under way, the idlest first", () => {
    using world = new World();
    const { reader } = world;
    for (const upload of ["u", "v", "w"]) world.do(`begin ${upload} /${upload}`);
    world.do("touch u");
    const idle = (beforeMs: number) =>
      reader.uploadsIdleSince(beforeMs, 9).map((row) => row.path).join(" ");
    expect(idle(9999)).toBe("/v /w /u");
    expect(idle(1002)).toBe("/v");
    expect(reader.upload(idOf("u"))).toEqual({
      id: idOf("u"),
      path: "/u",
      mode: 0o644,
      mtimeMs: 7,
      owner: "ann",
      exclusive: false,
      goal: 3,
      minCopies: 2,
      sizeBytes: undefined,
      startedMs: 1000,
      touchedMs: 1003,
      paused: false,
    });
    world.do("commit u");
    expect(reader.upload(idOf("u"))).toBeUndefined();
  });
});

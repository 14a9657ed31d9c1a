/** What every operation does, said as sessions: each line an operation and its verdict. */
import { describe, expect, test } from "bun:test";
import { World } from "./world.ts";

/** Runs a session on a fresh catalog with three keepers; sequence numbers start behind their joins, at 4. */
function session(name: string, lines: [string, string][]): void {
  test(name, () => {
    using world = new World();
    world.joinKeepers(3);
    const verdicts = lines.map(([line]) => [line, world.do(line)]);
    expect(verdicts).toEqual(lines);
    expect(world.check()).toEqual([]);
  });
}

describe("names", () => {
  session("put makes parents, versions grow, and a replaced file says so", [
    ["put /a/b/c", "/a/b/c v4, 10 bytes, 2/3"],
    ["ls -r /", "/a/ /a/b/ /a/b/c"],
    ["put /a/b/c", "/a/b/c v5, 10 bytes, 2/3, replaced"],
    ["put -x /a/b/c", 'exists: Cannot commit "/a/b/c": it exists already'],
    ["put -x /a/b/d", "/a/b/d v6, 10 bytes, 2/3"],
    ["put /a/b", 'is-directory: Cannot commit "/a/b": it is a directory'],
    ["put /", 'is-directory: Cannot commit "/": it is a directory'],
    ["put /a/b/c/d/e", 'not-directory: Cannot commit "/a/b/c/d/e": "/a/b/c" is a file'],
    ["ls -r /", "/a/ /a/b/ /a/b/c /a/b/d"],
  ]);

  session("lists are in the byte order of depth-first paths", [
    ["put /a/x", "/a/x v4, 10 bytes, 2/3"],
    ["put /a.b", "/a.b v5, 10 bytes, 2/3"],
    ["put /a-b/z", "/a-b/z v6, 10 bytes, 2/3"],
    ["put /a0", "/a0 v7, 10 bytes, 2/3"],
    ["put /é", "/é v8, 10 bytes, 2/3"],
    ["put /😀", "/😀 v9, 10 bytes, 2/3"],
    ["put /\uffef", "/\uffef v10, 10 bytes, 2/3"],
    ["ls -r /", "/a-b/ /a-b/z /a.b /a/ /a/x /a0 /é /\uffef /😀"],
    ["ls /", "/a-b/ /a.b /a/ /a0 /é /\uffef /😀"],
    ["ls /a", "/a/x"],
    ["ls /a/x", "/a/x"],
    ["ls /b", 'not-found: Cannot list "/b": no such file or directory'],
    ["ls /a0/b", 'not-found: Cannot list "/a0/b": "/a0" is a file'],
  ]);

  session("mkdir makes one directory, with -p all that are missing", [
    ["mkdir /a", "made"],
    ["mkdir /a", 'exists: Cannot make directory "/a": a directory is there already'],
    ["mkdir -p /a", "there"],
    ["mkdir -p /", "there"],
    ["mkdir /", 'exists: Cannot make directory "/": a directory is there already'],
    [
      "mkdir /x/y",
      'not-found: Cannot make directory "/x/y": the directory above it does not exist; use --parents',
    ],
    ["mkdir -p /x/y/z", "made"],
    ["put /f", "/f v6, 10 bytes, 2/3"],
    ["mkdir -p /f", 'exists: Cannot make directory "/f": a file is there already'],
    ["mkdir -p /f/g", 'not-directory: Cannot make directory "/f/g": "/f" is a file'],
    ["ls -r /", "/a/ /f /x/ /x/y/ /x/y/z/"],
  ]);

  session("rm takes files, empty directories, and with -r whole trees", [
    ["put /a/1", "/a/1 v4, 10 bytes, 2/3"],
    ["put /a/2", "/a/2 v5, 10 bytes, 2/3"],
    ["put /a/b/3", "/a/b/3 v6, 10 bytes, 2/3"],
    ["mkdir /empty", "made"],
    ["rm /a", 'not-empty: Cannot remove "/a": the directory has 3 entries; use --recursive'],
    ["rm /a/b", 'not-empty: Cannot remove "/a/b": the directory has 1 entry; use --recursive'],
    ["rm /", 'invalid: Cannot remove "/": it is the root'],
    ["rm /none", 'not-found: Cannot remove "/none": no such file or directory'],
    ["rm /a/1/x", 'not-found: Cannot remove "/a/1/x": "/a/1" is a file'],
    ["rm /empty", "0 files, 1 directories"],
    ["rm /a/1", "1 files, 0 directories"],
    ["rm -r /a", "2 files, 2 directories"],
    ["ls -r /", ""],
    ["put /a/1", "/a/1 v11, 10 bytes, 2/3"],
  ]);

  session("mv moves files and trees, and refuses what would lose something", [
    ["put /a/b/f", "/a/b/f v4, 10 bytes, 2/3"],
    ["put /g", "/g v5, 10 bytes, 2/3"],
    ["mkdir /d", "made"],
    ["mv /g /d", 'is-directory: Cannot move "/g" to "/d": a directory is there'],
    ["mv /d /g", 'not-directory: Cannot move "/d" to "/g": a file is there'],
    ["mv /d /a", 'exists: Cannot move "/d" to "/a": a directory is there already'],
    [
      "mv /a /a/b/c",
      'invalid: Cannot move "/a" to "/a/b/c": a directory can\'t be moved into itself',
    ],
    ["mv /a/b /a", 'exists: Cannot move "/a/b" to "/a": a directory is there already'],
    ["mv / /x", 'invalid: Cannot move "/" to "/x": the root can\'t be moved or replaced'],
    ["mv /g /", 'invalid: Cannot move "/g" to "/": the root can\'t be moved or replaced'],
    ["mv /none /x", 'not-found: Cannot move "/none" to "/x": no such file or directory'],
    ["mv /g /a/b/f/x", 'not-directory: Cannot move "/g" to "/a/b/f/x": "/a/b/f" is a file'],
    ["mv /g /g/x", 'not-directory: Cannot move "/g" to "/g/x": "/g" is a file'],
    ["mv -n /g /a/b/f", 'exists: Cannot move "/g" to "/a/b/f": a file is there already'],
    ["mv /g /g", "ok"],
    ["mv /a /a", "ok"],
    ["mv /a/b /ab", "ok"],
    ["ls -r /", "/a/ /ab/ /ab/f /d/ /g"],
    ["mv /g /ab/f", "ok"],
    ["mv /ab /n/e/w", "ok"],
    ["ls -r /", "/a/ /d/ /n/ /n/e/ /n/e/w/ /n/e/w/f"],
    ["purge 10", "1 purged"],
  ]);
});

describe("uploads", () => {
  session("an upload of several chunks is committed once, and asked again answers the same", [
    ["begin u /a/big", "ok"],
    ["place u 0 0 x 10 k0,k1,k2", "ok"],
    ["place u 1 10 y 7 k0,k1", "ok"],
    ["ls -r /", ""],
    ["chunk y", "1 refs, 2/3 copies on 0,1"],
    ["commit u x=10,y=7", "/a/big v7, 17 bytes, 2/3"],
    ["commit u x=10,y=7", "/a/big v7, 17 bytes, 2/3"],
    ["chunk x", "1 refs, 3/3 copies on 0,1,2"],
    ["rm /a/big", "1 files, 0 directories"],
    ["commit u x=10,y=7", "/a/big v7, 17 bytes, 2/3"],
    [
      "begin u /a/big",
      'conflict: Cannot upload "/a/big": upload "75000000000000000000000000000000" was begun before',
    ],
    ["ls -r /", "/a/"],
    ["purge 10", "1 purged"],
    ["chunk x", "0 refs, 3/3 copies on 0,1,2 orphan since 1015"],
  ]);

  session("a commit is refused while the chunks are not what the client says", [
    ["begin u /big", "ok"],
    ["place u 0 0 x 10 k0,k1", "ok"],
    ["place u 2 17 z 5 k0,k1", "ok"],
    ["commit u x=10,y=7,z=5", 'conflict: Cannot commit "/big": chunk 1 of 3 is not stored'],
    ["commit u x=10", 'conflict: Cannot commit "/big": 2 chunks are stored, not 1'],
    ["place u 1 11 y 7 k0,k1", "ok"],
    ["commit u x=10,y=7,z=5", 'conflict: Cannot commit "/big": chunk 1 starts at 11, not at 10'],
    ["place u 1 10 y 7 k0,k1", "ok"],
    ["commit u x=10,y=8,z=5", 'conflict: Cannot commit "/big": its chunks have 22 bytes, not 23'],
    [
      "commit u x=10,q=7,z=5",
      'conflict: Cannot commit "/big": the checksum of its chunks is c05f83ca0dbcbc0f, not b3f6dc3ec72cafe0',
    ],
    ["gone k1 y", "ok"],
    ["commit u x=10,y=7,z=5", 'no-keepers: Cannot commit "/big": chunk 1 has 1 of 2 copies'],
    ["stored y 7 k2", "ok"],
    ["commit u x=10,y=7,z=5", "/big v11, 22 bytes, 2/3"],
  ]);

  session("a target is looked at when an upload begins and again when it commits", [
    ["put /f", "/f v4, 10 bytes, 2/3"],
    ["mkdir /d", "made"],
    ["begin u /d", 'is-directory: Cannot upload "/d": it is a directory'],
    ["begin u /", 'is-directory: Cannot upload "/": it is a directory'],
    ["begin -x u /f", 'exists: Cannot upload "/f": it exists already'],
    ["begin u /f/g", 'not-directory: Cannot upload "/f/g": "/f" is a file'],
    ["begin u /f", "ok"],
    ["begin u /f", "ok"],
    ["begin -x v /n", "ok"],
    ["put /n", "/n v9, 10 bytes, 2/3"],
    ["commit v", 'exists: Cannot commit "/n": it exists already'],
    ["rm /n", "1 files, 0 directories"],
    ["commit v", "/n v11, 0 bytes, 3/3"],
    ["commit u", "/f v12, 0 bytes, 3/3, replaced"],
  ]);

  session("an upload that is dropped leaves orphans; late chunks of it are strays", [
    ["begin u /big", "ok"],
    ["place u 0 0 x 10 k0,k1", "ok"],
    ["touch u", "ok"],
    ["abort u", "ok"],
    ["abort u", "ok"],
    [
      "touch u",
      'not-found: Cannot renew upload "75000000000000000000000000000000": it is unknown or has run out',
    ],
    [
      "commit u x=10",
      'not-found: Cannot commit upload "75000000000000000000000000000000": it is unknown or has run out',
    ],
    ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1006"],
    ["place u 1 10 y 10 k0,k1", "ok"],
    ["chunk y", "0 refs, 2/3 copies on 0,1 orphan since 1010"],
    ["ls -r /", ""],
  ]);

  session("a chunk sent again elsewhere displaces the one before", [
    ["begin u /big", "ok"],
    ["place u 0 0 x 10 k0", "ok"],
    ["place u 0 0 x 10 k0,k1", "ok"],
    ["chunk x", "1 refs, 2/3 copies on 0,1"],
    ["place u 0 0 y 10 k1,k2", "ok"],
    ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1007"],
    ["chunk y", "1 refs, 2/3 copies on 1,2"],
    ["commit u y=10", "/big v8, 10 bytes, 2/3"],
  ]);

  session("a report that commits makes one version, however often it comes", [
    ["put /f x", "/f v4, 10 bytes, 2/3"],
    ["put /f x", "/f v4, 10 bytes, 2/3"],
    ["stored x 10 k2", "ok"],
    ["put /f x", "/f v4, 10 bytes, 3/3"],
    ["put /f y", "/f v8, 10 bytes, 2/3, replaced"],
    ["put /f x", "/f v4, 10 bytes, 3/3"],
    ["rm /f", "1 files, 0 directories"],
    ["put /f y", "/f v8, 10 bytes, 2/3, replaced"],
    ["ls -r /", ""],
    ["purge 10", "2 purged"],
    ["put /f y", 'conflict: Cannot commit "/f": it was committed before, and removed since'],
  ]);
});

describe("chunks and replicas", () => {
  session("stored records strays, and refuses another chunk of the same id", [
    ["stored x 10 k0,nobody", "ok"],
    ["chunk x", "0 refs, 1/3 copies on 0 orphan since 1003"],
    ["stored x 10 k1,k0", "ok"],
    ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1003"],
    [
      "stored x 11 k1",
      'conflict: Cannot record chunk "78000000000000000000000000000000": it has 10 bytes, not 11',
    ],
    ["put /f x", "/f v6, 10 bytes, 2/3"],
    ["gone k0 x,none", "ok"],
    ["gone k0 x", "ok"],
    ["gone nobody x", "ok"],
    ["chunk x", "1 refs, 1/3 copies on 1"],
  ]);

  session("forget takes only orphans without replicas, behind the grace", [
    ["stored x 10 k0", "ok"],
    ["forget x 9999", "ok"],
    ["chunk x", "0 refs, 1/3 copies on 0 orphan since 1003"],
    ["gone k0 x", "ok"],
    ["forget x 1003", "ok"],
    ["chunk x", "0 refs, 0/3 copies on  orphan since 1003"],
    ["forget x 1004", "ok"],
    ["chunk x", "unknown"],
    ["put /f y", "/f v9, 10 bytes, 2/3"],
    ["gone k0 y", "ok"],
    ["gone k1 y", "ok"],
    ["forget y 9999", "ok"],
    ["chunk y", "1 refs, 0/3 copies on "],
  ]);

  session("an inventory adds what is known, keeps strays aside, and tells what is missing", [
    ["put /a a", "/a v4, 10 bytes, 2/3"],
    ["put /b b", "/b v5, 10 bytes, 2/3"],
    ["put /c c", "/c v6, 10 bytes, 2/3"],
    ["put /d d", "/d v7, 10 bytes, 2/3"],
    // Two pages: b is missing within the first, d behind the last.
    ["inventory k0 * a=10,c=10", "0 unknown, 1 missing"],
    ["chunk b", "1 refs, 1/3 copies on 1"],
    ["chunk d", "1 refs, 2/3 copies on 0,1"],
    ["inventory k0 c cc=5 last", "1 unknown, 1 missing"],
    ["chunk d", "1 refs, 1/3 copies on 1"],
    ["chunk cc", "0 refs, 1/1 copies on 0 orphan since 1010"],
    // k2 has a replica that nobody told of, and one of a wrong length.
    ["inventory k2 * a=10,b=9 last", "0 unknown, 0 missing"],
    ["chunk a", "1 refs, 3/3 copies on 0,1,2"],
    ["chunk b", "1 refs, 1/3 copies on 1"],
    ["inventory k2 * a=9 last", "0 unknown, 1 missing"],
    ["inventory k1 * a=10,b=10,c=10,d=10 last", "0 unknown, 0 missing"],
    [
      "inventory k1 * b=10,a=10",
      'invalid: Cannot take the inventory of keeper "6b310000000000000000000000000000": "61000000000000000000000000000000" is out of order after "62000000000000000000000000000000"',
    ],
    ["inventory k1 *", "0 unknown, 0 missing"],
    [
      "inventory nobody * last",
      'not-found: Cannot take the inventory of keeper "6e6f626f647900000000000000000000": it has not joined',
    ],
    // The stray turns out to be a file's chunk whose report came late.
    [
      "put /cc cc",
      'conflict: Cannot record chunk "63630000000000000000000000000000": it has 5 bytes, not 10',
    ],
    ["inventory k0 d e=10 last", "1 unknown, 1 missing"],
    ["put /e e", "/e v15, 10 bytes, 2/3"],
    ["chunk e", "1 refs, 2/3 copies on 0,1"],
    ["inventory k1 * last", "0 unknown, 5 missing"],
  ]);
});

describe("keepers", () => {
  session("join numbers keepers, and tells two with one id apart", [
    ["join k1 1", "number 1"],
    ["join k1 2", "number 1"],
    [
      "join k1 1",
      'stale-epoch: Cannot join keeper "k1": epoch 1 is older than 2, which has joined before',
    ],
    [
      "join k1 2 k1 other",
      'conflict: Cannot join keeper "k1": a keeper with this id runs already on "localhost"',
    ],
    [
      "join k9 1 k1",
      'conflict: Cannot join keeper "k1": keeper "6b310000000000000000000000000000" has this name; choose another with --name',
    ],
    [
      "join k1 3 k0",
      'conflict: Cannot join keeper "k0": keeper "6b300000000000000000000000000000" has this name; choose another with --name',
    ],
    ["join k1 3 kk", "number 1"],
    ["join k9 1 k1", "number 3"],
  ]);

  test("join refuses the 1025th keeper", () => {
    using world = new World();
    world.database.run("BEGIN");
    world.database.run(`INSERT INTO keeper WITH RECURSIVE n(i) AS (
      SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 1022)
      SELECT i, 'id' || i, 'name' || i, 'h', '[]', 1, '{}', 1, 'x', 0 FROM n`);
    world.database.run("COMMIT");
    expect(world.do("join k0 1")).toBe("number 1023");
    expect(world.do("join k1 1")).toBe(
      'limit: Cannot join keeper "k1": the cluster has had 1024 keepers, which is the most',
    );
  });
});

test("master.start counts epochs", () => {
  using world = new World();
  expect(world.apply({ kind: "master.start", atMs: 1 })).toEqual({ epoch: 1 });
  expect(world.apply({ kind: "master.start", atMs: 2 })).toEqual({ epoch: 2 });
  expect(world.reader.epoch()).toBe(2);
});

test("chunk.stored refuses sums that don't fit the size, and other sums of a known chunk", () => {
  using world = new World();
  world.joinKeepers(1);
  const chunk = { id: "ab".repeat(16), sizeBytes: 10, sums: new Uint8Array(8), goal: 1 };
  const stored = { kind: "chunk.stored", keepers: [], atMs: 1 } as const;
  expect(() => world.apply({ ...stored, chunk: { ...chunk, sums: new Uint8Array(16) } }))
    .toThrow("16 bytes of sums are wrong for 10 bytes");
  world.apply({ ...stored, chunk });
  expect(() => world.apply({ ...stored, chunk: { ...chunk, sums: new Uint8Array(8).fill(1) } }))
    .toThrow("it is known with other sums");
});

test("the answers of commits are kept for the latest 10,000", () => {
  using world = new World();
  world.do("begin u /f");
  world.do("commit u");
  world.database.run("UPDATE sqlite_sequence SET seq = 10000 WHERE name = 'committed'");
  expect(world.do("commit u")).toBe("/f v2, 0 bytes, 3/3");
  world.do("begin v /g");
  expect(world.do("commit v")).toBe("/g v4, 0 bytes, 3/3");
  expect(world.do("commit u")).toStartWith("not-found: ");
});

/** What becomes of uploads, said as sessions: each line an operation and its verdict. */
import { expect, test } from "bun:test";
import { session } from "./session.ts";
import { World } from "./world.ts";

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
  ["chunk x", "0 refs, 3/3 copies on 0,1,2 orphan since 1011"],
]);

session("a commit is refused while the chunks are not what the client says", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["place u 2 17 z 5 k0,k1", "ok"],
  ["commit u x=10,y=7,z=5", 'conflict: Cannot commit "/big": chunk 1 of 3 is not stored'],
  ["place u 1 11 y 7 k0,k1", "ok"],
  ["commit u x=10,y=7,z=5", 'conflict: Cannot commit "/big": chunk 1 starts at 11, not at 10'],
  ["place u 1 10 y 7 k0,k1", "ok"],
  ["commit u x=10,y=8,z=5", 'conflict: Cannot commit "/big": its chunks have 22 bytes, not 23'],
  [
    "commit u x=10,q=7,z=5",
    'conflict: Cannot commit "/big": the checksum of its chunks is 445379a417e4e988, not a01dc58219c346fe',
  ],
  ["gone k1 y", "ok"],
  ["commit u x=10,y=7,z=5", 'no-keepers: Cannot commit "/big": chunk 1 has 1 of 2 copies'],
  ["stored y 7 k2", "ok"],
  ["commit u x=10,y=7,z=5", "/big v11, 22 bytes, 2/3"],
]);

session("a commit releases the chunks behind those that it names", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["place u 2 17 z 5 k0,k1", "ok"],
  ["commit u x=10", "/big v7, 10 bytes, 2/3"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["chunk z", "0 refs, 2/3 copies on 0,1 orphan since 1006"],
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
  ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1006"],
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

test("the answers of commits are kept for the latest 10,000", () => {
  using world = new World();
  world.do("begin u /f");
  world.do("commit u");
  world.database.run("UPDATE sqlite_sequence SET seq = 10000 WHERE name = 'committed'");
  expect(world.do("commit u")).toBe("/f v2, 0 bytes, 3/3");
  world.do("begin v /g");
  expect(world.do("commit v")).toBe("/g v5, 0 bytes, 3/3");
  expect(world.do("commit u")).toStartWith("not-found: ");
});

/** What comes back from the trash, and what leaves it, said as sessions. */
import { expect, test } from "bun:test";
import { session } from "./session.ts";
import { World } from "./world.ts";

session("undelete brings a removed file back with its version, owner, mode and time", [
  ["put /a/b x", "/a/b v4, 10 bytes, 2/3"],
  ["set /a/b mode=600 mtime=5", "ok"],
  ["rm -r /a", "1 files, 1 directories"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["trash /", "/a/b v4"],
  ["undelete /a/b", "put /a/b v4"],
  ["stat /a/b", "file v4, 10 bytes, 0600 ann at 5"],
  ["ls -r /", "/a/ /a/b"],
  ["trash /", ""],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["undelete /a/b", "not-found: Nothing in the trash"],
]);

session("undelete finds replaced versions by number, and puts back what it replaces", [
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["put /f y", "/f v5, 10 bytes, 2/3, replaced"],
  ["put /f z", "/f v6, 10 bytes, 2/3, replaced"],
  ["trash /f", "/f v5* /f v4*"],
  [
    "undelete -n /f",
    'exists: Cannot restore "/f": a file is there; use --replace, or --to for ' +
    "another place",
  ],
  ["undelete -v9 /f", "not-found: Nothing in the trash"],
  ["undelete -v4 /f", "replaced /f v4"],
  ["stat /f", "file v4, 10 bytes, 0644 ann at 7"],
  ["trash /f", "/f v6* /f v5*"],
  ["undelete /f", "replaced /f v6"],
  ["undelete -v5 /f /g/h", "put /g/h v5"],
  ["trash /", "/f v4*"],
]);

session("undelete of a directory brings back its latest removal only, and merges", [
  ["put /d/a", "/d/a v4, 10 bytes, 2/3"],
  ["put /d/a", "/d/a v5, 10 bytes, 2/3, replaced"],
  ["put /d/b/c", "/d/b/c v6, 10 bytes, 2/3"],
  ["put /d/old", "/d/old v7, 10 bytes, 2/3"],
  ["put /d.x", "/d.x v8, 10 bytes, 2/3"],
  ["rm /d/old", "1 files, 0 directories"],
  ["rm -r /d", "2 files, 2 directories"],
  ["rm /d.x", "1 files, 0 directories"],
  ["put /d/new", "/d/new v12, 10 bytes, 2/3"],
  ["trash /d", "/d/a v5 /d/a v4* /d/b/c v6 /d/old v7"],
  ["undelete /d", "put /d/a v5, put /d/b/c v6"],
  ["ls -r /", "/d/ /d/a /d/b/ /d/b/c /d/new"],
  ["undelete /d", "put /d/old v7"],
  ["undelete /d", "not-found: Nothing in the trash"],
  ["undelete / /all", "put /all/d.x v8"],
]);

session("undelete is refused where something else is, and then changes nothing", [
  ["put /d/a", "/d/a v4, 10 bytes, 2/3"],
  ["put /d/b", "/d/b v5, 10 bytes, 2/3"],
  ["put /d/c/e", "/d/c/e v6, 10 bytes, 2/3"],
  ["rm -r /d", "3 files, 2 directories"],
  ["put /d/c", "/d/c v8, 10 bytes, 2/3"],
  ["undelete /d", 'not-directory: Cannot restore "/d/c/e": "/d/c" is a file'],
  ["ls -r /", "/d/ /d/c"],
  ["undelete /d/a /d", 'is-directory: Cannot restore "/d": a directory is there'],
  ["undelete /d /e", "put /e/a v4, put /e/b v5, put /e/c/e v6"],
]);

session("empty purges what lies at a path or below it, until a moment", [
  ["put /d/a x", "/d/a v4, 10 bytes, 2/3"],
  ["put /d.x y", "/d.x v5, 10 bytes, 2/3"],
  ["rm -r /d", "1 files, 1 directories"],
  ["rm /d.x", "1 files, 0 directories"],
  ["empty /d 9", "0 purged, 0 bytes"],
  ["empty /d 99999", "1 purged, 10 bytes"],
  ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1008"],
  ["trash /", "/d.x v5"],
  ["empty / 99999", "1 purged, 10 bytes"],
  ["undelete /d.x", "not-found: Nothing in the trash"],
]);

test("trash lists pages in path order, the latest first, without a gap or a repetition", () => {
  using world = new World();
  world.joinKeepers(3);
  const lines = ["put /d/a", "put /d/a", "put /d/a", "put /d", "put /d/b/c", "put /d-1", "put /d0"];
  for (const line of lines) world.do(line);
  for (const line of ["rm -r /d", "rm /d-1", "rm /d0"]) world.do(line);
  for (const under of ["/", "/d", "/d/a", "/d/b", "/none"]) {
    const whole = world.reader.trash(under, undefined, 100);
    const paged = [];
    for (let page = world.reader.trash(under, undefined, 1); page.length > 0;) {
      paged.push(...page);
      page = world.reader.trash(under, page[0], 1);
    }
    expect(paged).toEqual(whole);
  }
  expect(world.do("trash /d")).toBe("/d/a v6 /d/a v5* /d/a v4* /d/b/c v7");
});

test("a version that left the trash meanwhile is not-found, and nothing else comes back", () => {
  using world = new World();
  world.joinKeepers(3);
  for (const line of ["put /a", "put /b", "rm /a", "rm /b"]) world.do(line);
  const files = ["/a", "/b"].flatMap((path) => world.reader.restorable(path, { limit: 1 }).files)
    .map(({ inode, path }) => ({ inode, to: path }));
  world.do("empty /b 99999");
  const restore = () =>
    world.apply({ kind: "trash.restore", files, replace: false, atMs: world.nowMs });
  expect(restore).toThrow('Cannot restore "/b": it has just left the trash for good');
  expect(world.do("ls -r /")).toBe("");
  expect(world.check()).toEqual([]);
});

test("a page of a removal is bounded in the bytes of its paths, too", () => {
  using world = new World();
  world.joinKeepers(3);
  const long = (n: number) => `/d${`/${"x".repeat(240)}`.repeat(15)}/${n}`;
  for (let n = 0; n < 60; n++) world.do(`put ${long(n)}`);
  world.do("rm -r /d");
  const first = world.reader.restorable("/d", { limit: 500 });
  const rest = world.reader.restorable("/d", { limit: 500, after: first.next });
  expect([first.files.length < 60, rest.next]).toEqual([true, undefined]);
  const paths = [...first.files, ...rest.files].map(({ path }) => path);
  expect([paths.length, new Set(paths).size]).toEqual([60, 60]);
});

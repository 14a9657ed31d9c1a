/**
 * Packs: what a commit makes, each file by itself, what is told to who asks again, and what moving
 * leaves behind.
 */
import { expect, test } from "bun:test";
import { WISHES_MAX } from "../../src/catalog/wish.ts";
import { readFiles } from "./pack_lines.ts";
import { session } from "./session.ts";
import { idOf, World } from "./world.ts";

session("a commit makes all files of a pack, and what is not there above them", [
  ["packed p 100 k0,k1", "ok"],
  ["chunk p", "0 refs, 2/3 copies on 0,1 orphan since 1003"],
  ["fill p /d/a=10,/d/b=0,/d/e/c=20 2", "filled made made made"],
  ["ls -r /", "/d/ /d/a /d/b /d/e/ /d/e/c"],
  ["stat /d/a", "file v5, 10 bytes, 0644 ann at 7"],
  ["stat /d/b", "file v5, 0 bytes, 0644 ann at 7"],
  ["chunk p", "3 refs, 2/2 copies on 0,1"],
  ["lives p", "30 bytes 10@0 0@10 20@10"],
]);

session("a file that is refused stops no other", [
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["mkdir /d", "made"],
  ["packed p 100 k0,k1", "ok"],
  [
    "fill -x p /f=10,/f/g=10,/d=10,/n=10,/n=10,/n/o=10,/m/a=1,/m=1",
    [
      "filled exists not-directory is-directory made conflict not-directory made is-directory",
    ].join(""),
  ],
  ["lives p", "11 bytes 10@30 1@60"],
  // Without a file nothing refers to it, and it is spent all the same.
  ["packed q 100 k0,k1", "ok"],
  ["fill -x q /f=10", "filled exists"],
  ["chunk q", "0 refs, 2/3 copies on 0,1 orphan since 1007"],
  ["rm /f", "1 files, 0 directories"],
  ["fill -x q /f=10", "filled conflict"],
]);

session("the same commit again answers what it has made, and makes nothing", [
  ["packed p 100 k0,k1", "ok"],
  ["put /f x", "/f v5, 10 bytes, 2/3"],
  ["fill p /f=10,/g=5,/h=5,/i=0,/j=0", "filled made made made made made"],
  [
    "fill p /f=10,/g=5,/h=5,/i=0,/j=0,/new=3",
    [
      "filled made made made made made conflict",
    ].join(""),
  ],
  // Replaced, removed, moved; a copy has taken the place.
  ["put /f y", "/f v8, 10 bytes, 2/3, replaced"],
  ["rm /g", "1 files, 0 directories"],
  ["mv /h /k", "ok"],
  ["cp /k /h", "v11"],
  ["fill p /f=10,/g=5,/h=5,/i=0,/j=0", "filled made made conflict made made"],
  ["ls /", "/f /h /i /j /k"],
  ["purge 9", "3 purged"],
  ["fill p /f=10,/g=5", "filled conflict conflict"],
  ["lives p", "5 bytes 5@15 5@15 0@20 0@20"],
]);

const CANNOT = 'Cannot commit pack "70000000000000000000000000000000"';

session("a pack must be there, whole, and hold what it is said to hold", [
  ["fill p /f=10", `not-found: ${CANNOT}: there is no such pack`],
  ["stored p 100 k0,k1", "ok"],
  ["fill p /f=10", `not-found: ${CANNOT}: there is no such pack`],
  ["packed p 100 k0", "ok"],
  ["fill p /f=10,/g=91", `invalid: ${CANNOT}: 91 bytes at 10 are not within its 100 bytes`],
  ["fill p /f=10,/g=10@9", `invalid: ${CANNOT}: files overlap`],
  ["gone k1 p", "ok"],
  ["fill p /f=10", `no-keepers: ${CANNOT}: it has 1 of 2 copies`],
  ["packed p 100 k2", "ok"],
  ["ls /", ""],
  ["condemn p 9999", "p"],
  ["fill p /f=10", `expired: ${CANNOT}: it waited too long for its use and was removed`],
  // One whose files are all gone may have answered a commit that was not heard of.
  ["packed z 100 k0,k1", "ok"],
  ["fill z /once=10", "filled made"],
  ["rm /once", "1 files, 0 directories"],
  ["purge 9999", "1 purged"],
  ["condemn z 9999", "z"],
  ["fill z /once=10", `conflict: ${CANNOT.replace("70", "7a")}: its files are gone again`],
  ["packed q 100 k0,k1", "ok"],
  [
    "put /f q",
    'conflict: Cannot record chunk "71000000000000000000000000000000": it has 100 bytes, not 10',
  ],
  ["packed r 10 k0,k1", "ok"],
  [
    "put /f r",
    'invalid: Cannot record chunk "72000000000000000000000000000000": it is a pack, and no file as a whole',
  ],
  // What is a file as a whole does not become a pack.
  ["put /f s", "/f v16, 10 bytes, 2/3"],
  ["packed s 10 k2", "ok"],
  [
    "fill s /g=10",
    'not-found: Cannot commit pack "73000000000000000000000000000000": there is no such pack',
  ],
]);

// A catalog that was restored from a backup, or a report that comes behind the inventory.
session("what an inventory has told of becomes a pack by its report, and is placed by its commit", [
  ["inventory k0 * p=100 last", "1 unknown, 0 missing"],
  ["stray p", "1"],
  ["packed -s p 100 k1", "ok"],
  ["stray p", "1"],
  ["fill p /a=10,/b=10 2 zone=a", "filled made made"],
  ["stray p", "0"],
  ["chunk p", "2 refs, 2/2 copies on 0,1"],
  ["join k0 2 zone=b", "number 0"],
  ["recount k0 9", "done"],
  ["chunk p", "2 refs, 2/2 copies on 0,1, 1 misplaced"],
]);

// A copy may be cut before its PUT is reported.
session("a pack's report goes before what keepers alone have told of it", [
  ["inventory k0 * p=99 last", "1 unknown, 0 missing"],
  ["packed p 100 k1,k2", "ok"],
  ["chunk p", "0 refs, 2/3 copies on 1,2 orphan since 1004"],
  ["fill p /a=10", "filled made"],
  ["lives p", "10 bytes 10@0"],
]);

session("a commit ends the paused uploads to its paths, and supersedes those under way", [
  ["begin u /f", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["abort -k u", "kept"],
  ["begin v /g", "ok"],
  ["place v 0 0 y 10 k0,k1", "ok"],
  ["packed p 100 k0,k1", "ok"],
  ["fill p /f=10,/g=5", "filled made made"],
  ["chunk x", "0 refs, 2/3 copies on 0,1 orphan since 1009"],
  ["abort -k v", "ok"],
]);

session("what something refers to lives: a copy, the trash, what comes back; each byte once", [
  ["packed p 100 k0,k1", "ok"],
  ["fill p /a=10,/b=20,/c=30", "filled made made made"],
  ["cp /a /copy", "v6"],
  ["lives p", "60 bytes 10@0 10@0 20@10 30@30"],
  ["rm /a", "1 files, 0 directories"],
  ["rm /b", "1 files, 0 directories"],
  ["lives p", "60 bytes 10@0 10@0 20@10 30@30"],
  ["undelete /b", "put /b v5"],
  ["empty /a 9999", "1 purged, 10 bytes"],
  ["lives p", "60 bytes 10@0 20@10 30@30"],
  ["put /b y", "/b v11, 10 bytes, 2/3, replaced"],
  ["put /c z", "/c v12, 10 bytes, 2/3, replaced"],
  ["purge 9", "2 purged"],
  ["lives p", "10 bytes 10@0"],
  ["apply /copy 2", "changed"],
  ["chunk p", "1 refs, 2/2 copies on 0,1"],
  ["rm /copy", "1 files, 0 directories"],
  ["purge 9", "1 purged"],
  ["chunk p", "0 refs, 2/2 copies on 0,1 orphan since 1015"],
  ["lives p", "0 bytes"],
]);

session("the files of a pack ask for its highest goal together", [
  ["packed p 100 k0,k1", "ok"],
  ["fill p /a=10,/b=20 2", "filled made made"],
  ["apply /a 5", "changed"],
  ["chunk p", "2 refs, 2/5 copies on 0,1"],
  ["apply /b 3", "changed"],
  ["chunk p", "2 refs, 2/5 copies on 0,1"],
  ["rm /a", "1 files, 0 directories"],
  ["apply /b 3", "changed"],
  ["chunk p", "2 refs, 2/3 copies on 0,1"],
]);

session("a move takes all that starts at a place, and leaves an empty pack behind", [
  ["packed p 100 k0,k1", "ok"],
  ["packed q 100 k1,k2", "ok"],
  ["fill p /a=10,/b=20,/c=30,/z=0@30 2", "filled made made made made"],
  ["fill q /d=40 3", "filled made"],
  ["cp /b /copy", "v8"],
  ["rm /c", "1 files, 0 directories"],
  ["packed n 100 k0,k1", "ok"],
  ["squeeze n p@10+20>0,p@30+30>20,q@0+40>50,none@0+5>0,p@99+1>0", "5 moved"],
  ["lives n", "90 bytes 20@0 20@0 0@20 30@20 40@50"],
  ["chunk n", "5 refs, 2/3 copies on 0,1"],
  ["lives p", "10 bytes 10@0"],
  ["chunk p", "1 refs, 2/2 copies on 0,1"],
  ["chunk q", "0 refs, 2/3 copies on 1,2 orphan since 1010"],
  // Once more: nothing is there any more.
  ["squeeze n p@10+20>0,q@0+40>50", "0 moved"],
  ["undelete /c", "put /c v6"],
  ["stat /c", "file v6, 30 bytes, 0644 ann at 7"],
  // The first commit is remembered though its files lie elsewhere now; no other makes files of n.
  ["fill p /a=10,/b=20", "filled made made"],
  ["fill n /e=10", "filled conflict"],
]);

session("a move of many copies goes on from where the one before has ended", [
  ["packed p 100 k0,k1", "ok"],
  ["fill p /e=0@0,/a=10@0,/b=20@10", "filled made made made"],
  ["cp /a /a1", "v6"],
  ["cp /a /a2", "v7"],
  ["cp /a /a3", "v8"],
  ["cp /b /b1", "v9"],
  ["packed n 100 k0,k1", "ok"],
  ["squeeze -l2 n p@0+10>0,none@0+5>0,p@10+20>10", "7 moved"],
  ["lives n", "30 bytes 0@0 10@0 10@0 10@0 10@0 20@10 20@10"],
  ["chunk p", "0 refs, 2/3 copies on 0,1 orphan since 1013"],
]);

session("rules part the files of a pack: it suits all of them until each kind has its own", [
  ["packed p 100 k0,k1,k2", "ok"],
  ["fill p /a=10,/b=10,/c=10,/d=10 2", "filled made made made made"],
  ["wish p", "2 copies on any"],
  ["apply /a 4 kind=x", "changed"],
  ["wish p", "4 copies on kind=x, parted"],
  ["apply /b 3 disk=y", "changed"],
  ["wish p", "4 copies on disk=y,kind=x, parted"],
  ["chunk p", "4 refs, 3/4 copies on 0,1,2, 3 misplaced"],
  // No keeper can have both.
  ["apply /c 2 kind=z", "changed"],
  ["wish p", "4 copies on disk=y,kind=z, torn"],
  ["join k0 2 kind=z,disk=y", "number 0"],
  ["recount k0 9", "done"],
  ["chunk p", "4 refs, 3/4 copies on 0,1,2, 3 misplaced"],
  ["apply /c 2", "changed"],
  ["wish p", "4 copies on disk=y,kind=x, parted"],
  ["cp /b /b2", "v12"],
  ["rm /a", "1 files, 0 directories"],
  // Whoever wants just this goes, copies too; what lies in the trash has its own wish.
  ["packed n 100 k0,k1", "ok"],
  ["squeeze n p@0+10>0,p@10+10>10,p@20+10>20 3 disk=y", "2 moved"],
  ["wish n", "3 copies on disk=y"],
  ["lives n", "10 bytes 10@10 10@10"],
  ["settle p", "2 copies on any"],
  ["lives p", "30 bytes 10@0 10@20 10@30"],
  // It comes back with what it wanted.
  ["undelete /a", "put /a v5"],
  ["wish p", "4 copies on kind=x, parted"],
  ["apply /a 2", "changed"],
  ["wish p", "2 copies on any"],
]);

session("what is moved meanwhile, or is of several kinds, leaves the new pack parted too", [
  ["packed p 100 k0,k1", "ok"],
  ["fill p /a=10,/b=10", "filled made made"],
  ["apply /a 3 kind=x", "changed"],
  ["packed n 100 k0,k1", "ok"],
  ["squeeze n p@0+10>0,p@10+10>10", "2 moved"],
  ["wish n", "3 copies on kind=x, parted"],
  ["rm /a", "1 files, 0 directories"],
  ["settle n", "3 copies on any"],
  ["rm /b", "1 files, 0 directories"],
  ["settle n", "3 copies on any"],
  ["packed o 100 k0,k1", "ok"],
  ["squeeze o n@0+10>0,n@10+10>10", "2 moved"],
  ["wish o", "3 copies on any"],
]);

const MOVE = 'Cannot move files into pack "6e000000000000000000000000000000"';

session("a move needs a pack that is stored, and places within it", [
  ["packed p 100 k0,k1", "ok"],
  ["fill p /a=10 2", "filled made"],
  ["squeeze n p@0+10>0", `not-found: ${MOVE}: there is no such pack`],
  ["packed n 50 k0", "ok"],
  ["squeeze n p@0+10>0", `no-keepers: ${MOVE}: it has 1 of 2 copies`],
  ["packed n 50 k1", "ok"],
  ["squeeze n p@0+10>41", `invalid: ${MOVE}: 10 bytes at 41 are not within its 50 bytes`],
  ["squeeze n n@0+10>0", `invalid: ${MOVE}: they lie there`],
  ["condemn n 9999", "n"],
  ["squeeze n p@0+10>0", `expired: ${MOVE}: it waited too long for its use and was removed`],
  ["lives p", "10 bytes 10@0"],
]);

session("a pack that is used first by a move gets the goal and the place of what it takes", [
  ["packed p 100 k0,k1", "ok"],
  ["fill p /a=10,/b=10 2 zone=b", "filled made made"],
  ["chunk p", "2 refs, 2/2 copies on 0,1, 2 misplaced"],
  ["packed n 50 k0,k1", "ok"],
  ["squeeze n p@10+10>0", "1 moved"],
  ["chunk n", "1 refs, 2/2 copies on 0,1, 2 misplaced"],
  ["apply /a 5", "changed"],
  ["squeeze n p@0+10>10", "1 moved"],
  ["chunk n", "2 refs, 2/5 copies on 0,1, 2 misplaced"],
]);

test("pack.commit tells each file with its copies and goal, and logs each", () => {
  using world = new World();
  world.joinKeepers(3);
  world.do("put /d/b x");
  world.do("packed p 100 k0,k1,k2");
  const files = readFiles("/d/a=10,/d/b=5");
  const facts = { chunk: idOf("p"), goal: 3, minCopies: 2, files, atMs: 2000 };
  const first = world.apply({ kind: "pack.commit", ...facts });
  const [a, b] = files.map(({ checksum }) => checksum);
  const common = { version: 6, copies: 3, goal: 3 };
  expect(first.files).toEqual([
    {
      ok: true,
      file: { path: "/d/a", sizeBytes: 10, checksum: a ?? "", replaced: false, ...common },
    },
    {
      ok: true,
      file: { path: "/d/b", sizeBytes: 5, checksum: b ?? "", replaced: true, ...common },
    },
  ]);
  const event = { atMs: 2000, entry: "file", version: 6, owner: "ann" } as const;
  expect(first.events).toEqual([
    { kind: "put", path: "/d/a", sizeBytes: 10, ...event },
    { kind: "replaced", path: "/d/b", sizeBytes: 5, ...event },
  ]);
  expect(world.reader.events(0, 9).events.map(({ kind, path }) => `${kind} ${path}`))
    .toEqual(["put /d/b", "put /d/a", "replaced /d/b"]);
  expect(world.apply({ kind: "pack.commit", ...facts })).toEqual({ ...first, events: [] });
  expect(world.check()).toEqual([]);
});

test("Of a pack full of copies wishes are only added, until it is emptied kind by kind", () => {
  using world = new World();
  world.joinKeepers(3);
  for (const line of ["packed p 100 k0,k1", "fill p /a=10,/b=10", "packed n 100 k0,k1"]) {
    expect(world.do(line)).not.toContain(":");
  }
  for (let copy = 0; copy < WISHES_MAX; copy++) world.do(`cp /a /c${copy}`);
  const lines: [string, string][] = [
    ["apply /c7 4 kind=x", "changed"],
    ["wish p", "4 copies on kind=x, parted"],
    ["apply /c7 3", "changed"],
    ["wish p", "4 copies on kind=x, parted"],
    ["settle p", "4 copies on kind=x, parted"],
    ["apply /c8 5", "changed"],
    ["squeeze -l1000 n p@0+10>0 3", `${WISHES_MAX} moved`],
    ["wish n", "3 copies on any"],
    ["lives n", `10 bytes${" 10@0".repeat(100)}`],
    ["settle p", "5 copies on any, parted"],
    ["squeeze n p@0+10>0 5", "1 moved"],
    ["wish n", "5 copies on any, parted"],
    ["settle p", "3 copies on any"],
    ["lives p", "10 bytes 10@10"],
  ];
  expect(lines.map(([line]) => [line, world.do(line)])).toEqual(lines);
  expect(world.check()).toEqual([]);
});

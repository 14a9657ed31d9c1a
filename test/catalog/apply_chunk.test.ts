/**
 * What becomes of chunks and replicas, said as sessions: each line an operation and its verdict.
 */
import { expect, test } from "bun:test";
import { session } from "./session.ts";
import { World } from "./world.ts";

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

const REMOVED =
  'expired: Cannot record chunk "78000000000000000000000000000000": it waited too long for its use and was removed';

// A report that is repeated after the sweeper has removed what an inventory had recorded as a stray
// must not commit a file whose bytes are gone.
session("condemn marks unneeded chunks only, and no late report revives one", [
  ["inventory k0 * x=10 last", "1 unknown, 0 missing"],
  ["condemn x 1003", "none"],
  ["condemn x 9999", "x"],
  ["put /f x", REMOVED],
  ["gone k0 x", "ok"],
  ["put /f x", REMOVED],
  ["begin u /f", "ok"],
  ["place u 0 0 x 10 k1", REMOVED],
  ["chunk x", "0 refs, 0/1 copies on  orphan since 1003"],
  // A copy that was on its way when the others were deleted goes the same way.
  ["stored x 10 k1", "ok"],
  ["chunk x", "0 refs, 1/1 copies on 1 orphan since 1003"],
  ["condemn x 9999", "x"],
  ["gone k1 x", "ok"],
  ["put /f x", REMOVED],
  ["put /g y", "/g v12, 10 bytes, 2/3"],
  ["condemn y 9999", "none"],
  ["condemn z 9999", "none"],
]);

// A client that got no answer gives up and puts again: its first try must not come back later.
session("a dropped upload is not committed by a late report; a committed one is told", [
  ["abort u-x", "ok"],
  ["put /f x", 'expired: Cannot commit "/f": its upload was dropped'],
  ["put /f y", "/f v5, 10 bytes, 2/3"],
  ["abort u-y", "/f v5, 10 bytes, 2/3"],
  ["put /f y", "/f v5, 10 bytes, 2/3"],
  ["ls /", "/f"],
]);

session("release gives up surplus copies only, and counts on living keepers only", [
  ["put /f x", "/f v4, 10 bytes, 2/3"],
  ["stored x 10 k2", "ok"],
  ["release k0 x k0,k1,k2", "none"],
  ["join k3 1", "number 3"],
  ["stored x 10 k3", "ok"],
  ["release k0 x k1,k2", "none"],
  ["release k0 x k0,k1,k2,k3", "x"],
  ["chunk x", "1 refs, 3/3 copies on 1,2,3"],
  ["release k0 x k1,k2,k3", "none"],
  ["stored y 10 k0", "ok"],
  ["release k0 y k1,k2,k3", "none"],
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
  ["chunk cc", "0 refs, 1/1 copies on 0 orphan since 1008"],
  // k2 has a replica that nobody told of, and one of a wrong length.
  ["inventory k2 * a=10,b=9 last", "0 unknown, 0 missing, wrong b"],
  ["chunk a", "1 refs, 3/3 copies on 0,1,2"],
  ["chunk b", "1 refs, 1/3 copies on 1"],
  ["inventory k2 * a=9 last", "0 unknown, 0 missing, wrong a"],
  ["chunk a", "1 refs, 2/3 copies on 0,1"],
  // It is named until the keeper has put it aside.
  ["inventory k2 * a=9 last", "0 unknown, 0 missing, wrong a"],
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
  ["inventory k0 d e=10 last", "1 unknown, 0 missing"],
  ["put /e e", "/e v16, 10 bytes, 2/3"],
  ["chunk e", "1 refs, 2/3 copies on 0,1"],
  ["inventory k1 * last", "0 unknown, 5 missing"],
]);

// A copy may rot, or be cut, before the report of its PUT is here: what a keeper tells of it alone
// must not stand against the client's word.
session("what keepers alone have told wrongly of a chunk goes when its own report comes", [
  ["inventory k0 * e=0,x=5,y=5,z=5 last", "4 unknown, 0 missing"],
  ["inventory k2 * x=5 last", "0 unknown, 0 missing"],
  ["put /x x", "/x v6, 10 bytes, 2/3"],
  ["stray x", "0"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["inventory k0 * x=5 last", "0 unknown, 3 missing, wrong x"],
  ["chunk x", "1 refs, 1/3 copies on 1"],
  ["put /e e", "/e v8, 10 bytes, 2/3"],
  ["begin u /y", "ok"],
  ["place u 0 0 y 10 k1", "ok"],
  ["chunk y", "1 refs, 1/3 copies on 1"],
  // From now on it is known, and nobody tells otherwise.
  [
    "stored y 11 k1",
    'conflict: Cannot record chunk "79000000000000000000000000000000": it has 10 bytes, not 11',
  ],
  [
    "copied y 11 k2",
    'conflict: Cannot record chunk "79000000000000000000000000000000": it has 10 bytes, not 11',
  ],
]);

// A catalog that was restored from a backup does not know the newest chunks.
session("what keepers alone have told of is a stray until a client's report names it", [
  ["inventory k0 * s=10,t=10,u=10 last", "3 unknown, 0 missing"],
  ["stray s", "1"],
  // Keepers that differ about it are left alone: nobody knows which one is right.
  ["inventory k1 * s=9 last", "0 unknown, 0 missing"],
  ["inventory k1 * t=10 last", "0 unknown, 0 missing"],
  ["chunk t", "0 refs, 2/1 copies on 0,1 orphan since 1003"],
  ["stray t", "1"],
  ["copied t 10 k2", "ok"],
  ["stray t", "1"],
  ["put /t t", "/t v8, 10 bytes, 3/3"],
  ["stray t", "0"],
  // Its upload is gone: nobody needs it, and that is known.
  ["stored u 10 k0", "ok"],
  ["stray u", "0"],
  ["rm /t", "1 files, 0 directories"],
  ["stray t", "0"],
  ["copied w 10 k2", "ok"],
  ["stray w", "1"],
]);

session("a stray that only a damaged copy told of, which is gone, is what another copy says", [
  ["inventory k0 * s=9 last", "1 unknown, 0 missing"],
  ["inventory k1 * s=10 last", "0 unknown, 0 missing"],
  ["chunk s", "0 refs, 1/1 copies on 0 orphan since 1003"],
  ["condemn s 9999", "s"],
  ["gone k0 s", "ok"],
  ["inventory k1 * s=10 last", "1 unknown, 0 missing"],
  ["chunk s", "0 refs, 1/1 copies on 1 orphan since 1007"],
  ["stray s", "1"],
]);

test("chunk.stored refuses sums that don't fit the size, and other sums of a known chunk", () => {
  using world = new World();
  world.joinKeepers(1);
  const chunk = { id: "ab".repeat(16), sizeBytes: 10, sums: new Uint8Array(8), goal: 1 };
  const keepers: string[] = [];
  const stored = { kind: "chunk.stored", keepers, atMs: 1 } as const;
  expect(() => world.apply({ ...stored, chunk: { ...chunk, sums: new Uint8Array(16) } }))
    .toThrow("16 bytes of sums are wrong for 10 bytes");
  world.apply({ ...stored, chunk });
  expect(() => world.apply({ ...stored, chunk: { ...chunk, sums: new Uint8Array(8).fill(1) } }))
    .toThrow("it is known with other sums");
});

/** Every statement finds its rows by an index: costs stay flat while the catalog grows. */
import { expect, test } from "bun:test";
import { AuditReader } from "../../src/catalog/audit_reader.ts";
import { World } from "./world.ts";

/**
 * Statements that may read a whole table: a handful of keepers and rules, and whether there is any
 * policy or upload.
 */
const SMALL = [
  ...[/FROM keeper\b/, /FROM relabelled LIMIT 1$/, /FROM rule\b/],
  ...[/FROM policy LIMIT 1$/, /FROM upload LIMIT 1$/],
];

test("no statement of apply or of the reader scans a table", () => {
  using world = new World();
  const { reader, database } = world;
  world.joinKeepers(3);
  world.apply({ kind: "master.start", atMs: 1 });
  const lines = [
    ...["join k1 2", "put /a/f x", "put /a/f x", "put /a/f y", "mkdir -p /b/c", "mv /a /b/d"],
    ...["mv /b/d/f /g", "begin u /h", "begin u /h", "touch u", "place u 0 0 z 10 k0,k1"],
    ...["place u 0 0 w 10 k0,k1", "commit u w=10", "commit u w=10", "begin v /i", "abort v"],
    ...[
      "stored q 10 k0",
      "copied st 10 k0",
      "inventory k2 * tt=10 last",
      "inventory k0 * a=10,q=10,w=10 last",
      "gone k0 q,a",
      "forget q 99999",
    ],
    ...["begin p /film", "place p 0 0 p0 10 k0,k1", "place p 1 10 p1 10 k0,k1", "abort -k p"],
    ...["begin -r r /film 4", "begin -r s /film", "abort -k s", "begin l /film"],
    ...["commit r p0=10", "abort l"],
    ...["cp /film /copy", "set /copy mode=600 mtime=5"],
    ...["rule *.mp4 kind=video", "rule *.txt kind=text", "unrule 2", "apply /g 2 kind=video"],
    ...["join k0 2 kind=video", "recount k0 1", "put /p pol kind=video", "stored pol 10 k2"],
    ...[
      "rm /b",
      "rm -r /b",
      "rm /h",
      "undelete /b",
      "undelete -v9 /h",
      "put /t t",
      "rm /t",
      "empty /t 99999",
    ],
    ...["trash /", "purge 10"],
    ...["packed pk 100 k0,k1", "fill pk /pk/a=10,/pk/b=10,/a=1", "fill pk /pk/a=10,/none=1"],
    ...["cp /pk/a /pk/c", "apply /pk/a 2", "packed po 100 k0,k1", "squeeze po pk@0+10>0"],
    ...["apply /pk/b 2 kind=text", "rm /pk/a", "apply /pk/b 3", "undelete /pk/a", "settle pk"],
    ...["drain k2", "drain k2 stop", "balance on", "join m 1", "stored mm 10 m", "remove m 5"],
    ...["join m 1", "join m 2", "drain m", "remove -f m 5 k0"],
  ];
  for (const line of lines) expect(world.do(line)).not.toStartWith("internal");
  world.do("begin u2 /g");
  reader.list("/", { recursive: true, after: "/b/c/", limit: 5 });
  reader.getEntry("/g");
  reader.locate("/g", undefined, 0, 5);
  reader.locateMany(["/g", "/pk/a", "/pk/b", "/none/a"]);
  reader.sparsePacks(0, 5);
  reader.partedPacks(0, 5);
  reader.packPlaces(1, 5);
  reader.packedWishes(1, 5);
  reader.keepers();
  reader.removedKeepers();
  reader.heldByKeepers();
  reader.balanceWanted();
  reader.counts();
  reader.upload("x");
  reader.uploadsIdleSince(5, 5);
  reader.uploadsPausedSince(5, 5);
  reader.storedChunk("x", 0);
  reader.resumableBytes("/film");
  reader.events(0, 5);
  reader.trashDue(5);
  reader.restorable("/", { after: { path: "/a", removedMs: 5 }, limit: 2 });
  reader.chunk("x");
  reader.shortChunks(0, 5);
  reader.surplusChunks(0, 5);
  reader.misplacedChunks(0, 5);
  reader.rules();
  reader.policy(1);
  reader.placedFile("/g", 0, 5);
  reader.relabelledKeeper();
  reader.chunksOfKeeper(0, 0, 5);
  reader.orphans(5, 5);
  reader.strays(5, 5);

  const audit = new AuditReader(world.path);
  audit.chunks(1, 5);
  audit.chunk(1);
  audit.shortChunks(1, 5);
  audit.chunksOfKeeper(0, 1, 5);
  audit.chunksTotal();
  audit.filesOfChunk(1, 0, 5);
  audit.chunksOfFile(1, 0, 5);
  for (let inode = 2; inode < 20; inode++) audit.nameOf(inode);

  const texts = [...world.tx.texts, ...reader.statements, ...audit.statements]
    .filter((text) => /^(SELECT|UPDATE|DELETE|INSERT)/.test(text));
  expect(texts.length).toBeGreaterThan(50);
  const scans = texts.filter((text) => !SMALL.some((small) => small.test(text))).flatMap((text) =>
    database.prepare<{ detail: string }, []>(`EXPLAIN QUERY PLAN ${text}`).all()
      .filter(({ detail }) =>
        /\bSCAN (?!CONSTANT|\(|[wl] (EXISTS )?VIRTUAL)|USE TEMP B-TREE/.test(detail)
      )
      .map(({ detail }) => `${detail}: ${text}`)
  );
  audit.close();
  expect(scans).toEqual([]);
});

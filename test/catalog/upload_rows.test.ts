/**
 * What becomes of interrupted uploads: kept, taken over, dropped. Said as sessions, and as a
 * property: whatever was left, the next upload commits exactly what it offers.
 */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { session } from "./session.ts";
import { idOf, sumsFor, World } from "./world.ts";

session("a paused upload is closed when the next one takes its chunks over", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["place u 1 10 y 10 k0,k1", "ok"],
  ["abort -k u", "kept"],
  ["abort -k u", "kept"],
  ["begin -r v /big", "20 bytes resumed"],
  ["begin -r v /big", "20 bytes resumed"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  [
    "touch u",
    'not-found: Cannot renew upload "75000000000000000000000000000000": it is unknown or has run out',
  ],
  ["place u 2 20 late 10 k0,k1", "ok"],
  ["chunk late", "0 refs, 2/3 copies on 0,1 orphan since 1011"],
  ["commit v x=10,y=10", "/big v12, 20 bytes, 2/3"],
]);

session("two clients never harm each other: a live upload keeps its chunks", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["begin -r v /big", "10 bytes resumed"],
  ["chunk x", "2 refs, 2/3 copies on 0,1"],
  ["place v 0 0 y 10 k0,k1", "ok"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ["commit u x=10", "/big v8, 10 bytes, 2/3"],
  ["commit v y=10", "/big v9, 10 bytes, 2/3, replaced"],
]);

session("an upload that is silent for too long counts as interrupted", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["begin -r -i v /big", "10 bytes resumed"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  [
    "touch u",
    'not-found: Cannot renew upload "75000000000000000000000000000000": it is unknown or has run out',
  ],
]);

session("the newest upload with chunks is taken over, and none of another path", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["abort -k u", "kept"],
  ["begin v /big", "ok"],
  ["place v 0 0 y 7 k0,k1", "ok"],
  ["begin w /big", "ok"],
  ["begin -r o /other", "ok"],
  ["begin -r p /big", "7 bytes resumed"],
  ["abort p", "ok"],
  ["abort v", "ok"],
  ["begin -r q /big", "10 bytes resumed"],
]);

session("a paused upload goes on when it is touched", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["abort -k u", "kept"],
  ["touch u", "ok"],
  ["begin -r v /big", "10 bytes resumed"],
  ["chunk x", "2 refs, 2/3 copies on 0,1"],
  ["abort -k u", "kept"],
  ["commit u x=10", "/big v10, 10 bytes, 2/3"],
]);

session("an upload with nothing worth keeping is dropped, not paused", [
  ["begin u /big", "ok"],
  ["abort -k u", "ok"],
  [
    "touch u",
    'not-found: Cannot renew upload "75000000000000000000000000000000": it is unknown or has run out',
  ],
  // The report of its one chunk comes late.
  ["abort -k u-x", "ok"],
  ["put /f x", 'expired: Cannot commit "/f": its upload was dropped'],
]);

// Its client was killed while it was on its way: it is there for the next one all the same.
session("a chunk that comes late takes a free place, and no other's", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["abort -k u", "kept"],
  ["place -l u 0 0 other 10 k0,k1", "ok"],
  ["chunk other", "0 refs, 2/3 copies on 0,1 orphan since 1006"],
  ["place -l u 1 10 y 10 k0,k1", "ok"],
  ["place -l u 1 10 y 10 k2", "ok"],
  ["chunk y", "1 refs, 3/3 copies on 0,1,2"],
  ["begin -r v /big", "20 bytes resumed"],
  ["place -l u 2 20 z 10 k0,k1", "ok"],
  ["chunk z", "0 refs, 2/3 copies on 0,1 orphan since 1010"],
  ["begin w /f", "ok"],
  ["put /f", "/f v13, 10 bytes, 2/3"],
  ["place -l w 0 0 late 10 k0,k1", "ok"],
  ["abort -k w", "ok"],
]);

// Its client was killed, and the next one was done before that was found out.
session("an upload that was not heard since a commit at its path is dropped, not paused", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1", "ok"],
  ["begin -r v /big", "10 bytes resumed"],
  ["commit v x=10", "/big v7, 10 bytes, 2/3"],
  ["rm /big", "1 files, 0 directories"],
  ["abort -k u", "ok"],
  ["chunk x", "1 refs, 2/3 copies on 0,1"],
  ...["touch w", "place w 1 10 y 10 k0,k1"].flatMap((sign): [string, string][] => [
    ["begin w /big", "ok"],
    ["place w 0 0 z 10 k0,k1", "ok"],
    ["put /big", expect.stringMatching(/^.big v/)],
    [sign, "ok"],
    ["abort -k w", "kept"],
    ["abort w", "ok"],
  ]),
]);

session("a commit drops the paused uploads to its path, and no others", [
  ...["/a", "/b"].flatMap((path, n): [string, string][] => [
    [`begin u${n} ${path}`, "ok"],
    [`place u${n} 0 0 x${n} 10 k0,k1`, "ok"],
    [`abort -k u${n}`, "kept"],
  ]),
  ["begin live /a", "ok"],
  ["place live 0 0 y 10 k0,k1", "ok"],
  ["put /a", "/a v12, 10 bytes, 2/3"],
  ["chunk x0", "0 refs, 2/3 copies on 0,1 orphan since 1011"],
  ["chunk x1", "1 refs, 2/3 copies on 0,1"],
  ["chunk y", "1 refs, 2/3 copies on 0,1"],
  ["mv /a /b", "ok"],
  ["rm /b", "1 files, 0 directories"],
  ["chunk x1", "1 refs, 2/3 copies on 0,1"],
  ["begin v /b", "ok"],
  ["commit v", "/b v16, 0 bytes, 3/3"],
  ["chunk x1", "0 refs, 2/3 copies on 0,1 orphan since 1015"],
]);

session("chunks that are taken over get the new upload's goal where it is higher", [
  ["begin u /big", "ok"],
  ["place u 0 0 x 10 k0,k1,k2", "ok"],
  ["abort -k u", "kept"],
  ["begin -r v /big 2", "10 bytes resumed"],
  ["chunk x", "1 refs, 3/3 copies on 0,1,2"],
  ["begin -r w /big 5", "10 bytes resumed"],
  ["chunk x", "2 refs, 3/5 copies on 0,1,2"],
  ["commit w x=10", "/big v9, 10 bytes, 3/5"],
]);

test("a paused upload is not updating, and is told among those that wait", () => {
  using world = new World();
  const { reader } = world;
  world.joinKeepers(2);
  world.do("put /f");
  world.do("begin u /f");
  world.do("place u 0 0 x 10 k0,k1");
  const updating = () => [
    reader.getEntry("/f").updating,
    reader.list("/", { recursive: false, after: undefined, limit: 9 }).entries[0]?.updating,
  ];
  expect(updating()).toEqual([true, true]);
  expect(reader.uploadsIdleSince(world.nowMs, 9)).toHaveLength(1);
  world.do("abort -k u");
  expect(updating()).toEqual([false, false]);
  expect(reader.uploadsIdleSince(world.nowMs, 9)).toEqual([]);
  expect(reader.uploadsPausedSince(world.nowMs, 9)).toMatchObject([{ path: "/f", paused: true }]);
  expect(reader.uploadsPausedSince(1000, 9)).toEqual([]);
  expect(reader.resumableBytes("/f")).toBe(10);
  expect(reader.resumableBytes("/g")).toBe(0);
});

interface Piece {
  /** Stands for its content. */
  letter: string;
  sizeBytes: number;
}

const size = fc.constantFrom(10, 6);
const letter = fc.constantFrom("a", "b");
const left = fc.array(
  fc.record({
    seq: fc.nat({ max: 4 }),
    sizeBytes: size,
    letter,
    keepers: fc.subarray(["k0", "k1", "k2"], { minLength: 1 }),
  }),
  { maxLength: 8 },
);
/** A file: its chunks have one size, but for the last. */
const wanted = fc.tuple(size, fc.array(letter, { maxLength: 4 }), fc.option(fc.nat({ max: 4 })))
  .map(([sizeBytes, letters, lastBytes]): Piece[] =>
    letters.map((letter, seq) => {
      const isLast = seq === letters.length - 1;
      return { letter, sizeBytes: isLast && lastBytes !== null ? lastBytes + 1 : sizeBytes };
    })
  );

test("whatever an interrupted upload has left, the next one commits what it offers", () => {
  fc.assert(
    fc.property(left, wanted, fc.constantFrom("kept", "silent", "live"), (rows, pieces, how) => {
      using world = new World();
      world.joinKeepers(3);
      let made = 0;
      const labelOf = (letter: string) => `${letter}${String(made++).padStart(3, "0")}`;
      world.do("begin old /f");
      for (const { seq, sizeBytes, letter, keepers } of rows) {
        const label = labelOf(letter);
        world.do(`place old ${seq} ${seq * sizeBytes} ${label} ${sizeBytes} ${keepers.join(",")}`);
      }
      if (how === "kept") world.do("abort -k old");
      world.do(`begin -r ${how === "silent" ? "-i " : ""}new /f`);

      let offset = 0;
      for (const [seq, { letter, sizeBytes }] of pieces.entries()) {
        const there = world.reader.storedChunk(idOf("new"), seq);
        const sums = sumsFor(labelOf(letter), sizeBytes);
        const isSame = there?.offset === offset && there.sizeBytes === sizeBytes &&
          there.keepers.length >= 2 && Buffer.from(there.sums).equals(sums);
        if (!isSame) world.do(`place new ${seq} ${offset} ${labelOf(letter)} ${sizeBytes} k0,k2`);
        offset += sizeBytes;
      }
      const list = pieces.map(({ letter, sizeBytes }) => `${labelOf(letter)}=${sizeBytes}`);
      expect(world.do(`commit new ${list.join(",")}`)).toStartWith(`/f v`);

      expect(world.check()).toEqual([]);
      const { extents } = world.reader.locate("/f", undefined, 0, 9);
      expect(extents.map(({ length, sums }) => [length, sums])).toEqual(
        pieces.map(({ letter, sizeBytes }) => [sizeBytes, sumsFor(`${letter}000`, sizeBytes)]),
      );
      world.do("abort old");
      expect(world.reader.counts().chunks).toBe(pieces.length);
    }),
    { numRuns: 150 },
  );
}, 30_000);

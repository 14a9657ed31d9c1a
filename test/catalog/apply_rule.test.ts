/** Placement rules on record: added, removed, applied; and which copies are misplaced. */
import { describe, expect, test } from "bun:test";
import { World } from "./world.ts";

/** A world with two keepers of videos and two others. */
function makeWorld(): World {
  const world = new World();
  for (const k of ["k0", "k1"]) world.do(`join ${k} 1 kind=other`);
  for (const k of ["k2", "k3"]) world.do(`join ${k} 1 kind=video`);
  return world;
}

function session(world: World, lines: [string, string][]): void {
  for (const [line, verdict] of lines) {
    expect(`${line} → ${world.do(line)}`).toStartWith(
      `${line} → ${verdict}`,
    );
  }
  expect(world.check()).toEqual([]);
}

describe("rules", () => {
  test("rule.add refuses what can't be a rule, and a second one for a pattern", () => {
    using world = new World();
    session(world, [
      ["rule *.mp4 kind=video", "rule 1"],
      ["rule *.mp4 kind=other", 'exists: Cannot add a rule for "*.mp4": this pattern has one'],
      ["rule *.txt _", "invalid: "],
      ["rule /a/ kind=x", 'invalid: Cannot add a rule for "/a/": it ends with a slash'],
      ["rule *.txt _ _ 2", "rule 2"],
      ["rule *.pdf _ disk=ssd", "rule 3"],
      ["unrule 2", "ok"],
      ["unrule 2", "not-found: Cannot remove rule 2: there is none of this number"],
      ["rule *.txt kind=text,disk=hdd", "rule 4"],
    ]);
    expect(world.reader.rules()).toEqual([
      { id: 1, pattern: "*.mp4", require: { kind: "video" }, prefer: {} },
      { id: 3, pattern: "*.pdf", require: {}, prefer: { disk: "ssd" } },
      { id: 4, pattern: "*.txt", require: { disk: "hdd", kind: "text" }, prefer: {} },
    ]);
  });

  test("rulesGeneration grows with each rule that comes or goes, and else never", () => {
    using world = new World();
    world.do("rule a kind=x");
    const before = world.reader.rulesGeneration();
    world.do("rule a kind=x");
    world.do("unrule 7");
    expect(world.reader.rulesGeneration()).toBe(before);
    world.do("unrule 1");
    expect(world.reader.rulesGeneration()).toBe(before + 1);
  });

  test("rule.add takes a thousand rules and no more, nor too many characters", () => {
    using world = new World();
    for (let n = 0; n < 1000; n++) world.do(`rule ${n} kind=x`);
    expect(world.do("rule more kind=x")).toStartWith("limit: ");
    expect(world.reader.rules()).toHaveLength(1000);
    using other = new World();
    for (let n = 100; n < 400; n++) other.do(`rule ${n}${"x".repeat(1000)} kind=x`);
    expect(other.do(`rule ${"y".repeat(1024)} kind=x`)).toStartWith("limit: ");
  });
});

describe("policies", () => {
  test("a chunk counts the copies that its policy forbids, as they come and go", () => {
    using world = makeWorld();
    session(world, [
      ["put /f c kind=video", "/f"],
      ["chunk c", "1 refs, 2/3 copies on 0,1, 2 misplaced"],
      ["stored c 10 k2,k3", "ok"],
      ["chunk c", "1 refs, 4/3 copies on 0,1,2,3, 2 misplaced"],
      ["gone k0 c", "ok"],
      ["chunk c", "1 refs, 3/3 copies on 1,2,3, 1 misplaced"],
      ["release k1 c k0,k1,k2,k3", "none"],
      ["inventory k0 * c=10 last", "0 unknown, 0 missing"],
      ["release k1 c k0,k1,k2,k3", "c"],
      ["chunk c", "1 refs, 3/3 copies on 0,2,3, 1 misplaced"],
    ]);
    expect(world.reader.counts().chunksMisplaced).toBe(1);
    expect(world.reader.misplacedChunks(0, 9)).toMatchObject([{ policy: 1, misplaced: 1 }]);
    world.do("rm /f");
    world.do("purge 9");
    expect(world.reader.counts().chunksMisplaced).toBe(0);
    expect(world.check()).toEqual([]);
  });

  test("equal wishes are one policy, whatever the order of their labels", () => {
    using world = makeWorld();
    session(world, [
      ["put /a a kind=video,disk=hdd", "/a"],
      ["put /b b disk=hdd,kind=video", "/b"],
      ["put /c c kind=video", "/c"],
      ["put /d d", "/d"],
    ]);
    // A keeper that lacks two labels has one misplaced copy.
    expect(world.do("chunk a")).toBe("1 refs, 2/3 copies on 0,1, 2 misplaced");
    const placed = (path: string) => world.reader.placedFile(path, 0, 9)?.chunks[0]?.policy;
    expect(["/a", "/b", "/c", "/d"].map(placed)).toEqual([1, 1, 2, 0]);
    expect(world.reader.policy(1)).toEqual({ require: { disk: "hdd", kind: "video" }, prefer: {} });
    expect(world.reader.policy(0)).toBeUndefined();
  });

  test("rule.apply gives a file goal and policy, and says when all was so already", () => {
    using world = makeWorld();
    session(world, [
      ["put /f c", "/f"],
      ["apply /f 2 kind=video", "changed"],
      ["apply /f 2 kind=video", "as it was"],
      ["chunk c", "1 refs, 2/2 copies on 0,1, 2 misplaced"],
      ["apply /f 2 _ kind=video", "changed"],
      ["chunk c", "1 refs, 2/2 copies on 0,1"],
      ["apply /f 3 _", "changed"],
      ["chunk c", "1 refs, 2/3 copies on 0,1"],
      ["apply /none 3 _", "no file"],
    ]);
    expect(world.reader.getEntry("/f").goal).toBe(3);
    expect(world.reader.counts()).toMatchObject({ chunksShort: 1, chunksMisplaced: 0 });
  });

  test("a chunk of several files has their highest goal, and the places that suit all", () => {
    using world = makeWorld();
    session(world, [
      ["put /f c", "/f"],
      ["cp /f /g", "v"],
      ["apply /f 4 kind=video", "changed"],
      ["chunk c", "2 refs, 2/4 copies on 0,1, 2 misplaced"],
      ["apply /g 2 _", "changed"],
      ["chunk c", "2 refs, 2/4 copies on 0,1, 2 misplaced"],
      ["apply /g 2 kind=other", "changed"],
      ["chunk c", "2 refs, 2/4 copies on 0,1, 2 misplaced"],
      ["apply /f 4 _ kind=video", "changed"],
      ["chunk c", "2 refs, 2/4 copies on 0,1"],
      ["rm /f", "1 files"],
      ["apply /g 2 _", "changed"],
      ["chunk c", "2 refs, 2/2 copies on 0,1"],
    ]);
    expect(world.reader.getEntry("/g").goal).toBe(2);
  });

  test("rule.apply places a part of a large file only", () => {
    using world = makeWorld();
    world.do("begin u /f");
    for (const seq of [0, 1, 2]) world.do(`place u ${seq} ${seq * 10} c${seq} 10 k0,k1`);
    world.do("commit u c0=10,c1=10,c2=10");
    const part = world.reader.placedFile("/f", 1, 1);
    expect(part).toMatchObject({ asked: 0, chunks: [{ goal: 3, policy: 0 }], more: true });
    const policy = { require: { kind: "video" }, prefer: {} };
    const files = [{ inode: part?.inode ?? 0, fromSeq: 1, limit: 1, goal: 3, policy }];
    world.apply({ kind: "rule.apply", files, atMs: 1 });
    const misplaced = ["c0", "c1", "c2"].map((label) => world.do(`chunk ${label}`));
    expect(misplaced.map((line) => line.includes("2 misplaced"))).toEqual([false, true, false]);
    expect(world.check()).toEqual([]);
  });

  test("a keeper with other labels has its copies counted anew, part by part", () => {
    using world = makeWorld();
    for (let n = 0; n < 5; n++) world.do(`put /f${n} c${n} kind=video`);
    session(world, [
      ["join k0 2 kind=other", "number 0"],
      ["recount k0 9", "done"],
      ["join k0 3 kind=video", "number 0"],
      ["chunk c0", "1 refs, 2/3 copies on 0,1, 2 misplaced"],
      ["recount k0 2", "more"],
      ["chunk c1", "1 refs, 2/3 copies on 0,1, 1 misplaced"],
      ["chunk c2", "1 refs, 2/3 copies on 0,1, 2 misplaced"],
      ["stored c4 10 k2", "ok"],
      ["chunk c4", "1 refs, 3/3 copies on 0,1,2, 1 misplaced"],
      ["recount k0 2", "more"],
      ["recount k0 2", "done"],
      ["chunk c2", "1 refs, 2/3 copies on 0,1, 1 misplaced"],
    ]);
  });

  test("the number of copies that a user asked for stays known", () => {
    using world = makeWorld();
    const file = { path: "/f", mode: 0, mtimeMs: 0, owner: "", exclusive: false, replicas: 2 };
    world.store("c", 10, ["k0", "k1"], { commit: { upload: "u", file } });
    world.do("put /g");
    world.apply({ kind: "upload.begin", upload: "v", file, goal: 2, minCopies: 1, atMs: 1 });
    const asked = (path: string) => world.reader.placedFile(path, 0, 1)?.asked;
    expect([asked("/f"), asked("/g")]).toEqual([2, 0]);
    const checksum = "2d06800538d394c2";
    const facts = { upload: "v", sizeBytes: 0, chunks: 0, atMs: 1 };
    world.apply({ kind: "upload.commit", ...facts, checksum });
    expect(asked("/f")).toBe(2);
    world.do("apply /f 5");
    expect(asked("/f")).toBe(2);
  });
});

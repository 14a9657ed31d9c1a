/** `file.stat-many`: the same as `file.stat` tells of each, within what a message carries. */
import { expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import type { Desk } from "../../src/master/rpc/desk.ts";
import { statMany } from "../../src/master/rpc/stat_many.ts";
import { encode, MESSAGE_BYTES_MAX } from "../../src/wire/codec.ts";
import { fileStat } from "../../src/wire/file.ts";
import { fileStatMany, STAT_MANY_MAX } from "../../src/wire/stat_many.ts";
import { FakeStore } from "./fake_store.ts";
import { World } from "./world.ts";

test("file.stat-many tells of each path what file.stat does, and nothing of what is not there", async () => {
  const world = await World.start({ dead_after: "4s", suspect_after: "2s" });
  try {
    await new FakeStore(world).addKeepers(["a", "b", "c"], {});
    await world.put("/d/one");
    await world.putLarge("/d/two", [new Uint8Array(MIB), new Uint8Array(1)]);
    const paths = ["/d/two", "/d/none", "/d", "/", "/d/one", "/d/one/below"];
    const { stats } = await world.ask(fileStatMany, { paths });
    expect(stats.map((stat) => stat?.entry.path)).toEqual(
      ["/d/two", undefined, "/d", "/", "/d/one", undefined],
    );
    for (const path of ["/d/two", "/d", "/", "/d/one"]) {
      const { entry, checksum, replicas } = await world.ask(fileStat, { path });
      expect(stats[paths.indexOf(path)]).toEqual({ entry, checksum, replicas });
    }
  } finally {
    await world.stop();
  }
});

test("file.stat-many stops where a message would grow too large", () => {
  const facts = { kind: "file", size: 5, version: 1, mtimeMs: 7, mode: 0o644, updating: false };
  const owner = "o".repeat(200);
  const reader = {
    getEntry: () => ({ ...facts, inode: 9, checksum: "0".repeat(16), goal: 3, owner }),
  };
  const desk = { reader } as unknown as Desk;
  const paths = Array.from({ length: STAT_MANY_MAX }, (_, n) => `/${"日".repeat(1_000)}${n}`);
  const reply = statMany(desk, { paths });
  expect(reply.stats.length).toBeGreaterThan(50);
  expect(reply.stats.length).toBeLessThan(STAT_MANY_MAX);
  expect(encode(reply).length).toBeLessThan(MESSAGE_BYTES_MAX);
  const short = statMany(desk, { paths: paths.map((_, n) => `/${n}`) });
  expect(encode(short).length).toBeLessThan(MESSAGE_BYTES_MAX);
});

test("what is no error of ours is not taken for a path that is not there", () => {
  const reader = {
    getEntry: () => {
      throw new TypeError("broken");
    },
  };
  expect(() => statMany({ reader } as unknown as Desk, { paths: ["/a"] })).toThrow("broken");
});

/** Paths that settle: when they are handed out, in which order, and what waits for what. */
import { expect, test } from "bun:test";
import type { LocalEntry } from "../../../src/client/trees/local_tree.ts";
import { Settling } from "../../../src/client/watch/settling.ts";
import { ManualClock } from "../../manual_clock.ts";

const signal = new AbortController().signal;

function look(path: string): LocalEntry {
  const facts = { kind: "file", sizeBytes: 1, mtimeMs: 0, mode: 0, inode: 1n, device: 1n } as const;
  return { path, local: path, ...facts };
}

class World {
  readonly clock = new ManualClock();
  readonly settling: Settling;
  readonly taken: string[] = [];

  constructor(max = 100) {
    this.settling = new Settling(this.clock, { settleMs: 100, goneMs: 50, max });
  }

  add(...paths: string[]): void {
    for (const path of paths) this.settling.add({ path, seen: look(path) });
  }

  lose(path: string): void {
    this.settling.add({ path, seen: undefined });
  }

  /** Takes one path, whenever it comes. */
  take(): void {
    void this.settling.take(signal).then((sighting) => this.taken.push(sighting?.path ?? "end"));
  }
}

test("Settling hands a path out when it has settled, and what has gone later", async () => {
  const world = new World();
  world.lose("gone");
  world.add("a");
  world.take();
  world.take();
  await world.clock.advance(99);
  expect(world.taken).toEqual([]);
  await world.clock.advance(1);
  expect(world.taken).toEqual(["a"]);
  await world.clock.advance(50);
  expect(world.taken).toEqual(["a", "gone"]);
});

test("Settling hands out what else is due, up to what is not accepted, and nothing twice", async () => {
  const world = new World();
  world.add("a", "b", "c", "no", "d");
  await world.clock.advance(50);
  world.add("later");
  await world.clock.advance(50);
  const more = (max: number) =>
    world.settling.takeMore(max, ({ path }) => path !== "no").map(({ path }) => path);
  expect(more(2)).toEqual(["a", "b"]);
  expect(more(10)).toEqual(["c"]);
  world.take();
  await world.clock.advance(0);
  expect(world.taken).toEqual(["no"]);
  expect(more(10)).toEqual(["d"]);
  expect(more(10)).toEqual([]);
  world.add("a");
  await world.clock.advance(100);
  // One that is worked on is not handed out again.
  expect(more(10)).toEqual(["later"]);
  world.settling.done("a");
  expect(more(10)).toEqual(["a"]);
});

test("Settling keeps the place of a path that is added again", async () => {
  const world = new World();
  world.add("a");
  await world.clock.advance(60);
  world.add("a");
  world.take();
  await world.clock.advance(40);
  expect(world.taken).toEqual(["a"]);
});

test("Settling lets a path that has come back settle as one that is there", async () => {
  const world = new World();
  world.lose("a");
  await world.clock.advance(20);
  world.add("a");
  world.take();
  await world.clock.advance(99);
  expect(world.taken).toEqual([]);
  await world.clock.advance(1);
  expect(world.taken).toEqual(["a"]);
  expect(world.settling.size).toBe(1);
});

test("Settling hands out no path that is worked on, but does so after that", async () => {
  const world = new World();
  world.add("a");
  world.take();
  await world.clock.advance(100);
  world.add("a");
  world.take();
  await world.clock.advance(1000);
  expect(world.taken).toEqual(["a"]);
  world.settling.done("a");
  await world.clock.advance(0);
  expect(world.taken).toEqual(["a", "a"]);
});

test("Settling hands out what was held when its time has come, or when it is added before", async () => {
  const world = new World();
  world.settling.hold({ path: "a", seen: look("a") }, 1000);
  world.settling.hold({ path: "b", seen: look("b") }, 1000);
  expect(world.settling.size).toBe(0);
  world.add("b");
  world.take();
  world.take();
  await world.clock.advance(100);
  expect(world.taken).toEqual(["b"]);
  await world.clock.advance(900);
  expect(world.taken).toEqual(["b", "a"]);
});

test("Settling makes a path wait for the work on the directories above it", async () => {
  const world = new World();
  world.add("d", "d/e/f", "x");
  for (let n = 0; n < 3; n++) world.take();
  await world.clock.advance(100);
  expect(world.taken).toEqual(["d", "d/e/f", "x"]);
  const passed: string[] = [];
  for (const path of world.taken) {
    void world.settling.turn({ path, seen: look(path) }).then(() => passed.push(path));
  }
  await world.clock.advance(0);
  expect(passed).toEqual(["d", "x"]);
  world.settling.done("d");
  await world.clock.advance(0);
  expect(passed).toEqual(["d", "x", "d/e/f"]);
});

test("Settling makes what has gone wait until it is decided what has appeared before", async () => {
  const world = new World();
  world.add("new");
  world.lose("old");
  world.take();
  world.take();
  await world.clock.advance(150);
  let isTurn = false;
  void world.settling.turn({ path: "old", seen: undefined }).then(() => isTurn = true);
  await world.clock.advance(0);
  expect(isTurn).toBe(false);
  world.settling.decided("new");
  await world.clock.advance(0);
  expect(isTurn).toBe(true);
});

test("Settling passes a mark when all before it was done once, though it may have come back", async () => {
  const world = new World();
  let isPassed = false;
  void world.settling.mark().then(() => isPassed = true);
  await world.clock.advance(0);
  expect(isPassed).toBe(true);
  isPassed = false;
  world.add("a");
  world.lose("b");
  void world.settling.mark().then(() => isPassed = true);
  world.take();
  world.take();
  await world.clock.advance(150);
  world.settling.done("b");
  world.add("a");
  await world.clock.advance(0);
  expect(isPassed).toBe(false);
  world.settling.done("a");
  await world.clock.advance(0);
  expect(isPassed).toBe(true);
});

test("Settling has room again when something is taken", async () => {
  const world = new World(2);
  world.add("a", "b");
  expect(world.settling.full).toBe(true);
  let hasRoom = false;
  void world.settling.room(signal).then(() => hasRoom = true);
  await world.clock.advance(100);
  expect(hasRoom).toBe(false);
  world.take();
  await world.clock.advance(0);
  expect(hasRoom).toBe(true);
});

test("Settling ends what waits when it is closed or aborted", async () => {
  const world = new World();
  world.add("a");
  const aborted = new AbortController();
  const taking = world.settling.take(aborted.signal);
  aborted.abort(new Error("stopped"));
  await expect(taking).rejects.toThrow("stopped");
  world.take();
  world.settling.close();
  await world.clock.advance(0);
  expect(world.taken).toEqual(["end"]);
});

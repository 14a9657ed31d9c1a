/** Following the log: in order, none left out, and on from where it was. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { seededRandom } from "../../../src/base/random.ts";
import type { ClusterEvent, Entry, LoggedEvent } from "../../../src/client/client.ts";
import type { Cursor } from "../../../src/client/events/cursor.ts";
import type {
  FollowerEvent,
  LogClient,
  LogFollowerOptions,
} from "../../../src/client/events/log_follower.ts";
import { LogFollower } from "../../../src/client/events/log_follower.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { ManualClock } from "../../manual_clock.ts";

/** A cluster's log in memory; versions grow faster than numbers, as they do. */
class FakeLog implements LogClient {
  readonly events: LoggedEvent[] = [];
  readonly files = new Map<string, Entry>();
  forgotten = 0;
  isAway = false;
  isDeaf = false;
  pageMax = 500;
  #hear: (event: ClusterEvent) => void = () => {};

  put(path: string, kind: "put" | "replaced" = "put"): void {
    const seq = this.events.length + 1;
    const version = seq * 10;
    const facts = { version, owner: "ann" };
    this.events.push({ seq, kind, atMs: seq, path, entry: "file", ...facts, sizeBytes: 1 });
    this.files.set(path, {
      ...{ path, kind: "file", size: 1, mtimeMs: 0, mode: 0o644, checksum: "", updating: false },
      ...facts,
    });
    if (!this.isDeaf) this.#hear({ kind, atMs: seq, path });
  }

  remove(path: string): void {
    const seq = this.events.length + 1;
    this.events.push({ seq, kind: "removed", atMs: seq, path, entry: "file", version: 1 });
    this.files.delete(path);
    if (!this.isDeaf) this.#hear({ kind: "removed", atMs: seq, path });
  }

  loggedEvents(after: number, limit: number) {
    if (this.isAway) return Promise.reject(new TydfsError("no-master", "Nobody is there"));
    const from = Math.max(after, this.forgotten);
    const events = this.events.slice(from, from + Math.min(limit, this.pageMax));
    return Promise.resolve({ events, forgotten: this.forgotten, latest: this.events.length });
  }

  listen(hear: (event: ClusterEvent) => void): void {
    this.#hear = hear;
  }

  async *list(): AsyncGenerator<Entry> {
    yield* [...this.files.values()];
  }
}

interface Followed {
  handled: string[];
  told: FollowerEvent[];
}

interface FollowOptions extends Partial<LogFollowerOptions> {
  handle?: (event: LoggedEvent) => void | Promise<void>;
  selects?: (event: LoggedEvent) => boolean;
}

class World {
  readonly log = new FakeLog();
  readonly clock = new ManualClock();
  cursor: Cursor | undefined;
  saves = 0;

  start(options: FollowOptions = {}): Followed & { stop: () => Promise<void>; run: Promise<void> } {
    const { handle = () => {}, selects = ({ path }) => !path.startsWith("/other"), ...rest } =
      options;
    const handled: string[] = [];
    const told: FollowerEvent[] = [];
    const stopped = new AbortController();
    const follower = new LogFollower({
      client: this.log,
      clock: this.clock,
      random: seededRandom(1),
      cursors: {
        load: () => this.cursor,
        save: (cursor) => {
          this.cursor = cursor;
          this.saves++;
        },
      },
      selects,
      handle: async (event) => {
        await handle(event);
        handled.push(event.path);
      },
      onEvent: (event) => void told.push(event),
    }, { fromStart: false, hearsPuts: true, once: false, ...rest });
    const run = follower.run(stopped.signal);
    run.catch(() => {});
    const stop = async () => {
      stopped.abort(new Error("stopped"));
      await run.catch((error) => {
        if (error.message !== "stopped") throw error;
      });
    };
    return { handled, told, stop, run };
  }

  /** Follows to the end of the log. */
  async once(options: FollowOptions = {}): Promise<Followed> {
    const { run, handled, told } = this.start({ once: true, ...options });
    await run;
    return { handled, told };
  }
}

test("LogFollower begins with what happens from now on, or from the start", async () => {
  const world = new World();
  world.log.put("/a");
  expect((await world.once()).handled).toEqual([]);
  world.log.put("/b");
  expect((await world.once()).handled).toEqual(["/b"]);
  world.cursor = undefined;
  expect((await world.once({ fromStart: true })).handled).toEqual(["/a", "/b"]);
});

test("LogFollower keeps the place of a new one before anything happens", async () => {
  const world = new World();
  world.log.put("/a");
  await world.once();
  expect(world.cursor).toEqual({ seq: 1, version: 10 });
});

test("LogFollower hands on what is selected, in order, over all pages", async () => {
  const world = new World();
  world.log.pageMax = 2;
  for (const path of ["/a", "/other", "/b", "/c", "/other2", "/a"]) world.log.put(path);
  const { handled } = await world.once({ fromStart: true });
  expect(handled).toEqual(["/a", "/b", "/c", "/a"]);
  expect(world.cursor).toEqual({ seq: 6, version: 60 });
});

test("LogFollower wakes when something is heard, and looks by itself when nothing is", async () => {
  const world = new World();
  const { handled, stop } = world.start();
  await world.clock.advance(10);
  world.log.put("/a");
  await world.clock.advance(0);
  expect(handled).toEqual(["/a"]);
  world.log.isDeaf = true;
  world.log.put("/b");
  await world.clock.advance(100);
  expect(handled).toEqual(["/a"]);
  await world.clock.advance(6_000);
  expect(handled).toEqual(["/a", "/b"]);
  await stop();
});

test("LogFollower moves on only when an event was handled", async () => {
  const world = new World();
  world.log.put("/a");
  world.log.put("/b");
  const handle = ({ path }: LoggedEvent) => {
    if (path === "/b") throw new Error("crashed");
  };
  await expect(world.once({ fromStart: true, handle })).rejects.toThrow("crashed");
  expect(world.cursor?.seq).toBe(1);
  expect((await world.once()).handled).toEqual(["/b"]);
});

test("LogFollower waits for an absent master, and goes on", async () => {
  const world = new World();
  const { handled, told, stop } = world.start();
  await world.clock.advance(10);
  world.log.isAway = true;
  world.log.put("/a");
  await world.clock.advance(60_000);
  expect(told.map(({ kind }) => kind)).toEqual(["following", "away"]);
  world.log.isAway = false;
  await world.clock.advance(60_000);
  expect(handled).toEqual(["/a"]);
  expect(told.map(({ kind }) => kind)).toEqual(["following", "away", "back"]);
  await stop();
});

test("LogFollower takes files for puts that the log has forgotten", async () => {
  const world = new World();
  world.log.put("/old");
  await world.once();
  for (const path of ["/a", "/other", "/gone", "/b"]) world.log.put(path);
  world.log.remove("/gone");
  world.log.put("/c");
  world.log.forgotten = 5;
  const selects = ({ kind, path }: LoggedEvent) => kind === "put" && path !== "/other";
  const { handled, told } = await world.once({ selects });
  expect(handled).toEqual(["/a", "/b", "/c"]);
  expect(told).toContainEqual({ kind: "forgotten", count: 4, recovers: true });
  expect(world.cursor).toEqual({ seq: 7, version: 70 });
});

test("LogFollower goes on in the middle of forgotten puts", async () => {
  const world = new World();
  await world.once();
  for (const path of ["/a", "/b", "/c"]) world.log.put(path);
  world.log.forgotten = 3;
  const handle = ({ path }: LoggedEvent) => {
    if (path === "/b") throw new Error("crashed");
  };
  await expect(world.once({ handle })).rejects.toThrow("crashed");
  expect((await world.once()).handled).toEqual(["/b", "/c"]);
});

test("LogFollower says what is lost where files can't tell", async () => {
  const world = new World();
  world.log.put("/a");
  await world.once();
  for (let n = 0; n < 4; n++) world.log.remove("/a");
  world.log.forgotten = 4;
  const { handled, told } = await world.once({
    hearsPuts: false,
    selects: ({ kind }) => kind === "removed",
  });
  expect(handled).toEqual(["/a"]);
  expect(told).toContainEqual({ kind: "forgotten", count: 3, recovers: false });
});

test("LogFollower goes to the end of a log that is shorter than its place", async () => {
  const world = new World();
  world.log.put("/a");
  world.cursor = { seq: 100, version: 1000 };
  const { handled, told } = await world.once();
  expect(handled).toEqual([]);
  expect(told).toContainEqual({ kind: "shorter", seq: 100, latest: 1 });
  world.log.put("/b");
  expect((await world.once()).handled).toEqual(["/b"]);
});

test("LogFollower writes its place once a page where nothing is selected", async () => {
  const world = new World();
  for (let n = 0; n < 1000; n++) world.log.put("/other");
  await world.once({ fromStart: true });
  expect(world.cursor?.seq).toBe(1000);
  expect(world.saves).toBeLessThanOrEqual(4);
});

test("LogFollower misses no put, whatever is forgotten and whenever it crashes", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant("put" as const), name: fc.integer({ min: 0, max: 9 }) }),
    fc.record({ kind: fc.constant("forget" as const), keep: fc.integer({ min: 0, max: 5 }) }),
    fc.record({ kind: fc.constant("follow" as const), crashAfter: fc.integer({ max: 6, min: 0 }) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const world = new World();
      world.log.pageMax = 3;
      await world.once();
      const versions = new Map<string, number>();
      const handle = (event: LoggedEvent) => void versions.set(event.path, event.version ?? 0);
      for (const each of steps) {
        if (each.kind === "put") world.log.put(`/${each.name}`);
        if (each.kind === "forget") {
          const { length } = world.log.events;
          world.log.forgotten = Math.max(world.log.forgotten, length - each.keep);
        }
        if (each.kind !== "follow") continue;
        let left = each.crashAfter;
        await world.once({
          handle: (event) => {
            if (left-- === 0) throw new Error("crashed");
            handle(event);
          },
        }).catch(() => {});
      }
      await world.once({ handle });
      // Of each file, the last version was handled, whatever became of those before.
      for (const [path, { version }] of world.log.files) expect(versions.get(path)).toBe(version);
    }),
    { numRuns: 200 },
  );
});

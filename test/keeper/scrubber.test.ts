/** The scrubber on virtual time, over a disk of made-up chunks. */
import { afterEach, expect, test } from "bun:test";
import { MIB } from "../../src/base/bytes.ts";
import { silentLog } from "../../src/base/log.ts";
import { seededRandom } from "../../src/base/random.ts";
import type { Pace } from "../../src/chunks/block_check.ts";
import type { ChunkState } from "../../src/chunks/chunk_store.ts";
import type { Disk } from "../../src/chunks/disk.ts";
import { systemDisk } from "../../src/chunks/disk.ts";
import { ScrubShare } from "../../src/keeper/scrub_share.ts";
import type { ScrubberOptions } from "../../src/keeper/scrubber.ts";
import { Scrubber } from "../../src/keeper/scrubber.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { makeId } from "../../src/wire/ids.ts";
import { ManualClock } from "../manual_clock.ts";

// Its own, so that the ids are the same whichever tests run before.
const random = seededRandom(7);

/** Files in memory, for the record. */
function memoryDisk(files: Map<string, Uint8Array>): Disk {
  return {
    ...systemDisk("/nonexistent"),
    read: (path) => Promise.resolve(files.get(path)),
    async write(path, pieces) {
      for await (const piece of pieces) files.set(path, piece);
    },
    rename(from, to) {
      files.set(to, files.get(from) ?? new Uint8Array());
      files.delete(from);
    },
    remove: (path) => Promise.resolve(files.delete(path)),
    syncDirectory: () => Promise.resolve(),
  };
}

class FakeStore {
  readonly chunks = new Map<string, { state: ChunkState; sizeBytes: number }>();
  /** Times at which each chunk was read. */
  readonly reads = new Map<string, number[]>();
  readonly asideIds: string[] = [];
  readonly failures = new Map<string, number>();
  isReadOnly = false;
  readonly #clock: ManualClock;

  constructor(clock: ManualClock) {
    this.#clock = clock;
  }

  add(sizeBytes = MIB, state: ChunkState = "good"): string {
    const id = makeId(random);
    this.chunks.set(id, { state, sizeBytes });
    return id;
  }

  async *ids(after: string): AsyncIterable<string> {
    yield* [...this.chunks.keys()].filter((id) => id > after).sort();
  }

  sizeOf(id: string): number | undefined {
    return this.chunks.get(id)?.sizeBytes;
  }

  async verify(id: string, pace?: Pace): Promise<ChunkState> {
    const failures = this.failures.get(id) ?? 0;
    if (failures > 0) {
      this.failures.set(id, failures - 1);
      throw new TydfsError("unavailable", "Cannot read now: EMFILE");
    }
    const chunk = this.chunks.get(id);
    if (chunk === undefined) return "missing";
    for (let at = 0; at < chunk.sizeBytes; at += MIB) await pace?.(MIB);
    this.reads.set(id, [...this.reads.get(id) ?? [], this.#clock.monotonicMs()]);
    return chunk.state;
  }

  durable(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async quarantine(id: string): Promise<boolean> {
    if (this.isReadOnly) throw Object.assign(new Error("EROFS"), { code: "EROFS" });
    if (!this.chunks.delete(id)) return false;
    this.asideIds.push(id);
    return true;
  }
}

function makeWorld() {
  const clock = new ManualClock();
  const store = new FakeStore(clock);
  const files = new Map<string, Uint8Array>();
  const share = new ScrubShare();
  const lost: string[] = [];
  const stops: (() => Promise<void>)[] = [];
  let streams = 0;
  return {
    ...{ clock, store, files, share, lost, stops },
    want: (count: number) => streams = count,
    run(more: Partial<ScrubberOptions> = {}) {
      const stop = new AbortController();
      const scrubber = new Scrubber({
        ...{ store, share, clock, log: silentLog, disk: memoryDisk(files) },
        reporter: { lostLater: (chunk, reason) => void lost.push(`${reason} ${chunk}`) },
        ...{ periodMs: 1_000_000, bytesPerSecond: 0, streams: () => streams },
        signal: stop.signal,
        ...more,
      });
      const running = scrubber.run();
      stops.push(async () => {
        stop.abort(new TydfsError("interrupted", "The test is over"));
        await clock.runUntil(running);
      });
      return stops.at(-1) as () => Promise<void>;
    },
  };
}

let world: ReturnType<typeof makeWorld>;
afterEach(async () => {
  for (const stop of world.stops) await stop();
});

test("Scrubber reads every chunk once in a period, also those that come meanwhile", async () => {
  world = makeWorld();
  const { clock, store, share } = world;
  const chunks = Array.from({ length: 40 }, () => store.add());
  world.run();
  const startMs = clock.monotonicMs();
  const added: [string, number][] = [];
  for (let turn = 0; turn < 10; turn++) {
    await clock.advance(250_000);
    added.push([store.add(), clock.monotonicMs()]);
  }
  for (const [id, sinceMs] of [...chunks.map((id) => [id, startMs] as const), ...added]) {
    let lastMs = sinceMs;
    for (const atMs of [...store.reads.get(id) ?? [], clock.monotonicMs()]) {
      expect(atMs - lastMs).toBeLessThan(1_000_000);
      lastMs = atMs;
    }
  }
  // Evenly: after a tenth of a pass about a tenth is read, and no chunk twice in one pass.
  expect(share.passes).toBe(2);
  for (const id of chunks) expect(store.reads.get(id)?.length).toBeOneOf([2, 3]);
  const { passedMs, beganMs, dueMs, running } = share.progress;
  expect([running, passedMs === beganMs, dueMs - beganMs]).toEqual([true, true, 1_000_000]);
}, 30_000);

test("Scrubber goes no faster than it may when it is late, and half as fast for others", async () => {
  world = makeWorld();
  const { clock, store, share } = world;
  for (let n = 0; n < 40; n++) store.add(2 * MIB);
  world.run({ periodMs: 10_000, bytesPerSecond: MIB });
  await clock.advance(40_000);
  expect(share.passes).toBe(0);
  expect(share.progress.doneBytes / MIB).toBeWithin(30, 41);
  expect(share.progress.totalBytes).toBe(80 * MIB);
  expect(clock.wallMs()).toBeGreaterThan(share.progress.dueMs);
  const before = share.progress.doneBytes;
  world.want(1);
  await clock.advance(20_000);
  expect((share.progress.doneBytes - before) / MIB).toBeWithin(9, 12);
});

test("Scrubber counts what lands during a pass", async () => {
  world = makeWorld();
  const { clock, store, share } = world;
  world.run({ periodMs: 10_000_000 });
  await clock.advance(10_000);
  expect(share.progress.totalBytes).toBe(0);
  for (let n = 0; n < 20; n++) store.add();
  await clock.advance(60_000);
  expect(share.progress.totalBytes).toBe(20 * MIB);
});

test("Scrubber begins at once and without the cap when it is asked to", async () => {
  world = makeWorld();
  const { clock, store, share } = world;
  for (let n = 0; n < 20; n++) store.add();
  world.run({ bytesPerSecond: 1024 });
  await clock.advance(3_000);
  share.request();
  await clock.advance(3_000);
  expect(share.passes).toBe(1);
  expect(store.reads.size).toBe(20);
  const { beganMs } = share.progress;
  // The usual pass follows it.
  await clock.advance(50_000);
  expect([share.passes, share.progress.beganMs]).toEqual([1, beganMs]);
});

test("Scrubber takes what is asked for twice in a row as one wish, and a later one as another", async () => {
  world = makeWorld();
  const { clock, store, share } = world;
  for (let n = 0; n < 40; n++) store.add();
  // With others on the disk, time passes: each block rests as long as it took.
  const slow = store.verify.bind(store);
  store.verify = async (id, pace) => {
    await clock.sleep(1_000);
    return await slow(id, pace);
  };
  world.run();
  share.request();
  await clock.advance(5_000);
  share.request();
  await clock.advance(60_000);
  expect(share.passes).toBe(1);
  share.request();
  await clock.advance(30_000);
  share.request();
  await clock.advance(30_000);
  expect(share.passes).toBe(2);
  await clock.advance(60_000);
  expect(share.passes).toBe(3);
});

test("Scrubber puts what is bad aside and tells it; what can't be read now is left alone", async () => {
  world = makeWorld();
  const { clock, store, share, lost } = world;
  const good = store.add();
  const bad = store.add(MIB, "corrupt");
  const short = store.add();
  const stuck = store.add();
  const gone = store.add();
  store.failures.set(short, 2).set(stuck, 1000);
  world.run();
  share.request();
  const verify = store.verify.bind(store);
  store.verify = async (id, pace) => {
    if (id === gone) store.chunks.delete(gone);
    return await verify(id, pace);
  };
  await clock.advance(30_000);
  expect(share.passes).toBe(1);
  expect(lost).toEqual([`corrupt ${bad}`]);
  expect(store.asideIds).toEqual([bad]);
  // The pass after it may have come to it again.
  expect(store.reads.get(short)?.length).toBeGreaterThan(0);
  expect(store.reads.has(stuck)).toBe(false);
  expect([...store.chunks.keys()].sort()).toEqual([good, short, stuck].sort());
});

test("Scrubber tells of a bad chunk that a read-only disk can't put aside, and goes on", async () => {
  world = makeWorld();
  const { clock, store, share, lost } = world;
  const bad = [store.add(MIB, "corrupt"), store.add(MIB, "corrupt")];
  store.isReadOnly = true;
  world.run();
  share.request();
  await clock.advance(5_000);
  expect(share.passes).toBe(1);
  expect(lost.sort()).toEqual(bad.map((id) => `corrupt ${id}`).sort());
});

test("Scrubber goes on where it was after a restart; a malformed record begins anew", async () => {
  world = makeWorld();
  const { clock, store, share, files } = world;
  for (let n = 0; n < 60; n++) store.add();
  const stop = world.run();
  await clock.advance(450_000);
  await stop();
  const half = store.reads.size;
  expect(half).toBeWithin(15, 46);
  const { beganMs, doneBytes } = share.progress;
  await clock.advance(100_000);
  const again = world.run();
  await clock.advance(200_000);
  expect(share.progress.beganMs).toBe(beganMs);
  expect(share.progress.doneBytes).toBeGreaterThan(doneBytes);
  await clock.advance(200_000);
  // In time all the same: the pace has made up for the pause.
  expect(share.passes).toBe(1);
  for (const [, reads] of store.reads) expect(reads.length).toBeLessThan(3);
  expect(store.reads.size).toBe(60);
  await again();
  files.set("scrub.json", new TextEncoder().encode('{"position": "../../x"}'));
  world.run();
  await clock.advance(1_000);
  expect(share.progress.beganMs).toBeGreaterThan(beganMs + 500_000);
});

/**
 * The shipper on virtual time: who is answered when; keepers that are slow, dead or refuse; what is
 * sent again, and what is given up.
 */
import { expect, test } from "bun:test";
import { silentLog } from "../../src/base/log.ts";
import type { KeeperRecord } from "../../src/catalog/reader.ts";
import { chainBytes, type CommittedBatch } from "../../src/catalog/writer.ts";
import { JournalShipper } from "../../src/master/journal_shipper.ts";
import type { TailFile } from "../../src/master/archive_files.ts";
import { JournalTail } from "../../src/master/journal_tail.ts";
import { ArchiveTable } from "../../src/tables/archive_table.ts";
import type { KeeperRow } from "../../src/tables/keeper_table.ts";
import { commandJournal, type JournalPiece } from "../../src/wire/archive.ts";
import { serve } from "../../src/wire/bus.ts";
import { encode } from "../../src/wire/codec.ts";
import { TydfsError } from "../../src/wire/errors.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { ManualClock } from "../manual_clock.ts";
import { FakeBus } from "./fake_bus.ts";

const subjects = subjectsOf("main");
const idOf = (number: number) => String(number).padStart(32, "0");

type Mood = "good" | "hangs" | "refuses";

/** Keepers that take the journal, or not. */
class Keepers {
  readonly clock = new ManualClock();
  readonly bus = new FakeBus(this.clock);
  readonly table = new ArchiveTable();
  readonly moods: Mood[] = [];
  readonly alive: boolean[] = [];
  readonly got: JournalPiece[][] = [];
  readonly files: string[][] = [];
  readonly zones: string[];
  #hash: Uint8Array = new Uint8Array(32);
  sequence = 0;

  constructor(zones: string[]) {
    this.zones = zones;
    zones.forEach((_, number) => {
      this.moods.push("good");
      this.alive.push(true);
      this.got.push([]);
      this.files.push([]);
      const on = { onFailure: () => {} };
      const subject = subjects.command(idOf(number), commandJournal.name);
      serve(this.bus, subject, commandJournal, on, ({ piece, file }) => {
        if (this.moods[number] === "refuses") throw new TydfsError("no-space", "It is full");
        if (this.moods[number] === "hangs") return new Promise<never>(() => {});
        this.got[number]?.push(piece);
        this.files[number]?.push(file);
        return {};
      });
    });
  }

  shipper(more: { copies?: number; bufferMax?: number; tail?: JournalTail } = {}): JournalShipper {
    const roster = this.zones.map((zone, number) => ({
      ...{ number, id: idOf(number), labels: { zone } },
    })) as unknown as KeeperRecord[];
    const find = (number: number) =>
      ({ state: this.alive[number] ? "ALIVE" : "DEAD", readOnly: false }) as KeeperRow;
    const shipper = new JournalShipper({
      ...{ copies: 2, cluster: "main", subjects, sealedKey: "ab".repeat(32) },
      mark: { sequence: this.sequence, hash: this.#hash.toHex() },
      ...{ catalog: "c".repeat(32), bus: this.bus, table: this.table, clock: this.clock },
      ...{ roster: { all: () => roster }, keepers: { find }, log: silentLog },
      ...more,
    });
    shipper.start(7);
    return shipper;
  }

  get hash(): string {
    return this.#hash.toHex();
  }

  /** The next batch of the history. */
  batch(operations = 1, bytesEach = 10): CommittedBatch {
    const from = this.sequence + 1;
    const hashBefore = this.#hash;
    const list = Array.from(
      { length: operations },
      (_, n) => encode({ n: from + n, fill: "x".repeat(bytesEach) }),
    );
    for (const bytes of list) this.#hash = chainBytes(this.#hash, bytes);
    this.sequence += operations;
    return { from, to: this.sequence, hashBefore, operations: list };
  }

  /** Ships a batch; whether its callers are answered is told by `isDone`. */
  ship(shipper: JournalShipper, batch = this.batch()): { isDone: () => boolean } {
    let isDone = false;
    const shipped = shipper.ship(batch);
    if (shipped === undefined) isDone = true;
    else void shipped.then(() => isDone = true);
    return { isDone: () => isDone };
  }

  /** The operations that a keeper has, as runs. */
  has(number: number): string {
    return (this.got[number] ?? []).map(({ from, to }) => `${from}-${to}`).join(" ");
  }

  async settle(): Promise<void> {
    for (let turn = 0; turn < 5; turn++) await this.clock.advance(0);
  }
}

test("JournalShipper answers when as many keepers as it takes have it, in distinct zones", async () => {
  const keepers = new Keepers(["a", "a", "b"]);
  const shipper = keepers.shipper();
  const one = keepers.ship(shipper);
  expect(one.isDone()).toBe(false);
  await keepers.settle();
  expect(one.isDone()).toBe(true);
  expect([0, 1, 2].map((number) => keepers.has(number))).toEqual(["1-1", "", "1-1"]);
  expect(keepers.got[0]?.[0]).toMatchObject({ epoch: 7, cluster: "main", key: "ab".repeat(32) });
  expect(keepers.files[0]).toEqual([`journal-${"c".repeat(32)}-1`]);
  const progress = { base: 0, sequence: 1, shipped: 1, lost: 0, keepers: 2 };
  expect(keepers.table.readJournal()).toMatchObject(progress);
  expect(keepers.table.archived()).toBe(1);
  shipper.stop();
});

test("JournalShipper waits for nobody where there is nobody, and sends all when one comes", async () => {
  const keepers = new Keepers(["a"]);
  keepers.alive[0] = false;
  const shipper = keepers.shipper();
  expect(keepers.ship(shipper).isDone()).toBe(true);
  expect(keepers.ship(shipper, keepers.batch(3)).isDone()).toBe(true);
  expect(keepers.table.archived()).toBe(0);
  keepers.alive[0] = true;
  await keepers.clock.advance(1_000);
  await keepers.settle();
  expect(keepers.has(0)).toBe("1-4");
  expect(keepers.table.archived()).toBe(4);
  // One keeper is all there is: it is enough.
  const last = keepers.ship(shipper);
  await keepers.settle();
  expect(last.isDone()).toBe(true);
  shipper.stop();
});

test("JournalShipper passes over a keeper that hangs: callers wait a second, once", async () => {
  const keepers = new Keepers(["a", "b", "c"]);
  keepers.moods[1] = "hangs";
  const shipper = keepers.shipper();
  const one = keepers.ship(shipper);
  await keepers.clock.advance(500);
  const two = keepers.ship(shipper);
  expect(one.isDone()).toBe(false);
  await keepers.clock.advance(500);
  await keepers.settle();
  expect([one.isDone(), two.isDone()]).toEqual([true, true]);
  // Another has taken its place, and got what was missing.
  expect(keepers.has(2)).toBe("1-2");
  const three = keepers.ship(shipper);
  await keepers.settle();
  expect(three.isDone()).toBe(true);
  expect(keepers.table.archived()).toBe(3);
  shipper.stop();
});

test("JournalShipper takes another keeper at once for one that refuses or is gone", async () => {
  for (const mood of ["refuses", "gone"] as const) {
    const keepers = new Keepers(["a", "b", "c"]);
    if (mood === "refuses") keepers.moods[0] = "refuses";
    else {keepers.bus.request = new Proxy(keepers.bus.request, {
        apply: (target, self, all: [string]) =>
          all[0].includes(idOf(0))
            ? Promise.reject(new TydfsError("unavailable", "Nobody answers"))
            : Reflect.apply(target, self, all),
      });}
    const shipper = keepers.shipper();
    const one = keepers.ship(shipper);
    await keepers.settle();
    expect(one.isDone()).toBe(true);
    expect([1, 2].map((number) => keepers.has(number))).toEqual(["1-1", "1-1"]);
    shipper.stop();
  }
});

test("JournalShipper with all keepers hanging answers after the wait, and sends it all later", async () => {
  const keepers = new Keepers(["a", "b"]);
  keepers.moods.fill("hangs");
  const shipper = keepers.shipper();
  const one = keepers.ship(shipper);
  await keepers.clock.advance(999);
  expect(one.isDone()).toBe(false);
  await keepers.clock.advance(1);
  await keepers.settle();
  expect(one.isDone()).toBe(true);
  expect(keepers.table.archived()).toBe(0);
  // Nobody is left to wait for.
  expect(keepers.ship(shipper).isDone()).toBe(true);
  keepers.moods.fill("good");
  await keepers.clock.advance(12_000);
  await keepers.settle();
  expect(keepers.has(0)).toBe("1-2");
  expect(keepers.has(1)).toBe("1-2");
  expect(keepers.table.archived()).toBe(2);
  shipper.stop();
});

test("JournalShipper sends what waited together in one piece, and cuts large batches", async () => {
  const keepers = new Keepers(["a", "b"]);
  const shipper = keepers.shipper();
  for (let n = 0; n < 5; n++) keepers.ship(shipper);
  await keepers.settle();
  // The first left alone, since nothing was under way; the others followed it in one.
  expect(keepers.has(0)).toBe("1-1 2-5");
  keepers.ship(shipper, keepers.batch(30, 50_000));
  await keepers.settle();
  for (const { operations } of keepers.got[0] ?? []) {
    expect(operations.length).toBeLessThan(600 * 1024);
  }
  expect(keepers.got[0]?.at(-1)?.to).toBe(35);
  const runs = keepers.got[0] ?? [];
  runs.slice(1).forEach((piece, n) => expect(piece.from).toBe((runs[n]?.to ?? 0) + 1));
  expect(keepers.table.archived()).toBe(35);
  shipper.stop();
});

test("JournalShipper lets what nobody waits for go with the next, or after a moment", async () => {
  const keepers = new Keepers(["a", "b"]);
  const shipper = keepers.shipper();
  expect(shipper.ship(keepers.batch(), false)).toBeUndefined();
  await keepers.settle();
  expect(keepers.has(0)).toBe("");
  keepers.ship(shipper);
  await keepers.settle();
  expect(keepers.has(0)).toBe("1-2");
  expect(shipper.ship(keepers.batch(), false)).toBeUndefined();
  await keepers.clock.advance(100);
  await keepers.settle();
  expect(keepers.has(0)).toBe("1-2 3-3");
  expect(keepers.table.archived()).toBe(3);
  shipper.stop();
});

test("JournalShipper gives up the oldest when its room is full, and says so", async () => {
  const keepers = new Keepers(["a", "b"]);
  keepers.alive.fill(false);
  const shipper = keepers.shipper({ bufferMax: 10_000 });
  for (let n = 0; n < 20; n++) keepers.ship(shipper, keepers.batch(1, 1_000));
  const { lost } = keepers.table.readJournal();
  expect(lost).toBeGreaterThan(8);
  keepers.alive.fill(true);
  await keepers.clock.advance(1_000);
  await keepers.settle();
  expect(keepers.has(0)).toBe(`${lost + 1}-20`);
  // Without a snapshot that covers what was given up, nothing counts.
  expect(keepers.table.archived()).toBe(0);
  keepers.table.putSnapshot({ sequence: lost, madeMs: 1, copies: 2, newer: 0 });
  expect(keepers.table.archived()).toBe(20);
  shipper.stop();
});

test("JournalShipper begins a new file behind each snapshot, and ships nothing for 0 copies", async () => {
  const keepers = new Keepers(["a", "b"]);
  const shipper = keepers.shipper();
  keepers.ship(shipper);
  await keepers.settle();
  keepers.table.putSnapshot({ sequence: 1, madeMs: 1, copies: 2, newer: 0 });
  keepers.ship(shipper);
  await keepers.settle();
  const name = `journal-${"c".repeat(32)}`;
  expect(keepers.files[0]).toEqual([`${name}-1`, `${name}-2`]);
  shipper.stop();

  const none = new Keepers(["a"]);
  const idle = none.shipper({ copies: 0 });
  expect(none.ship(idle).isDone()).toBe(true);
  await none.clock.advance(5_000);
  expect(none.has(0)).toBe("");
});

/** The file of the journal's end, in memory. */
class MemoryTail {
  bytes: Uint8Array = new Uint8Array(0);
  read = () => this.bytes;
  append = (more: Uint8Array) => void (this.bytes = Buffer.concat([this.bytes, more]));
  empty = () => void (this.bytes = new Uint8Array(0));
}

function tailOver(memory: MemoryTail, emptyBytes?: number): JournalTail {
  return new JournalTail(memory as unknown as TailFile, silentLog, emptyBytes);
}

test("JournalShipper of a restarted master ships again what may not have reached keepers", async () => {
  const keepers = new Keepers(["a", "b"]);
  keepers.alive.fill(false);
  const memory = new MemoryTail();
  const killed = keepers.shipper({ tail: tailOver(memory) });
  keepers.ship(killed);
  keepers.ship(killed, keepers.batch(3));
  // Nothing more is heard of it.
  keepers.alive.fill(true);
  const next = keepers.shipper({ tail: tailOver(memory) });
  await keepers.settle();
  expect(keepers.has(0)).toBe("1-4");
  keepers.ship(next);
  await keepers.settle();
  expect(keepers.has(1)).toBe("1-4 5-5");
  expect(keepers.table.archived()).toBe(5);
  next.stop();
});

test("JournalTail is emptied when all is shipped, and useless when it is torn or of another history", async () => {
  const keepers = new Keepers(["a", "b"]);
  const memory = new MemoryTail();
  const shipper = keepers.shipper({ tail: tailOver(memory, 100) });
  keepers.ship(shipper, keepers.batch(1, 500));
  expect(memory.bytes.length).toBeGreaterThan(500);
  await keepers.settle();
  expect(memory.bytes.length).toBe(0);
  shipper.stop();

  const batches = [keepers.batch(2), keepers.batch(1)];
  const mark = { sequence: keepers.sequence, hash: keepers.hash };
  const fill = () => batches.forEach((batch) => tailOver(memory).add(batch));
  fill();
  expect(tailOver(memory).open(mark).map(({ from, to }) => [from, to])).toEqual([[2, 3], [4, 4]]);
  expect(tailOver(memory).open({ ...mark, sequence: 5 })).toEqual([]);
  expect(memory.bytes.length).toBe(0);
  fill();
  expect(tailOver(memory).open({ ...mark, hash: "00".repeat(32) })).toEqual([]);
  fill();
  memory.bytes = memory.bytes.slice(0, -3);
  expect(tailOver(memory).open(mark)).toEqual([]);
});

test("JournalShipper that stops answers whoever waits", async () => {
  const keepers = new Keepers(["a"]);
  keepers.moods[0] = "hangs";
  const shipper = keepers.shipper();
  const one = keepers.ship(shipper);
  shipper.stop();
  await keepers.settle();
  expect(one.isDone()).toBe(true);
});

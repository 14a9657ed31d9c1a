/** Pictures of `top`, exactly, at the widths that people have. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { plain } from "../../../src/cli/color.ts";
import type { TopState } from "../../../src/cli/screen/top_view.ts";
import { renderTop, SORT_KEYS } from "../../../src/cli/screen/top_view.ts";
import { largeStatus, STATUS } from "../some_status.ts";

const MIB = 2 ** 20;

const RATE = { inBytes: 12.5 * MIB, outBytes: 0 };

const STATE: TopState = {
  status: STATUS,
  rates: new Map([["0".repeat(32), { inBytes: 12.5 * MIB, outBytes: 340 * MIB }]]),
  silentMs: undefined,
  paused: false,
  intervalMs: 1000,
  sort: "name",
  scroll: 0,
};

function picture(columns: number, rows: number | undefined, state: Partial<TopState> = {}) {
  return renderTop({ ...STATE, ...state }, { columns, rows, paint: plain });
}

test("renderTop at 80 columns", () => {
  expect(picture(80, 12)).toEqual([
    "tydfs main · up 3 min 5 s · master 0.1.0 · NATS 2.15.1",
    "1 file, 3 GiB in 48 chunks · 45 with all copies, 2 short, 1 out of reach",
    "Repairs: 1 running, 1 queued, done in about 3 s",
    "Keepers 1/2 alive · streams 8/16 · in 12.5 MiB/s, out 340 MiB/s · 512 GiB free",
    "",
    "KEEPER  STATE        FREE  USED            IN/s     OUT/s  PORTS",
    "barn-1  ALIVE     512 GiB  ███░░ 50 %  12.5 MiB   340 MiB  7000 0/8, 7001 8/8",
    "k2      DEAD         17 B  █████ 99 %         -         -  7000 off",
    "",
    "",
    "",
    "q quit · p pause · +/- each 1 s · s sort: name",
  ]);
});

test("renderTop at 160 columns", () => {
  expect(picture(160, 9)).toEqual([
    "tydfs main · up 3 min 5 s · master 0.1.0 · NATS 2.15.1",
    "1 file, 3 GiB in 48 chunks · 45 with all copies, 2 short, 1 out of reach",
    "Repairs: 1 running, 1 queued, done in about 3 s",
    "Keepers 1/2 alive · streams 8/16 · in 12.5 MiB/s, out 340 MiB/s · 512 GiB free",
    "",
    "KEEPER  STATE    HOST          FREE  TOTAL  USED        CHUNKS      IN/s     OUT/s   BEAT  " +
    "PORTS",
    "barn-1  ALIVE    10.0.0.7   512 GiB  1 TiB  ███░░ 50 %    1200  12.5 MiB   340 MiB    0 s  " +
    "7000 0/8, 7001 8/8",
    "k2      DEAD     10.0.0.8      17 B  1 GiB  █████ 99 %       3         -         -  never  " +
    "7000 off",
    "q quit · p pause · +/- each 1 s · s sort: name",
  ]);
});

test("renderTop of a dozen keepers at 80 × 24, and what scrolls", () => {
  const status = largeStatus(12);
  const lines = picture(80, 24, { status, rates: new Map() });
  expect(lines).toHaveLength(24);
  expect(lines.slice(1, 9)).toEqual([
    "1 file, 3 GiB in 48 chunks · all copies there",
    "No repairs are due",
    "Keepers 12/12 alive · streams 68/192 · 19.5 TiB free",
    "",
    "KEEPER   STATE        FREE  USED            IN/s     OUT/s  PORTS",
    "barn-1   ALIVE     256 GiB  █████ 93 %         -         -  7000 0/8, 7001 0/8",
    "barn-2   ALIVE     512 GiB  ████░ 87 %         -         -  7000 1/8, 7001 1/8",
    "barn-3   ALIVE     768 GiB  ████░ 81 %         -         -  7000 2/8, 7001 2/8",
  ]);
  const few = picture(160, 10, {
    status,
    scroll: 4,
    rates: new Map([["4".padStart(32, "0"), RATE]]),
  });
  expect(few.slice(5)).toEqual([
    "KEEPER   STATE    ZONE    HOST           FREE  TOTAL  USED        CHUNKS      IN/s     OUT/s" +
    "   BEAT  PORTS               LABELS",
    "barn-5   ALIVE    barn    10.0.0.5    1.3 TiB  4 TiB  ███░░ 68 %   10004  12.5 MiB       0 B" +
    "    0 s  7000 4/8, 7001 4/8  disk=ssd",
    "barn-6   ALIVE    cellar  10.0.0.6    1.5 TiB  4 TiB  ███░░ 62 %   10005         -         -" +
    "    0 s  7000 5/8, 7001 5/8  disk=hdd",
    "barn-7   ALIVE    attic   10.0.0.7    1.8 TiB  4 TiB  ███░░ 56 %   10006         -         -" +
    "    0 s  7000 6/8, 7001 6/8  disk=ssd",
    "q quit · p pause · +/- each 1 s · s sort: name · ↑↓ 5–7 of 12",
  ]);
});

test("renderTop says that the master is silent, over the last picture", () => {
  const lines = picture(80, 9, { silentMs: 7_400, paused: true });
  expect(lines[4]).toBe("No answer from the master for 7 s: this is the last picture");
  expect(lines[6]).toStartWith("barn-1  ALIVE");
  expect(picture(80, 9, { paused: true })[4]).toBe("Paused: p goes on");
});

test("renderTop without rows is the whole table, without keys", () => {
  const lines = picture(100, undefined, { status: largeStatus(40) });
  expect(lines).toHaveLength(6 + 40);
  expect(lines.at(-1)).toStartWith("barn-40");
});

test("renderTop sorts by what was asked for", () => {
  const status = largeStatus(11);
  const first = (sort: TopState["sort"]) => picture(80, 20, { status, sort })[6]?.split(" ")[0];
  expect(SORT_KEYS.map(first)).toEqual([
    "barn-1",
    "barn-11",
    "barn-1",
    "barn-1",
    "barn-11",
    "barn-1",
  ]);
});

test("renderTop paints nothing but what it shows, and never beyond the screen", () => {
  fc.assert(fc.property(
    fc.integer({ min: 1, max: 220 }),
    fc.integer({ min: 1, max: 60 }),
    fc.integer({ min: 0, max: 30 }),
    fc.nat(40),
    fc.string({ unit: "grapheme", maxLength: 40 }),
    (columns, rows, keepers, scroll, name) => {
      const status = largeStatus(keepers);
      if (status.keepers[0] !== undefined) status.keepers[0].name = name;
      const state = { ...STATE, status, scroll };
      const bare = renderTop(state, { columns, rows, paint: plain });
      expect(bare).toHaveLength(rows);
      for (const line of bare) expect(Bun.stringWidth(line)).toBeLessThanOrEqual(columns);
      const paint = (_tone: string, text: string) => text === "" ? "" : `\x1b[1m${text}\x1b[22m`;
      const painted = renderTop(state, { columns, rows, paint });
      expect(painted.map((line) => Bun.stripANSI(line).trimEnd())).toEqual(
        bare.map((line) => line.trimEnd()),
      );
    },
  ));
});

test("renderTop tells of safe mode, of copies that are the last, and of balancing", () => {
  const status = {
    ...STATUS,
    repairs: { ...STATUS.repairs, endangered: 1, queuedBytes: 2 ** 30, bytesPerSecond: 2 ** 26 },
    balance: { running: true, spreadPercent: 5, moving: 2 },
    safeMode: { reason: "1 of 3 keepers is alive", holdsRepairs: true },
  };
  expect(picture(160, 9, { status, paused: true }).slice(1, 5)).toEqual([
    "1 file, 3 GiB in 48 chunks · 45 with all copies, 2 short (1 with one copy left), " +
    "1 out of reach",
    "Repairs: 1 running, 1 queued · 1 GiB left at 64 MiB/s, done in about 3 s" +
    " · balancing, 2 chunks on the way",
    "Keepers 1/2 alive · streams 8/16 · in 12.5 MiB/s, out 340 MiB/s · 512 GiB free",
    "Paused: p goes on · Safe mode: 1 of 3 keepers is alive; " +
    "nothing is deleted, moved or repaired meanwhile",
  ]);
});

test("renderTop tells why a keeper takes nothing, and how far it is emptied", () => {
  const [keeper] = STATUS.keepers;
  if (keeper === undefined) throw new Error("no keeper");
  const keepers = [
    { ...keeper, name: "a", readOnly: true, fault: "full" as const },
    { ...keeper, name: "b", readOnly: true, fault: "broken" as const },
    { ...keeper, name: "c", readOnly: true },
    {
      ...keeper,
      ...{ name: "d", state: "DRAINING" as const },
      drain: { chunksLeft: 12, safeToRemove: false },
    },
    {
      ...keeper,
      ...{ name: "e", state: "DRAINING" as const },
      drain: { chunksLeft: 0, safeToRemove: true },
    },
  ];
  const lines = picture(80, undefined, { status: { ...STATUS, keepers } });
  expect(lines.slice(-5).map((line) => line.slice(0, 21).trim())).toEqual([
    ...["a       FULL", "b       BROKEN", "c       READ-ONLY", "d       DRAINING 12"],
    "e       EMPTIED",
  ]);
});

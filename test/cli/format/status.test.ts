/** What `status` prints, on fixed data. */
import { expect, test } from "bun:test";
import { formatStatus } from "../../../src/cli/format/status.ts";
import { must } from "../../../src/base/assert.ts";
import { largeStatus, STATUS } from "../some_status.ts";

test("formatStatus prints an aligned table and plain words", () => {
  expect(formatStatus(STATUS, { nowMs: 0 })).toEqual([
    "Cluster main · master 0.1.0 · NATS 2.15.1 · up 3 min 5 s",
    "",
    "KEEPER  STATE              FREE  TOTAL  CHUNKS  PORTS IN USE",
    "barn-1  ALIVE           512 GiB  1 TiB    1200  10.0.0.7: 7000 0/8, 7001 8/8",
    "k2      DEAD read-only     17 B  1 GiB       3  10.0.0.8: 7000 offline",
    "",
    "1 file, 3 GiB in 48 chunks, 45 of them with all copies",
    "Copies: 3 of each chunk unless a file has its own number; a put waits for 2",
    "1 chunk has no copy in reach: a keeper that has one must come back",
    "2 chunks are short of copies: one more keeper is needed",
    "Repairs: 1 running, 1 queued, done in about 3 s",
  ]);
});

test("formatStatus shows zones and labels where there are some, within 80 columns", () => {
  const lines = formatStatus(largeStatus(2), { nowMs: 0 });
  expect(lines.slice(2, 7)).toEqual([
    "KEEPER  STATE     FREE  TOTAL  CHUNKS  ZONE   PORTS IN USE",
    "barn-1  ALIVE  256 GiB  4 TiB   10000  attic  10.0.0.1: 7000 0/8, 7001 0/8",
    "barn-2  ALIVE  512 GiB  4 TiB   10001  barn   10.0.0.2: 7000 1/8, 7001 1/8",
    "Labels of barn-1: disk=ssd",
    "Labels of barn-2: disk=hdd",
  ]);
});

test("formatStatus gives a keeper of many ports more lines of 80 columns", () => {
  const keeper = must(STATUS.keepers[0], "a keeper");
  const ports = Array.from({ length: 8 }, (_, index) => {
    return { ...must(keeper.ports[0], "a port"), port: 7000 + index };
  });
  const lines = formatStatus({ ...STATUS, keepers: [{ ...keeper, ports }] }, { nowMs: 0 });
  expect(lines.slice(2, 6)).toEqual([
    "KEEPER  STATE     FREE  TOTAL  CHUNKS  PORTS IN USE",
    "barn-1  ALIVE  512 GiB  1 TiB    1200  10.0.0.7: 7000 0/8, 7001 0/8, 7002 0/8,",
    "                                                 7003 0/8, 7004 0/8, 7005 0/8,",
    "                                                 7006 0/8, 7007 0/8",
  ]);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
});

test("formatStatus without keepers says so", () => {
  expect(formatStatus({ ...STATUS, keepers: [] }, { nowMs: 0 })).toContain(
    "No keeper has joined yet",
  );
});

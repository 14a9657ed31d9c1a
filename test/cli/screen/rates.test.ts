/** Throughput from counters that restart, and looks at any distance. */
import { expect, test } from "bun:test";
import type { ClusterStatus } from "../../../src/client/client.ts";
import { RateBook, totalRate } from "../../../src/cli/screen/rates.ts";
import { STATUS } from "../some_status.ts";

/** A status in which each port of the first keeper has counted this much. */
function counted(bytesIn: number, bytesOut: number): ClusterStatus {
  const [first, ...others] = STATUS.keepers;
  if (first === undefined) throw new Error("no keeper");
  const ports = first.ports.map((port) => ({ ...port, bytesIn, bytesOut }));
  return { ...STATUS, keepers: [{ ...first, ports }, ...others] };
}

const ID = "0".repeat(32);

test("RateBook knows nothing after one look", () => {
  expect(new RateBook().add(counted(5, 5), 1_000).size).toBe(0);
});

test("RateBook adds up a keeper's ports, over the last few seconds", () => {
  const book = new RateBook();
  book.add(counted(0, 0), 0);
  expect(book.add(counted(1000, 500), 1_000).get(ID)).toEqual({ inBytes: 2000, outBytes: 1000 });
  expect(book.add(counted(1000, 500), 2_000).get(ID)).toEqual({ inBytes: 1000, outBytes: 500 });
  for (let second = 3; second <= 6; second++) book.add(counted(1000, 500), second * 1000);
  const rates = book.add(counted(1000, 500), 7_000);
  expect(rates.get(ID)).toEqual({ inBytes: 0, outBytes: 0 });
  expect(totalRate(rates)).toEqual({ inBytes: 0, outBytes: 0 });
});

test("RateBook bridges looks that are far apart", () => {
  const book = new RateBook();
  book.add(counted(0, 0), 0);
  expect(book.add(counted(60_000, 0), 60_000).get(ID)?.inBytes).toBe(2000);
  expect(book.add(counted(120_000, 0), 120_000).get(ID)?.inBytes).toBe(2000);
});

test("RateBook takes counters that went back for those of a new start", () => {
  const book = new RateBook();
  book.add(counted(1_000_000, 1_000_000), 0);
  expect(book.add(counted(500, 0), 1_000).get(ID)).toEqual({ inBytes: 1000, outBytes: 0 });
});

import { expect, test } from "bun:test";
import { ShortPorts } from "../../src/master/short_ports.ts";

/** The ports, of `ports`, that get `count` chunks within each of some tenths of a second. */
function dealt(ports: number, ...counts: number[]): number[] {
  const deal = new ShortPorts();
  return counts.map((count, tenth) => {
    const found = Array.from({ length: count }, (_, at) => {
      return deal.next(ports, 1000 + 100 * tenth + 99 * at / count);
    });
    return new Set(found).size;
  });
}

test("ShortPorts keeps to one port while few chunks come", () => {
  expect(dealt(2, 1, 90, 90, 90)).toEqual([1, 1, 1, 1]);
  expect(dealt(1, 1000, 1000)).toEqual([1, 1]);
});

test("ShortPorts takes more ports as more chunks come, and fewer again behind them", () => {
  expect(dealt(8, 90, 250, 250, 50, 50)).toEqual([1, 3, 3, 3, 1]);
  expect(dealt(2, 5000, 5000)).toEqual([2, 2]);
});

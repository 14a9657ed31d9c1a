/** A session: a table of lines and verdicts, run on a fresh catalog that keeps its invariants. */
import { expect, test } from "bun:test";
import { World } from "./world.ts";

/**
 * Runs lines on a catalog with three keepers: the numbers of operations start behind them, at 4.
 */
export function session(name: string, lines: [string, string][]): void {
  test(name, () => {
    using world = new World();
    world.joinKeepers(3);
    const verdicts = lines.map(([line]) => [line, world.do(line)]);
    expect(verdicts).toEqual(lines);
    expect(world.check()).toEqual([]);
  });
}

/** What a client remembers of keepers that failed: for how long, and of how many. */
import { expect, test } from "bun:test";
import { RecentFailures } from "../../src/client/recent_failures.ts";
import { ManualClock } from "../manual_clock.ts";

test("RecentFailures remembers for a while, from the last failure on, until it is forgiven", async () => {
  const clock = new ManualClock();
  const failures = new RecentFailures(clock);
  for (const keeper of ["a", "b", "c"]) failures.note(keeper);
  failures.forgive("c");
  expect(failures.all()).toEqual(["a", "b"]);
  await clock.advance(20_000);
  failures.note("a");
  await clock.advance(20_000);
  expect([failures.has("a"), failures.has("b"), failures.all()]).toEqual([true, false, ["a"]]);
  await clock.advance(20_000);
  expect(failures.all()).toEqual([]);
});

test("RecentFailures forgets the oldest of too many", () => {
  const failures = new RecentFailures(new ManualClock());
  for (let n = 0; n < 100; n++) failures.note(`keeper-${n}`);
  expect(failures.all()).toHaveLength(64);
  expect([failures.has("keeper-35"), failures.has("keeper-36")]).toEqual([false, true]);
});

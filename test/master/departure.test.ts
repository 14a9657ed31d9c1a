/** A keeper that dies over a command holds its place no longer than until that is known. */
import { afterEach, expect, test } from "bun:test";
import { World } from "./world.ts";

let world: World;
afterEach(() => world.stop());

test("A keeper that dies over a copy and comes back makes no other repair wait", async () => {
  const quick = { dead_after: "4s", suspect_after: "2s", repair_delay: "1s", repair_streams: "1" };
  world = await World.start(quick);
  const [a, b, c, d] = await world.addKeepers(["a", "b", "c", "d"]);
  if (!a || !b || !c || !d) throw new Error("four keepers");
  d.freeBytes = 0;
  await world.live(1_500);
  for (const path of ["/1", "/2"]) await world.put(path);
  d.freeBytes = a.freeBytes;
  d.hangs = true;
  await world.live(9_000, [c]);
  expect(world.commands("replicate")).toHaveLength(1);
  // The same keeper, as another process.
  d.hangs = false;
  d.epoch++;
  await d.join();
  await world.live(4_000, [c]);
  expect(world.commands("replicate")).toHaveLength(2);
});

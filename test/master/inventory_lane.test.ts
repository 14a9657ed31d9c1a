/** InventoryLane: one page at a time, who has begun goes on, nobody waits for ever. */
import { expect, test } from "bun:test";
import { InventoryLane } from "../../src/master/inventory_lane.ts";
import { ManualClock } from "../manual_clock.ts";

function setUp() {
  const clock = new ManualClock();
  const lane = new InventoryLane(clock);
  const begun: string[] = [];
  const answers: (() => void)[] = [];
  /** Settles to the page's name, or to the code of what refused it. */
  const send = (keeper: string, after = "", isBad = false): Promise<string> => {
    const name = `${keeper}${after}`;
    return lane.run({ keeper, after }, async () => {
      begun.push(name);
      await new Promise<void>((resolve) => answers.push(resolve));
      if (isBad) throw new Error("bad page");
      return name;
    }).catch((error) => error.code ?? error.message);
  };
  const answer = async () => {
    answers.shift()?.();
    await clock.advance(0);
  };
  return { clock, send, answer, begun };
}

test("pages are taken one at a time, and who has begun goes on first", async () => {
  const { send, answer, begun } = setUp();
  const pages = [send("a"), send("b"), send("c"), send("b", "2")];
  expect(begun).toEqual(["a"]);
  // The second page of b means that its first one was heard: it gives way.
  expect(await pages[1]).toBe("busy");
  await answer();
  expect(begun).toEqual(["a", "b2"]);
  const next = send("a", "1");
  await answer();
  expect(begun).toEqual(["a", "b2", "a1"]);
  await answer();
  await answer();
  expect(await Promise.all([pages[0], pages[2], pages[3], next])).toEqual(["a", "c", "b2", "a1"]);
});

test("a page that is sent again keeps its place, and the older one is refused", async () => {
  const { send, answer, begun } = setUp();
  const running = send("a");
  const [old, other, again] = [send("b"), send("c"), send("b")];
  expect(await old).toBe("busy");
  for (let pages = 0; pages < 3; pages++) await answer();
  expect(begun).toEqual(["a", "b", "c"]);
  expect(await Promise.all([running, other, again])).toEqual(["a", "c", "b"]);
});

test("a page that fails does not stop the others", async () => {
  const { send, answer } = setUp();
  const [bad, good] = [send("a", "", true), send("b")];
  await answer();
  await answer();
  expect(await bad).toBe("bad page");
  expect(await good).toBe("b");
});

test("a page that has waited for a minute is refused: it may be older than what is remembered", async () => {
  const { clock, send, answer, begun } = setUp();
  const running = send("a");
  const old = send("b");
  await clock.advance(61_000);
  const young = send("c");
  await answer();
  expect(await old).toBe("busy");
  await answer();
  expect(await Promise.all([running, young])).toEqual(["a", "c"]);
  expect(begun).toEqual(["a", "c"]);
});

test("no more wait than there may be keepers", async () => {
  const { send, answer } = setUp();
  const pages = Array.from({ length: 1_026 }, (_, n) => send(`k${n}`));
  expect(await pages[1_025]).toBe("busy");
  for (let page = 0; page < 1_025; page++) await answer();
  expect((await Promise.all(pages)).filter((text) => text !== "busy").length).toBe(1_025);
});

/**
 * LateInventory: pages that are older than the catalog neither drop new replicas nor revive gone
 * ones.
 */
import { expect, test } from "bun:test";
import type { Journal, Operation } from "../../src/catalog/operation.ts";
import { LateInventory } from "../../src/master/late_inventory.ts";
import { ManualClock } from "../manual_clock.ts";

const KEEPER = "k".repeat(32);
const id = (letter: string) => letter.repeat(32);

function setUp() {
  const clock = new ManualClock();
  const seen: Operation[] = [];
  const answer: { wrongSize?: string[] } = {};
  const journal = {
    submit: (operation: Operation) => {
      seen.push(operation);
      return Promise.resolve(answer);
    },
  } as unknown as Journal;
  const guard = new LateInventory(journal, clock);
  const stored = (chunk: string) =>
    guard.submit({
      kind: "chunk.stored",
      chunk: { id: chunk, sizeBytes: 7, sums: new Uint8Array(8), goal: 3 },
      keepers: [KEEPER],
      atMs: 0,
    });
  const gone = (chunk: string) =>
    guard.submit({ kind: "replica.gone", keeper: KEEPER, chunks: [chunk], atMs: 0 });
  const page = async (after: string, chunks: string[], last: boolean) => {
    const entries = chunks.map((chunk): [string, number] => [chunk, 7]);
    const facts = { keeper: KEEPER, after, chunks: entries, last, atMs: 0 };
    await guard.submit({ kind: "keeper.inventory", ...facts });
    const applied = seen.at(-1);
    return applied?.kind === "keeper.inventory" ? applied.chunks.map(([chunk]) => chunk) : [];
  };
  return { clock, stored, gone, page, answer };
}

test("a chunk stored after the page was listed is not missing", async () => {
  const { stored, page } = setUp();
  await stored(id("b"));
  expect(await page("", [id("a"), id("c")], true)).toEqual([id("a"), id("b"), id("c")]);
});

test("a chunk deleted after the page was listed does not come back", async () => {
  const { stored, gone, page } = setUp();
  await stored(id("b"));
  await gone(id("b"));
  expect(await page("", [id("a"), id("b")], true)).toEqual([id("a")]);
});

test("a copy that was cut after it was stored is not brought back when it has been put aside", async () => {
  const { stored, page, answer } = setUp();
  await stored(id("b"));
  answer.wrongSize = [id("b")];
  await page("", [id("a"), id("b")], true);
  answer.wrongSize = [];
  expect(await page("", [id("a")], true)).toEqual([id("a")]);
});

test("only the page's own range is mended", async () => {
  const { stored, page } = setUp();
  await stored(id("b"));
  await stored(id("e"));
  expect(await page(id("c"), [id("d")], false)).toEqual([id("d")]);
  expect(await page(id("d"), [], true)).toEqual([id("e")]);
});

test("memories end", async () => {
  const { clock, stored, page } = setUp();
  await stored(id("b"));
  await clock.advance(121_000);
  await stored(id("z"));
  expect(await page("", [id("a")], false)).toEqual([id("a")]);
});

test("memories end also where nothing has happened since: the disk is believed again", async () => {
  const { clock, stored, gone, page } = setUp();
  await stored(id("b"));
  await gone(id("c"));
  await clock.advance(121_000);
  expect(await page("", [id("a"), id("c")], true)).toEqual([id("a"), id("c")]);
});

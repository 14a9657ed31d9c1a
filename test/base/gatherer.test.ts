/** Gatherer: one alone never waits, those that wait go together, each is done exactly once. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { Gatherer } from "../../src/base/gatherer.ts";

interface Item {
  id: number;
  /** Only items of one kind go together. */
  kind?: number;
  /** Must be done alone after a group has tried it. */
  isLeft?: boolean;
  fails?: boolean;
}

interface Work {
  ids: number[];
  finish: () => void;
  release: () => void;
}

/** A gatherer whose work ends when the test says so. */
function world({ aloneMax = 1, itemsMax = 100, groupFails = false } = {}) {
  const works: Work[] = [];
  const begin = (items: readonly Item[], release: () => void = () => {}) =>
    new Promise<void>((resolve) => {
      works.push({ ids: items.map(({ id }) => id), finish: resolve, release });
    });
  const outcomeOf = ({ id, fails }: Item) => fails === true ? new Error(`no ${id}`) : `did ${id}`;
  const gatherer = new Gatherer<Item, string>({
    ...{ aloneMax, itemsMax, mayJoin: (first, item) => first.kind === item.kind },
    alone: async (item, release) => {
      await begin([item], release);
      const outcome = outcomeOf(item);
      if (outcome instanceof Error) throw outcome;
      return outcome;
    },
    together: async (items) => {
      await begin(items);
      if (groupFails) throw new Error("the group fails");
      return items.map((item) => item.isLeft === true ? undefined : outcomeOf(item));
    },
  });
  const run = (item: Item, signal = new AbortController().signal) => gatherer.run(item, signal);
  /** Lets promises that are settled go on. */
  const settle = async () => {
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  };
  const finish = async (at: number) => {
    works[at]?.finish();
    await settle();
  };
  return { works, run, finish, settle };
}

test("one alone begins at once, and those that come meanwhile go together", async () => {
  const w = world();
  const results = [1, 2, 3, 4].map((id) => w.run({ id }));
  expect(w.works.map(({ ids }) => ids)).toEqual([[1]]);
  await w.finish(0);
  expect(w.works.map(({ ids }) => ids)).toEqual([[1], [2, 3, 4]]);
  await w.finish(1);
  expect(await Promise.all(results)).toEqual(["did 1", "did 2", "did 3", "did 4"]);
});

test("a few go alone at once, and then one group at a time", async () => {
  const w = world({ aloneMax: 3 });
  const results = [1, 2, 3, 4, 5].map((id) => w.run({ id }));
  expect(w.works.map(({ ids }) => ids)).toEqual([[1], [2], [3]]);
  await w.finish(1);
  expect(w.works.map(({ ids }) => ids)).toEqual([[1], [2], [3], [4, 5]]);
  results.push(w.run({ id: 6 }));
  await w.finish(0);
  await w.finish(2);
  expect(w.works).toHaveLength(4);
  await w.finish(3);
  await w.finish(4);
  expect(w.works.map(({ ids }) => ids).slice(4)).toEqual([[6]]);
  expect(await Promise.all(results)).toHaveLength(6);
});

test("those of a group that come back at once are one again", async () => {
  const w = world({ aloneMax: 2 });
  const loop = async (id: number) => {
    for (let round = 0; round < 3; round++) await w.run({ id });
  };
  const loops = Promise.all([1, 2, 3, 4, 5].map(loop));
  for (let at = 0; at < 7; at++) await w.finish(at);
  const lengths = w.works.map(({ ids }) => ids.length);
  expect(lengths.slice(0, 2)).toEqual([1, 1]);
  expect(Math.max(...lengths)).toBe(5);
  for (let at = 7; at < w.works.length; at++) await w.finish(at);
  await loops;
});

test("only those join that may, up to the bound, and nobody is passed over", async () => {
  const w = world({ itemsMax: 2 });
  const kinds = [0, 1, 0, 1, 1, 0];
  const results = kinds.map((kind, id) => w.run({ id, kind }));
  for (const at of kinds.keys()) await w.finish(at);
  expect(w.works.map(({ ids }) => ids)).toEqual([[0], [1, 3], [2, 5], [4]]);
  expect(await Promise.all(results)).toHaveLength(6);
});

test("what a group leaves is done alone, beside the next group", async () => {
  const w = world();
  const first = w.run({ id: 1 });
  const left = w.run({ id: 2, isLeft: true });
  const failed = w.run({ id: 3, fails: true });
  void first;
  await w.finish(0);
  const next = w.run({ id: 4 });
  const outcome = failed.catch((error) => error.message);
  await w.finish(1);
  expect(w.works.map(({ ids }) => ids)).toEqual([[1], [2, 3], [2], [4]]);
  expect(await outcome).toBe("no 3");
  await w.finish(3);
  expect(await next).toBe("did 4");
  await w.finish(2);
  expect(await left).toBe("did 2");
});

test("one that is done alone sees to its signal itself", async () => {
  const w = world();
  const signal = new AbortController();
  const only = w.run({ id: 1 }, signal.signal);
  signal.abort(new Error("it does not hear"));
  await w.finish(0);
  expect(await only).toBe("did 1");
});

test("a group that fails as a whole fails for each", async () => {
  const w = world({ groupFails: true });
  void w.run({ id: 1 });
  const others = Promise.allSettled([w.run({ id: 2 }), w.run({ id: 3 })]);
  await w.finish(0);
  await w.finish(1);
  expect((await others).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
});

test("one that is given up is not begun, and a group under way is not waited for", async () => {
  const w = world();
  const [waiting, going] = [new AbortController(), new AbortController()];
  const first = w.run({ id: 1 }, going.signal);
  const second = w.run({ id: 2 }, waiting.signal);
  const third = w.run({ id: 3 }, going.signal);
  const fourth = w.run({ id: 4 });
  waiting.abort(new Error("not any more"));
  await expect(second).rejects.toThrow("not any more");
  await w.finish(0);
  expect(w.works.map(({ ids }) => ids)).toEqual([[1], [3, 4]]);
  expect(await first).toBe("did 1");
  going.abort(new Error("nor this"));
  await expect(third).rejects.toThrow("nor this");
  await w.finish(1);
  expect(await fourth).toBe("did 4");
  await expect(w.run({ id: 5 }, waiting.signal)).rejects.toThrow("not any more");
});

test("one that takes long lets the others pass", async () => {
  const w = world();
  const long = w.run({ id: 1 });
  const others = [w.run({ id: 2 }), w.run({ id: 3 })];
  w.works[0]?.release();
  w.works[0]?.release();
  await w.settle();
  expect(w.works.map(({ ids }) => ids)).toEqual([[1], [2, 3]]);
  // Its end gives no place back a second time.
  await w.finish(0);
  expect(await long).toBe("did 1");
  const more = [w.run({ id: 4 }), w.run({ id: 5 })];
  expect(w.works).toHaveLength(2);
  await w.finish(1);
  await w.finish(2);
  expect(await Promise.all([...others, ...more])).toHaveLength(4);
});

test("whatever comes and ends in whatever order, each is done once, within the bounds", async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.nat(2), isLeft: fc.boolean(), fails: fc.boolean() }),
    fc.nat(10),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 3 }), async (
      steps,
      aloneMax,
    ) => {
      const w = world({ aloneMax, itemsMax: 4 });
      const results: Promise<unknown>[] = [];
      const finished = new Set<number>();
      const end = async (at: number) => {
        finished.add(at);
        await w.finish(at);
      };
      for (const step of steps) {
        if (typeof step === "number") {
          const open = [...w.works.keys()].filter((at) => !finished.has(at));
          if (open.length > 0) await end(open[step % open.length] ?? 0);
          continue;
        }
        const id = results.length;
        results.push(w.run({ ...step, id }).catch((error) => error.message));
      }
      for (let at = 0; at < w.works.length; at++) if (!finished.has(at)) await end(at);
      const outcomes = await Promise.all(results);
      const words = steps.flatMap((step) => typeof step === "number" ? [] : step);
      expect(outcomes).toEqual(words.map(({ fails }, id) => `${fails ? "no" : "did"} ${id}`));
      for (const { ids } of w.works) expect(ids.length).toBeLessThanOrEqual(4);
    }),
    { numRuns: 200 },
  );
});

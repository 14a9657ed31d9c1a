/** What the model lets pass, and what it does not. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import { ABSENT, DONE, listing, Model, type Operation } from "./model.ts";

const put = (content: string): Operation => ({ kind: "put", path: "/a", content });
const get: Operation = { kind: "get", path: "/a" };
const remove: Operation = { kind: "remove", path: "/a" };
const rename: Operation = { kind: "rename", path: "/a", to: "/b" };

/** One operation from beginning to end. */
function does(model: Model, id: number, operation: Operation, answer: string): boolean {
  model.begin(id, operation);
  return model.answered(id, answer);
}

test("Model.answered takes what one order gives, and nothing else", () => {
  const model = new Model();
  expect(does(model, 1, put("one"), DONE)).toBe(true);
  expect(does(model, 2, get, "one")).toBe(true);
  expect(does(model, 3, get, ABSENT)).toBe(false);
  expect(does(model, 4, rename, DONE)).toBe(true);
  expect(does(model, 5, get, "one")).toBe(false);
  expect(does(model, 6, { kind: "get", path: "/b" }, "one")).toBe(true);
  expect(does(model, 7, { kind: "list" }, listing({ "/b": "one" }))).toBe(true);
  expect(does(model, 8, remove, DONE)).toBe(false);
});

test("Model.answered lets operations at the same time take any order, but one for all", () => {
  const model = new Model();
  model.begin(1, put("one"));
  model.begin(2, put("two"));
  expect(does(model, 3, get, "two")).toBe(true);
  expect(does(model, 4, get, "one")).toBe(true);
  expect(does(model, 5, get, "two")).toBe(false);
  expect(model.answered(1, DONE)).toBe(true);
  expect(model.answered(2, DONE)).toBe(true);
  expect(does(model, 6, get, "two")).toBe(false);
});

test("Model.lost leaves a change open: done late, once, or never", () => {
  const model = new Model();
  does(model, 1, put("one"), DONE);
  model.begin(2, put("two"));
  model.lost(2);
  expect(model.unknown).toBe(1);
  expect(does(model, 3, get, "one")).toBe(true);
  expect(does(model, 4, put("three"), DONE)).toBe(true);
  expect(does(model, 5, get, "two")).toBe(true);
  expect(does(model, 6, get, "three")).toBe(false);
  expect(does(model, 7, put("four"), DONE)).toBe(true);
  expect(does(model, 8, get, "two")).toBe(false);
});

test("Model.refused forbids that it was done", () => {
  const seen = new Model();
  seen.begin(1, put("one"));
  expect(does(seen, 2, get, "one")).toBe(true);
  expect(seen.refused(1)).toBe(false);
  const unseen = new Model();
  unseen.begin(1, put("one"));
  expect(unseen.refused(1)).toBe(true);
  expect(does(unseen, 2, get, "one")).toBe(false);
});

test("Model.settle forgets what was open", () => {
  const model = new Model();
  model.begin(1, put("one"));
  model.lost(1);
  model.settle({ "/a": "zero" });
  expect(model.unknown).toBe(0);
  expect(model.describe()).toEqual(["/a=zero"]);
  expect(does(model, 2, get, "one")).toBe(false);
});

test("Model.answered takes every history that a real order has made", () => {
  const steps = fc.array(fc.tuple(fc.nat(2), fc.nat(4), fc.boolean()), { maxLength: 12 });
  fc.assert(fc.property(steps, (moves) => {
    const model = new Model();
    let held: string | undefined;
    let id = 0;
    // Each begins, takes effect and ends, in that order; up to three are open at once.
    const open: { id: number; answer: string }[] = [];
    for (const [kind, value, endsNow] of moves) {
      id++;
      const operation = [put(`v${value}`), get, remove][kind] ?? get;
      model.begin(id, operation);
      let answer = DONE;
      if (operation.kind !== "put") answer = held === undefined ? ABSENT : DONE;
      if (operation.kind === "get") answer = held ?? ABSENT;
      if (operation.kind === "put") held = operation.content;
      if (operation.kind === "remove") held = undefined;
      open.push({ id, answer });
      while (open.length > (endsNow ? 0 : 2)) {
        const first = open.shift();
        if (first !== undefined && !model.answered(first.id, first.answer)) return false;
      }
    }
    return open.every((each) => model.answered(each.id, each.answer));
  }));
});

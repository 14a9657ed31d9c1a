/** Failpoints: a typing error must not arm nothing. */
import { expect, test } from "bun:test";
import { failpoint, parseFailpoints } from "../../src/base/failpoint.ts";

test("parseFailpoints reads actions, arguments and passes", () => {
  const points = parseFailpoints("a.b=kill,c=delay:250,d=3*throw");
  expect(points.get("a.b")).toEqual({ action: "kill", argument: 0, passesLeft: 1 });
  expect(points.get("c")).toEqual({ action: "delay", argument: 250, passesLeft: 1 });
  expect(points.get("d")).toEqual({ action: "throw", argument: 0, passesLeft: 3 });
});

test("parseFailpoints refuses what it does not know", () => {
  expect(() => parseFailpoints("a=explode")).toThrow('"a=explode"');
});

test("failpoint does nothing unless it is armed", async () => {
  expect(await failpoint("never.armed")).toBeUndefined();
});

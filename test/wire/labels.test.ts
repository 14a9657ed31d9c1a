/** Labels of keepers, and what rules want of them. */
import { expect, test } from "bun:test";
import { formatLabels, hasLabels } from "../../src/wire/labels.ts";

test("hasLabels wants every label with its value, and nothing of those that nobody asked for", () => {
  const labels = { kind: "video", zone: "attic" };
  expect(hasLabels(labels, {})).toBe(true);
  expect(hasLabels(labels, { kind: "video" })).toBe(true);
  expect(hasLabels(labels, { kind: "video", zone: "attic" })).toBe(true);
  expect(hasLabels(labels, { kind: "photo" })).toBe(false);
  expect(hasLabels(labels, { kind: "video", disk: "ssd" })).toBe(false);
  expect(hasLabels({}, { constructor: "x" })).toBe(false);
});

test("formatLabels sorts by key", () => {
  expect(formatLabels({ zone: "a", disk: "ssd" })).toBe("disk=ssd,zone=a");
  expect(formatLabels({})).toBe("");
});

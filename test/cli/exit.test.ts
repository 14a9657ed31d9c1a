/** Exit statuses are a promise to scripts: each code has its own, and changing one must be seen. */
import { expect, test } from "bun:test";
import { AssertionError } from "../../src/base/assert.ts";
import { exitStatusOf, reportFailure } from "../../src/cli/exit.ts";
import { ConfigError } from "../../src/config/load.ts";
import type { ErrorCode } from "../../src/wire/errors.ts";
import { ERROR_CODES, TydfsError } from "../../src/wire/errors.ts";
import { FakeOutput } from "./fake_output.ts";

const STATUSES: Record<ErrorCode, number> = {
  "usage": 2,
  "invalid": 1,
  "not-found": 3,
  "exists": 4,
  "conflict": 4,
  "changed": 4,
  "is-directory": 4,
  "not-directory": 4,
  "not-empty": 4,
  "no-master": 5,
  "timeout": 5,
  "busy": 6,
  "no-keepers": 6,
  "no-space": 6,
  "corrupt": 7,
  "lost": 7,
  "denied": 8,
  "expired": 8,
  "stale-epoch": 1,
  "limit": 1,
  "local": 1,
  "unavailable": 5,
  "interrupted": 130,
  "internal": 1,
};

for (const code of Object.keys(ERROR_CODES) as ErrorCode[]) {
  test(`exitStatusOf "${code}" is ${STATUSES[code]}`, () => {
    expect(exitStatusOf(new TydfsError(code, "Cannot"))).toBe(STATUSES[code]);
  });
}

test("exitStatusOf other errors is 2 for settings and 1 for the rest", () => {
  expect(exitStatusOf(new ConfigError("Cannot use"))).toBe(2);
  expect(exitStatusOf(new AssertionError("Invariant broken"))).toBe(1);
  expect(exitStatusOf("a string")).toBe(1);
});

test("reportFailure writes one line without control characters", () => {
  const output = new FakeOutput();
  reportFailure(new TydfsError("local", 'Cannot read "a":\n  \x1b[31mno'), output, false);
  expect(output.messages).toEqual(['tydfs: Cannot read "a": \\u001b[31mno']);
});

test("reportFailure cuts a line that would have no end", () => {
  const output = new FakeOutput();
  reportFailure(new TydfsError("usage", `Cannot use "${"x".repeat(100_000)}"`), output, false);
  expect(output.messages[0]).toMatch(/^tydfs: Cannot use "x{900,} … x{900,}"$/);
});

test("reportFailure shows causes and stack for debugging only", () => {
  const error = new Error("outer", { cause: new Error("inner") });
  const output = new FakeOutput();
  reportFailure(error, output, false);
  expect(output.messages).toEqual([
    "tydfs: Internal error: outer; set TYDFS_DEBUG=1 to see where",
  ]);
  reportFailure(error, output, true);
  expect(output.messages).toContain("outer (inner)");
});

/** Lines of the log: one for each event, whatever is in it. */
import { expect, test } from "bun:test";
import fc from "fast-check";
import type { LogFields, LogFormat } from "../../src/base/log.ts";
import { Log } from "../../src/base/log.ts";

/** The lines of what `tell` logs. Times are those of UTC, in which the tests run. */
function linesOf(format: LogFormat, tell: (log: Log) => void): string[] {
  const lines: string[] = [];
  const nowMs = () => Date.UTC(2026, 4, 1, 12, 30, 5, 120);
  const write = (line: string) => void lines.push(line);
  tell(new Log("keeper", { level: "info", format, nowMs, write }));
  return lines;
}

test("Log in JSON has time, level, name, message and fields", () => {
  const fields = { port: 7000, name: "barn", time: "none", gone: undefined };
  const [line = ""] = linesOf("json", (log) => log.child("streamer-0").warn("It is so", fields));
  expect(JSON.parse(line)).toEqual({
    time: "2026-05-01T12:30:05.120Z",
    level: "warn",
    name: "keeper/streamer-0",
    message: "It is so",
    fields: { port: 7000, name: "barn", time: "none" },
  });
});

test("Log in text is aligned and in local time", () => {
  const lines = linesOf("text", (log) => {
    log.info("Ready", { port: 7000, host: "a b" });
    log.child("streamer-0").error("It broke", { error: new Error("x", { cause: "y" }) });
    log.debug("Not told");
  });
  expect(lines).toEqual([
    '2026-05-01 12:30:05.120 INFO  keeper            Ready port=7000 host="a b"',
    '2026-05-01 12:30:05.120 ERROR keeper/streamer-0 It broke error="x (y)"',
  ]);
});

test("Log makes one line of messages with line feeds and control characters", () => {
  const [line = ""] = linesOf("text", (log) => log.info("a\nb\x1b[2J", { text: "c\nd" }));
  expect(line).toEndWith('a b\\u001b[2J text="c\\nd"');
});

test("Log tells of values that JSON has not", () => {
  const circle: LogFields = { depth: 1 };
  circle["self"] = circle;
  const fields = { big: 2n ** 64n, circle, errors: [new Error("inner")], none: () => {} };
  const [line = ""] = linesOf("json", (log) => log.info("Odd", fields));
  const parsed = JSON.parse(line);
  expect(parsed).toMatchObject({ message: "Odd", level: "info" });
  const [other = ""] = linesOf("json", (log) => log.info("Odd", { big: 5n, list: [1n] }));
  expect(JSON.parse(other).fields).toEqual({ big: "5", list: ["1"] });
});

test("Log in JSON is one line that parses, for any message and fields", () => {
  fc.assert(fc.property(
    fc.string({ unit: "binary" }),
    fc.dictionary(fc.string(), fc.anything({ withBigInt: true })),
    (message, fields) => {
      const lines = linesOf("json", (log) => log.info(message, fields));
      expect(lines).toHaveLength(1);
      expect(lines[0]).not.toContain("\n");
      expect(JSON.parse(lines[0] ?? "").message).toBe(message);
    },
  ));
});

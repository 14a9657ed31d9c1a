/** The live screen: what is asked when, silence and return of the master, keys. */
import { expect, test } from "bun:test";
import { runLive } from "../../../src/cli/screen/live.ts";
import { plain } from "../../../src/cli/color.ts";
import { parseKeys } from "../../../src/cli/screen/terminal.ts";
import { nextInterval, TopView } from "../../../src/cli/screen/top_run.ts";
import type { ClusterStatus } from "../../../src/client/client.ts";
import { TydfsError } from "../../../src/wire/errors.ts";
import { ManualClock } from "../../manual_clock.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { largeStatus } from "../some_status.ts";

/** A `top` under a clock of its own; `answer` is what the master does. */
function startTop() {
  const clock = new ManualClock();
  const terminal = new FakeTerminal();
  const stop = new AbortController();
  const world = {
    asked: 0,
    answer: (_signal: AbortSignal): Promise<ClusterStatus> => Promise.resolve(largeStatus(30)),
  };
  const view = new TopView({ intervalMs: 1000, sort: "name", paint: plain });
  const ask = (signal: AbortSignal) => {
    world.asked++;
    return world.answer(signal);
  };
  const done = runLive({ terminal, clock, signal: stop.signal, ask, view });
  done.catch(() => {});
  return { clock, terminal, stop, world, done };
}

/** Nobody answers, until the caller has had enough. */
function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

test("runLive asks once an interval, and draws each answer", async () => {
  const { clock, terminal, world, done } = startTop();
  await clock.advance(5_000);
  expect(world.asked).toBe(6);
  expect(terminal.screen).toContain("Keepers 30/30 alive");
  terminal.press("quit");
  await done;
});

test("runLive tells of a silent master over the last picture, and recovers", async () => {
  const { clock, terminal, world, done } = startTop();
  const answer = world.answer;
  await clock.advance(1_000);
  world.answer = silence;
  await clock.advance(8_000);
  expect(terminal.screen).toMatch(/No answer from the master for [78] s: this is the last picture/);
  expect(terminal.screen).toContain("Keepers 30/30 alive");
  world.answer = answer;
  await clock.advance(4_000);
  expect(terminal.screen).not.toContain("No answer");
  terminal.press("quit");
  await done;
});

test("runLive goes on when asking fails, but not when it is denied", async () => {
  const { clock, terminal, world, done } = startTop();
  await clock.advance(0);
  world.answer = () => Promise.reject(new TydfsError("no-master", "Nobody"));
  await clock.advance(6_000);
  expect(terminal.screen).toContain("No answer");
  world.answer = () => Promise.reject(new TydfsError("denied", "No more"));
  await clock.advance(2_000);
  await expect(done).rejects.toMatchObject({ code: "denied" });
});

test("runLive throws what the first question meets, and an interruption", async () => {
  const first = startTop();
  first.world.answer = () => Promise.reject(new TydfsError("no-master", "Nobody"));
  const other = startTop();
  await other.clock.advance(500);
  other.stop.abort(new TydfsError("interrupted", "Interrupted"));
  await expect(other.done).rejects.toMatchObject({ code: "interrupted" });
});

test("keys pause, sort, scroll and change the interval", async () => {
  const { clock, terminal, world, done } = startTop();
  await clock.advance(0);
  terminal.press("end");
  expect(terminal.screen).toContain("↑↓ 14–30 of 30");
  terminal.press("up");
  expect(terminal.screen).toContain("↑↓ 13–29 of 30");
  terminal.press("s");
  expect(terminal.screen).toContain("s sort: free");
  terminal.press("p");
  expect(terminal.screen).toContain("Paused: p goes on");
  const asked = world.asked;
  await clock.advance(10_000);
  expect(world.asked).toBe(asked);
  terminal.press("p");
  expect(terminal.screen).not.toContain("No answer");
  terminal.press("+");
  await clock.advance(4_000);
  expect(world.asked).toBeWithin(asked + 2, asked + 4);
  terminal.press("quit");
  await done;
});

test("many keys do not keep it from asking", async () => {
  const { clock, terminal, world, done } = startTop();
  for (let press = 0; press < 50; press++) {
    terminal.press("down");
    await clock.advance(100);
  }
  expect(world.asked).toBeGreaterThanOrEqual(5);
  terminal.press("quit");
  await done;
});

test("a resize draws at once, in the new size", async () => {
  const { clock, terminal, done } = startTop();
  await clock.advance(0);
  terminal.resize(160, 10);
  expect(terminal.pictures.at(-1)).toHaveLength(10);
  expect(terminal.screen).toContain("LABELS");
  terminal.press("quit");
  await done;
});

test("parseKeys parts what came at once", () => {
  expect(parseKeys("\x1b[A\x1bOBq\x03+ü\x1b[5~")).toEqual([
    ...["up", "down", "quit", "quit", "+", "ü", "page-up"],
  ]);
  expect(parseKeys("\x1b")).toEqual(["\x1b"]);
});

test("nextInterval walks through its list and stays at its ends", () => {
  expect([nextInterval(1000, 1), nextInterval(1000, -1), nextInterval(700, 1)]).toEqual([
    ...[2000, 500, 1000],
  ]);
  expect([nextInterval(60_000, 1), nextInterval(200, -1)]).toEqual([60_000, 200]);
});

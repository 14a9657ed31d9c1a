/**
 * Simulated clusters under faults: a fixed number of seeds, the same ones each time, and the same
 * history for the same seed.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { playSeed } from "./run.ts";

/** About 70 s on two cores that have nothing else to do. */
const SEEDS = 1_000;
const JOBS = 2;
const LIMIT_MS = 900_000;

test("one seed gives one history, in another process too", async () => {
  for (const seed of [3, 23, 1776]) {
    const [first, again] = [await playSeed(seed), await playSeed(seed)];
    const command = [process.execPath, join(import.meta.dir, "run.ts"), `${seed}`, "--lines", "1"];
    const child = Bun.spawn(command, { stdio: ["ignore", "pipe", "inherit"] });
    expect(await new Response(child.stdout).text()).toContain(`hash ${first.hash}`);
    expect(first.events).toBeGreaterThan(50);
    expect(again.hash).toBe(first.hash);
    expect(again.events).toBe(first.events);
  }
}, LIMIT_MS);

test(`${SEEDS} simulated clusters keep their promises`, async () => {
  const command = [join(import.meta.dir, "run.ts"), "--seeds", String(SEEDS), "--jobs", `${JOBS}`];
  const child = Bun.spawn([process.execPath, ...command], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const words = await new Response(child.stdout).text();
  console.log(words.trim());
  const status = await child.exited;
  expect(status).toBe(0);
  const played = [...words.matchAll(/^(\d+) seeds,/gm)].map(([, seeds]) => Number(seeds));
  expect(played.reduce((sum, seeds) => sum + seeds, 0)).toBe(SEEDS);
}, LIMIT_MS);

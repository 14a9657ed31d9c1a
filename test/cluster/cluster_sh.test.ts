/** cluster.sh: a local cluster by hand, from up to down, and the words for what can't be done. */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { until } from "./harness.ts";

const dir = mkdtempSync(join(tmpdir(), "tydfs-sh-"));

afterAll(() => {
  sh("down");
  rmSync(dir, { recursive: true });
});

function sh(...args: string[]): { exit: number; out: string } {
  const run = Bun.spawnSync(["sh", resolve("cluster.sh"), ...args, "--dir", dir], {
    env: { ...process.env, TYDFS_RESERVE: "64MiB" },
    stderr: "pipe",
  });
  return { exit: run.exitCode, out: run.stdout.toString() + run.stderr.toString() };
}

function tydfs(...args: string[]): { exit: number; out: string } {
  const command = `. "${dir}/env" && exec tydfs "$@"`;
  const run = Bun.spawnSync(["sh", "-c", command, "sh", ...args], { stderr: "pipe" });
  return { exit: run.exitCode, out: run.stdout.toString() };
}

function states(): Record<string, string> {
  const { keepers } = JSON.parse(tydfs("status", "--json").out) as {
    keepers: { name: string; state: string }[];
  };
  return Object.fromEntries(keepers.map(({ name, state }) => [name, state]));
}

test("nothing runs at first", () => {
  expect(sh("status").exit).not.toBe(0);
  expect(sh("down").exit).toBe(0);
});

test("up starts a master and keepers, and a second up says that it runs", () => {
  expect(sh("up", "2").exit).toBe(0);
  expect(states()).toEqual({ "keeper-1": "ALIVE", "keeper-2": "ALIVE" });
  const pid = readFileSync(join(dir, "master.pid"), "utf8");
  const again = sh("up", "2");
  expect(again.exit).toBe(0);
  expect(again.out).toContain("running");
  expect(readFileSync(join(dir, "master.pid"), "utf8")).toBe(pid);
});

test("kill and start take a keeper away and bring it back", async () => {
  expect(sh("kill", "2").exit).toBe(0);
  await until("it is dead", () => states()["keeper-2"] === "DEAD");
  expect(sh("start", "2").exit).toBe(0);
  await until("it is back", () => states()["keeper-2"] === "ALIVE");
  expect(sh("status").out).toContain("keeper-2");
});

test("wrong words are refused", () => {
  expect(sh("fly").exit).toBe(2);
  expect(sh("kill").exit).toBe(2);
  expect(sh("up", "many").exit).toBe(2);
});

test("down stops all of it", () => {
  expect(sh("down").exit).toBe(0);
  expect(existsSync(join(dir, "master", "join.client"))).toBe(false);
  expect(tydfs("status").exit).toBe(5);
});

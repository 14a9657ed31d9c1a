/**
 * Placement rules that come and go while files are put: files of one pack then want other numbers
 * of copies. Never fewer than others have, so that no lost disk may take the last copy.
 */
import type { Random } from "../../../src/base/random.ts";
import { PATH } from "../hosts.ts";
import type { Fault, Field } from "./fault.ts";
import { choose } from "./fault.ts";

/** Of the names of the workload. */
const PATTERNS = ["*.txt", "*.mp4", "a.bin"];
const COPIES = "4";
const WORK_MS = 6_000;

/** Takes the rule of a pattern away, or adds one where there is none, and applies it. */
export async function changeRules(field: Field, random: Random): Promise<Fault> {
  const pattern = choose(random, PATTERNS) ?? "*.txt";
  const removed = await rule(field, ["rm", pattern, "--apply"]);
  const exit = removed === 0
    ? removed
    : await rule(field, ["add", pattern, "--copies", COPIES, "--apply"]);
  return { what: { pattern, removed, exit } };
}

/** Runs a command that may fail, as may all while faults go on; its exit status. */
async function rule({ cluster }: Field, words: string[]): Promise<number> {
  const { binary, hosts, dir } = cluster.options;
  const env = { ...process.env, PATH, TYDFS_URL: cluster.clientUrl };
  const command = [...hosts.enter(cluster.client), binary, "rule", ...words];
  const child = Bun.spawn(command, {
    ...{ cwd: dir, env, stdin: "ignore", stdout: "ignore", stderr: "ignore" },
    timeout: WORK_MS,
  });
  return await child.exited;
}

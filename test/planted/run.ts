/**
 * Plants each bug in a copy of the sources and demands that its test notices:
 * `bun test/planted/run.ts [NAME]` prints how many of them were caught.
 */
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PlantedBug } from "./bugs.ts";
import { PLANTED } from "./bugs.ts";

export interface Catch {
  name: string;
  caught: boolean;
  /** What the test said. */
  words: string;
}

const root = join(import.meta.dir, "../..");
const AT_ONCE = 2;
const RUN_MS = 300_000;

/** Plants the bugs, two at a time. Throws where the text to be changed is not there once. */
export async function plantAll(bugs: readonly PlantedBug[]): Promise<Catch[]> {
  const waiting = [...bugs];
  const catches: Catch[] = [];
  const member = async () => {
    for (let bug = waiting.shift(); bug !== undefined; bug = waiting.shift()) {
      catches.push(await plant(bug));
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, member));
  return catches;
}

async function plant(bug: PlantedBug): Promise<Catch> {
  const directory = mkdtempSync(join(tmpdir(), "tydfs-planted-"));
  try {
    for (const part of ["src", "workers", "test", "deno.json", "package.json"]) {
      cpSync(join(root, part), join(directory, part), { recursive: true });
    }
    for (const part of ["node_modules", ".build"]) {
      symlinkSync(join(root, part), join(directory, part));
    }
    const path = join(directory, bug.file);
    writeFileSync(path, edit(bug, readFileSync(path, "utf8")));
    const child = Bun.spawn([process.execPath, ...commandOf(bug)], {
      ...{ cwd: directory, stdin: "ignore", stdout: "pipe", stderr: "pipe" },
      ...{ timeout: RUN_MS, killSignal: "SIGKILL" },
    });
    const [out, errors] = await Promise.all([
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ]);
    const status = await child.exited;
    const words = `${out}\n${errors}`;
    return { name: bug.name, caught: status === 1 && isCatch(bug, words), words };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** The text with the bug in it. */
function edit({ name, file, edits }: PlantedBug, text: string): string {
  return edits.reduce((edited, { find, replace }) => {
    const places = edited.split(find).length - 1;
    if (places === 1) return edited.replace(find, () => replace);
    throw new Error(`Cannot plant "${name}": its text is ${places} times in ${file}`);
  }, text);
}

function commandOf({ caughtBy }: PlantedBug): string[] {
  if ("test" in caughtBy) return ["test", "-t", caughtBy.title, `./${caughtBy.test}`];
  const { from, count } = caughtBy.seeds;
  return [
    "test/sim/run.ts",
    "--short",
    "--first",
    "--from",
    String(from),
    "--seeds",
    String(count),
  ];
}

/** Whether it failed as it should, and not because nothing could run. */
function isCatch({ caughtBy }: PlantedBug, words: string): boolean {
  return "test" in caughtBy ? /\(fail\)/.test(words) : /^Seed \d+ broke/m.test(words);
}

if (import.meta.main) {
  const [only] = process.argv.slice(2);
  const bugs = PLANTED.filter(({ name }) => only === undefined || name === only);
  const catches = await plantAll(bugs);
  for (const { name, caught, words } of catches) {
    const line = words.split("\n").find((each) => /broke:|\(fail\)/.test(each)) ??
      words.slice(-500);
    console.log(`${caught ? "caught" : "MISSED"}  ${name}: ${line.trim().slice(0, 200)}`);
  }
  const caught = catches.filter((each) => each.caught).length;
  console.log(`${caught} of ${bugs.length}`);
  process.exitCode = caught === bugs.length ? 0 : 1;
}

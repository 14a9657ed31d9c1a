/**
 * The loss of power: with every sync in its place nothing that was acknowledged is lost, on ext4
 * and on XFS, whoever loses it. And the control: without any one of the syncs this very harness
 * sees a loss; else it would be blind.
 */
import { expect, test } from "bun:test";
import { join } from "node:path";
import { BINARY } from "../../cluster/harness.ts";
import { Mutant, type Mutation } from "../mutant.ts";

interface Run {
  exit: number;
  output: string;
}

const RUN = join(import.meta.dir, "run.ts");

async function losePower(args: string[], binary = BINARY): Promise<Run> {
  const child = Bun.spawn([process.execPath, RUN, ...args], {
    env: { ...process.env, TYDFS_BINARY: binary },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const output = await new Response(child.stdout).text();
  return { exit: await child.exited, output };
}

/** Without the archive: its sync, a moment later, commits ext4's journal with all names in it. */
const NO_ARCHIVE: Mutation = {
  file: "src/config/options.ts",
  from: `default: "2",
    for: ["master"],
    sentence:
      "Keepers that have each change of the catalog`,
  to: `default: "0",
    for: ["master"],
    sentence:
      "Keepers that have each change of the catalog`,
};

const CONTROLS: readonly { sync: string; mutations: Mutation[] }[] = [
  {
    sync: "the sync of a chunk's bytes",
    mutations: ["    sidecar", "    writeSidecar"].map((next) => ({
      file: "src/chunks/draft_files.ts",
      from: `    file.datasync(),\n${next}`,
      to: next,
    })),
  },
  {
    sync: "the sync of the directory",
    mutations: [{
      file: "src/chunks/directory_syncs.ts",
      from: "this.#disk.syncDirectory(path)",
      to: "Promise.resolve(path).then(() => void this.#disk)",
    }, NO_ARCHIVE],
  },
  {
    sync: "synchronous=FULL of the catalog",
    mutations: [
      {
        file: "src/catalog/open.ts",
        from: "PRAGMA synchronous = FULL",
        to: "PRAGMA synchronous = OFF",
      },
      { file: "src/catalog/open.ts", from: "SYNCHRONOUS_FULL = 2", to: "SYNCHRONOUS_FULL = 0" },
    ],
  },
];

test("power lost by all, a keeper, the master: no acknowledged change is lost", async () => {
  const runs = ["ext4", "xfs"].map((fileSystem, n) =>
    losePower(["--fs", fileSystem, "--cycles", "3", "--seed", String(7 + n)])
  );
  for (const { exit, output } of await Promise.all(runs)) {
    expect(output).toContain(" 0 lost, 0 torn");
    expect(exit).toBe(0);
  }
}, 120_000);

test("without any one of the syncs the loss of power is seen to cost changes", async () => {
  const verdicts = await Promise.all(CONTROLS.map(async ({ sync, mutations }) => {
    const mutant = Mutant.build(mutations);
    try {
      const args = ["--what", "all", "--fs", "ext4", "--at", "answer", "--cycles", "6"];
      const { exit, output } = await losePower([...args, "--until-loss"], mutant.binary);
      return exit === 0 ? `${sync}: seen` : `${sync}: ${output}`;
    } finally {
      mutant.remove();
    }
  }));
  expect(verdicts).toEqual(CONTROLS.map(({ sync }) => `${sync}: seen`));
}, 120_000);

/** `tydfs sync`: makes one tree like another, in either direction between here and the cluster. */
import type { Command } from "@commander-js/extra-typings";
import { ConfigError } from "../config/load.ts";
import type { TydfsError } from "../wire/errors.ts";
import { parsePath } from "../wire/names.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";
import { addTreeFlags, filterOf, treeFlags } from "./transfer/flags.ts";

const EXAMPLES = `
The side in the cluster is written with a colon: :/photos. Afterwards what is in
SOURCE is in TARGET; its own name is not appended. Files whose size or time of
modification differs are moved; where only the time differs, the checksum tells
whether the bytes do, and else only mode and time are set. With --checksum it
tells also where time and size are equal.

What only TARGET has stays, unless --delete is given. Then it goes at the end,
and only when all of SOURCE could be read and nothing failed; what --exclude
names is never removed, nor all of it for an empty SOURCE, but with --force.
With --json there is one line for each event.

Examples:
  tydfs sync photos :/archive/photos           into the cluster
  tydfs sync :/archive/photos photos           out of it
  tydfs sync --delete --dry-run photos :/archive/photos
  tydfs sync --checksum --exclude '*.tmp' work :/work
`;

/** Which side is which. */
export interface SyncWords {
  direction: "up" | "down";
  local: string;
  remote: string;
}

/** Declares the command. */
export function addSync(program: Command, session: Session): void {
  const command = program.command("sync")
    .description("Make a tree like another: into the cluster, or out of it")
    .argument("<SOURCE>", "A local directory, or :/PATH in the cluster")
    .argument("<TARGET>", "The other side; missing directories are made")
    .option("--delete", "Remove from TARGET what SOURCE lacks")
    .option("--force", "With --delete also when SOURCE is empty")
    .option("-c, --checksum", "Compare checksums, not times")
    .addHelpText("after", EXAMPLES);
  addTreeFlags(command, ["keep", "follow", "skip"]);
  command.action(async (source, target, flags, self) => {
    const { direction, local, remote } = parseSides(source, target);
    const tree = { ...treeFlags(self), recursive: true };
    const { links } = tree;
    if (direction === "down" && links === "follow") {
      throw new ConfigError("Cannot follow links out of the cluster: use --links keep or skip");
    }
    if (flags.force === true && flags.delete !== true) {
      throw new ConfigError("Cannot use --force alone: it is about --delete");
    }
    const filter = await filterOf(tree);
    await session.withClient(self, async (connected) => {
      const { client, signal } = connected;
      const { sidesDown, sidesUp } = await import("../client/trees/sync_sides.ts");
      const { syncTrees } = await import("../client/trees/sync.ts");
      const { runTree } = await import("./transfer/run.ts");
      await runTree({
        ...{ session, connected, flags: tree },
        words: { done: "synced", will: "sync" },
        goOn: () => "The same command goes on from there",
        work: async (report, run) => {
          let troubles = 0;
          const onTrouble = (error: TydfsError) => {
            if (error.data["skipped"] !== true) troubles++;
            report.trouble("", error);
          };
          const { random, dryRun } = run;
          const options = { local, remote, filter, links, dryRun, signal, random, onTrouble };
          const sides = direction === "up" ? sidesUp(client, options) : sidesDown(client, options);
          return await syncTrees(sides, {
            byChecksum: flags.checksum === true,
            remove: flags.delete === true,
            force: flags.force === true,
            troubles: () => troubles,
            onSame: () => report.tally.same++,
            onTrouble,
          }, run);
        },
      });
    });
  });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Tells the local side from that in the cluster. Throws `ConfigError` unless one has the colon. */
export function parseSides(source: string, target: string): SyncWords {
  const from = remotePath(source);
  const to = remotePath(target);
  if (from === undefined && to !== undefined) {
    return { direction: "up", local: source, remote: to };
  }
  if (from !== undefined && to === undefined) {
    return { direction: "down", local: target, remote: from };
  }
  if (from === undefined) {
    throw new ConfigError(
      "Cannot tell which side is in the cluster: write it with a colon, as in " +
        `tydfs sync ${source === "" ? "photos" : source} :/${
          target.replace(/^\/+/, "") || "photos"
        }`,
    );
  }
  throw new ConfigError("Cannot sync within the cluster: one side must be local");
}

/** The path behind the colon; undefined for a local one. */
function remotePath(word: string): string | undefined {
  const path = /^(?:tydfs)?:(?!\/\/)(.*)$/s.exec(word)?.[1];
  return path === undefined ? undefined : parsePath(path === "" ? "/" : path);
}

/** `tydfs stat`: what is known of paths, with the place of each chunk where it is asked for. */
import type { Command } from "@commander-js/extra-typings";
import { formatStat, statJson } from "./format.ts";
import { findMatches, jsonOf } from "./matches.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Examples:
  tydfs stat /videos/video.mp4
  tydfs stat --locations /videos/video.mp4     chunks, keepers, and the path on each keeper
  tydfs stat --json '/videos/*.mp4' | jq -r '.[] | [.checksum, .path] | @tsv'
`;

/** Declares the command. */
export function addStat(program: Command, session: Session): void {
  const command = program.command("stat")
    .description("Show what is known of a file or directory")
    .argument("<PATH...>", "Paths in the cluster, or patterns")
    .option("--locations", "With each chunk, and where its copies are")
    .addHelpText("after", EXAMPLES)
    .action(async (paths, flags, self) => {
      const locations = flags.locations === true;
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const values: unknown[] = [];
        const options = { client, signal, topmost: false };
        const { entries, several } = await findMatches(session, paths, options);
        await session.forEach(entries, signal, async ({ path }) => {
          const result = await client.stat(path, { signal, locations });
          if (json) values.push(statJson(result, locations));
          else formatStat(result, locations).forEach((line) => output.line(line));
        });
        if (json) output.line(jsonOf(values, { several }));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

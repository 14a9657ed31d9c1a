/** `tydfs rm`: removes files and directories. */
import type { Command } from "@commander-js/extra-typings";
import { quotePath } from "../wire/names.ts";
import { formatCount } from "./format.ts";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
What is removed is kept in the trash for a while (the master's --trash-ttl),
then its space comes back.

Examples:
  tydfs rm /videos/old.mp4
  tydfs rm -r /videos/2019 /videos/2020
`;

/** Declares the command. */
export function addRm(program: Command, session: Session): void {
  const command = program.command("rm")
    .description("Remove files, or directories with all that is below")
    .argument("<PATH...>", "Paths in the cluster")
    .option("-r, --recursive", "Directories, with all that is below")
    .addHelpText("after", EXAMPLES)
    .action(async (paths, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json, quiet }) => {
        const recursive = flags.recursive === true;
        const values: unknown[] = [];
        await session.forEach(paths, signal, async (path) => {
          const gone = await client.remove(path, { recursive, signal });
          values.push({ path, ...gone });
          if (json || quiet || !recursive) return;
          const counts = `${formatCount(gone.files, "file")}, ${
            formatCount(gone.directories, "directory", "directories")
          }`;
          output.line(`removed ${quotePath(path)} · ${counts}`);
        });
        if (json) output.line(JSON.stringify(paths.length === 1 ? values[0] : values));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** `tydfs mkdir`: makes directories. */
import type { Command } from "@commander-js/extra-typings";
import type { Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Examples:
  tydfs mkdir /videos
  tydfs mkdir -p /videos/2024/05 /videos/2024/06
`;

/** Declares the command. */
export function addMkdir(program: Command, session: Session): void {
  const command = program.command("mkdir")
    .description("Make directories")
    .argument("<PATH...>", "Paths in the cluster")
    .option("-p, --parents", "Those above it, too; one that exists is no error")
    .addHelpText("after", EXAMPLES)
    .action(async (paths, flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const parents = flags.parents === true;
        const values: unknown[] = [];
        await session.forEach(paths, signal, async (path) => {
          values.push(await client.makeDirectory(path, { parents, signal }));
        });
        if (json) output.line(JSON.stringify(paths.length === 1 ? values[0] : values));
      });
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** `tydfs version`: the versions of tydfs and of what is inside. */
import type { Command } from "@commander-js/extra-typings";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals } from "./settings_flags.ts";

const EXAMPLES = `
Examples:
  tydfs version
  tydfs version --json | jq -r .commit
`;

/** Declares the command. */
export function addVersion(program: Command, session: Session): void {
  const command = program.command("version")
    .description("Show the versions of tydfs and of its parts")
    .addHelpText("after", EXAMPLES)
    .action(async (_options, self) => {
      const { buildInfo } = await import("../embedded.ts");
      const { version, commit, target, bun, nats } = buildInfo;
      if (commonFlags(self).json) {
        return session.output.line(JSON.stringify({ version, commit, target, bun, nats }));
      }
      session.output.line(`tydfs ${version} (${commit}, ${target})`);
      session.output.line(`Bun ${bun}`);
      session.output.line(nats === "" ? "no nats-server inside" : `nats-server ${nats}`);
    });
  addGlobals(command, false);
}

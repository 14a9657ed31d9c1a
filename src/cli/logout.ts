/** `tydfs logout`: forgets a saved connection. */
import type { Command } from "@commander-js/extra-typings";
import { didYouMean } from "../base/similar.ts";
import { readSaved, writeSaved } from "../config/saved.ts";
import { TydfsError } from "../wire/errors.ts";
import { mustHaveSavedPath } from "./login.ts";
import type { Session } from "./session.ts";
import { commonFlags } from "./session.ts";
import { addGlobals } from "./settings_flags.ts";

const EXAMPLES = `
Only what is saved on this machine goes; the cluster's secret stays as it is.
When the default goes and one other is left, that becomes the default.

Examples:
  tydfs logout home
  tydfs logout --quiet lab
`;

/** Declares the command. */
export function addLogout(program: Command, session: Session): void {
  const command = program.command("logout")
    .description("Forget a saved connection")
    .argument("<CONNECTION>", "Its name, as tydfs login --list shows it")
    .addHelpText("after", EXAMPLES)
    .action((name, _flags, self) => {
      const { json, quiet } = commonFlags(self);
      const standard = forget(mustHaveSavedPath(session.env), name);
      if (json) session.output.line(JSON.stringify({ name, default: standard ?? null }));
      else if (!quiet) session.output.line(`forgot "${name}" · ${defaultWords(standard)}`);
    });
  addGlobals(command, false);
}

/** Takes a connection away; returns the default that is left. Throws `not-found`. */
function forget(path: string, name: string): string | undefined {
  const { standard, urlByName } = readSaved(path);
  const left = new Map(urlByName);
  if (!left.delete(name)) {
    const next = didYouMean(name, left.keys()) || "; tydfs login --list shows what is saved";
    throw new TydfsError("not-found", `Cannot forget "${name}": it is not saved${next}`);
  }
  const only = left.size === 1 ? [...left.keys()][0] : undefined;
  const chosen = standard === name ? only : standard;
  writeSaved(path, { standard: chosen, urlByName: left });
  return chosen;
}

function defaultWords(standard: string | undefined): string {
  return standard === undefined
    ? "there is no default now: tydfs login URL --name NAME --default"
    : `the default is "${standard}"`;
}

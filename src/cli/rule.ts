/** `tydfs rule`: placement rules: which keepers files go to, and how many copies they have. */
import type { Command } from "@commander-js/extra-typings";
import { whyNotPattern } from "../base/pattern.ts";
import type { Rule, RuleFacts } from "../client/client.ts";
import { ConfigError, parseOption } from "../config/load.ts";
import { TydfsError } from "../wire/errors.ts";
import { type Applied, applyRules, formatApplied } from "./apply_rules.ts";
import { fewKeepersWarning, formatRule, formatRules } from "./format/rule.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
A rule tells what files whose paths match its pattern ask for: keepers with
certain labels, a number of copies, or both. The first rule that matches a path
decides: those of the master's tydfs.toml in their order, then those that were
added. Files that match none go to any keeper. Keepers get their labels when
they start: tydfs keeper --label kind=video.

Examples:
  tydfs rule add '*.mp4' --require kind=video
  tydfs rule ls
  tydfs rule rm '*.mp4' --apply
  tydfs rule apply
`;

const ADD_EXAMPLES = `
PATTERN has * and ? within a name, ** over directories, [a-z] and {a,b}. One
without a slash is of names anywhere, another one of whole paths. Quote it, or
your shell takes it for local files.

New files follow a rule at once. Those that are there do so with --apply (or
tydfs rule apply): copies are made at the right keepers first, and only then
the others are given up. A put's own --replicas counts more than --copies,
until the rule is applied to the file.

Examples:
  tydfs rule add '*.mp4' --require kind=video
  tydfs rule add '/archive/**' --require disk=hdd --copies 2 --apply
  tydfs rule add '*.{db,sqlite}' --prefer disk=ssd
`;

const REMOVE_EXAMPLES = `
Files that followed the rule stay where they are until the rules are applied:
then they follow the next rule that matches them, or none, with the cluster's
own number of copies (or that of their put's --replicas).

Examples:
  tydfs rule rm 3
  tydfs rule rm '*.mp4' --apply
`;

const APPLY_EXAMPLES = `
Looks at all files, and has the replicator make, move and give up copies until
each file is as the rules say; tydfs status shows how far it is. Do it after a
change of rules, and after renaming files to where another rule decides.

Examples:
  tydfs rule apply
  tydfs rule apply --json | jq .toMove
`;

const APPLY_FLAG = "Have the files that are there follow the rules, too";

interface AddFlags {
  require?: string;
  prefer?: string;
  copies?: string;
  apply?: true;
}

/** Declares the command. */
export function addRule(program: Command, session: Session): void {
  const rule = program.command("rule")
    .description("Say which keepers files go to, and how many copies they have")
    .usage("COMMAND [options]")
    .helpCommand(false)
    .addHelpText("after", EXAMPLES);
  const commands = [
    addCommand(rule, session),
    listCommand(rule, session),
    removeCommand(rule, session),
    applyCommand(rule, session),
  ];
  for (const command of commands) {
    addSettings(command, "client", false);
    addGlobals(command, false);
  }
}

function addCommand(rule: Command, session: Session) {
  return rule.command("add")
    .description("Add a rule, behind those that are there")
    .argument("<PATTERN>", "Which paths it is of")
    .option("--require <labels>", "Only keepers with all of these labels, KEY=VALUE,…")
    .option(
      "--prefer <labels>",
      "Keepers with all of these labels first, as long as they have room",
    )
    .option("--copies <number>", "Copies to reach, in place of the cluster's own goal")
    .option("--apply", APPLY_FLAG)
    .addHelpText("after", ADD_EXAMPLES)
    .action(async (pattern, flags, self) => {
      const facts = ruleFacts(pattern, flags);
      await session.withClient(self, async (connected) => {
        const { client, signal, output, json, quiet } = connected;
        const id = await client.addRule(facts, { signal });
        if (!json && !quiet) output.line(`added rule ${id} · ${formatRule(facts)}`);
        if (!quiet) await warnOfKeepers(connected, facts);
        const applied = flags.apply === true ? await applyRules(connected) : undefined;
        tell(connected, { id, ...facts }, applied);
      });
    });
}

function listCommand(rule: Command, session: Session) {
  return rule.command("ls")
    .description("List the rules in the order in which they are tried")
    .addHelpText("after", "\nExamples:\n  tydfs rule ls\n  tydfs rule ls --json\n")
    .action(async (_flags, self) => {
      await session.withClient(self, async ({ client, signal, output, json }) => {
        const rules = await client.rules({ signal });
        if (json) output.line(JSON.stringify(rules));
        else formatRules(rules).forEach((line) => output.line(line));
      });
    });
}

function removeCommand(rule: Command, session: Session) {
  return rule.command("rm")
    .description("Remove a rule that was added")
    .argument("<ID|PATTERN>", "Its number or its pattern, as tydfs rule ls shows them")
    .option("--apply", APPLY_FLAG)
    .addHelpText("after", REMOVE_EXAMPLES)
    .action(async (word, flags, self) => {
      await session.withClient(self, async (connected) => {
        const { client, signal, output, json, quiet } = connected;
        const found = findRule(await client.rules({ signal }), word);
        await client.removeRule(found.id, { signal });
        if (!json && !quiet) output.line(`removed rule ${found.id} · ${formatRule(found)}`);
        const applied = flags.apply === true ? await applyRules(connected) : undefined;
        const { source: _source, ...facts } = found;
        tell(connected, facts, applied);
      });
    });
}

function applyCommand(rule: Command, session: Session) {
  return rule.command("apply")
    .description(APPLY_FLAG)
    .addHelpText("after", APPLY_EXAMPLES)
    .action(async (_flags, self) => {
      await session.withClient(self, async (connected) => {
        const applied = await applyRules(connected);
        if (connected.json) connected.output.line(JSON.stringify(applied));
        else if (!connected.quiet) connected.output.line(formatApplied(applied));
      });
    });
}

/** Says what was done with a rule, and what came of applying the rules, if they were. */
function tell(
  { output, json, quiet }: ClientSession,
  rule: RuleFacts & { id: number },
  applied: Applied | undefined,
): void {
  if (json) return output.line(JSON.stringify({ ...rule, ...(applied && { applied }) }));
  if (quiet) return;
  if (applied !== undefined) output.line(formatApplied(applied));
  else output.message('tydfs: Files that are there stay as they are until "tydfs rule apply"');
}

/** The rule of the command line. Throws `ConfigError`. */
function ruleFacts(pattern: string, flags: AddFlags): RuleFacts {
  const why = whyNotPattern(pattern);
  if (why !== undefined) {
    throw new ConfigError(`Cannot use ${JSON.stringify(pattern)} as a pattern: ${why}`);
  }
  const { require, prefer, copies } = flags;
  if (require === undefined && prefer === undefined && copies === undefined) {
    throw new ConfigError(
      "Cannot add a rule that asks for nothing: give --require, --prefer or --copies",
    );
  }
  const labels = (text: string | undefined, flag: string) =>
    parseOption("label", text ?? "", `flag ${flag}`) as Record<string, string>;
  return {
    pattern,
    require: labels(require, "--require"),
    prefer: labels(prefer, "--prefer"),
    ...(copies === undefined
      ? {}
      : { copies: parseOption("replicas", copies, "flag --copies") as number }),
  };
}

/** A rule with few keepers is one that fails puts: better known now. */
async function warnOfKeepers(session: ClientSession, facts: RuleFacts): Promise<void> {
  const { client, signal, output } = session;
  const warning = fewKeepersWarning(facts, await client.status({ signal }));
  if (warning !== undefined) output.message(`tydfs: ${warning}`);
}

/** The rule that a word names. Throws `not-found`, and `denied` for one of the file. */
function findRule(rules: readonly Rule[], word: string): Rule {
  const added = rules.filter(({ source }) => source === "added");
  const found = added.find(({ id }) => String(id) === word) ??
    added.find(({ pattern }) => pattern === word);
  if (found !== undefined) return found;
  const cannot = `Cannot remove rule ${JSON.stringify(word)}`;
  if (rules.some(({ pattern }) => pattern === word)) {
    const state = "it stands in the master's configuration file; change it there";
    throw new TydfsError("denied", `${cannot}: ${state}`);
  }
  throw new TydfsError("not-found", `${cannot}: there is none; tydfs rule ls shows all`);
}

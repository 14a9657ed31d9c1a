/**
 * The interactive shell: every client command in one process, over one connection that stays open.
 * A line is made into words, its remote names into whole paths, and then it runs as the program's
 * own command line does.
 */
import type { Command } from "@commander-js/extra-typings";
import type { TydfsClient } from "../../client/client.ts";
import { ConfigError } from "../../config/load.ts";
import { colorChoiceOf } from "../color.ts";
import { readSaved, savedPath } from "../../config/saved.ts";
import { reportFailure } from "../exit.ts";
import type { LineRead } from "../line_reader.ts";
import { readLine } from "../line_reader.ts";
import { printable, recolored } from "../output.ts";
import type { Environment, JoinSettings } from "../session.ts";
import { Session } from "../session.ts";
import type { InheritedFlags } from "../settings_flags.ts";
import type { CommandFacts } from "../tree.ts";
import { endsOf, placesOfWords, readTree } from "../tree.ts";
import type { ShellState } from "./builtins.ts";
import { addBuiltins } from "./builtins.ts";
import type { CompleterParts } from "./completer.ts";
import { completeAnswer, completeLine } from "./completer.ts";
import type { History } from "./history.ts";
import type { KeptConnection } from "./kept_connection.ts";
import { runLocal, shellCommand } from "./local_command.ts";
import { refuseStdin, resolveWords, WorkingPlace } from "./place.ts";
import type { Question } from "./questions.ts";
import { missingQuestions } from "./questions.ts";
import type { Word } from "./words.ts";
import { parseCommands } from "./words.ts";

const INTERRUPTED_STATUS = 130;
/** They end their process themselves, or are about another shell. */
const OUTSIDE = ["master", "keeper", "service", "shell", "completion"];

/** Runs one command line in a session; `prepare` may add to the tree that is made for it. */
export type RunProgram = (
  argv: string[],
  session: Session,
  prepare?: (program: Command) => void,
) => Promise<number>;

export interface ShellOptions {
  session: Session;
  run: RunProgram;
  connection: KeptConnection;
  join: JoinSettings;
  inherited: InheritedFlags;
  interactive: boolean;
}

export class Shell {
  readonly #options: ShellOptions;
  readonly #env: Environment;
  readonly #state: ShellState & { place: WorkingPlace };
  readonly #tree: CommandFacts;

  /** `program` is the program's tree, from which the shell knows what can be typed. */
  constructor(program: Command, options: ShellOptions) {
    this.#options = options;
    this.#env = options.session.env;
    this.#state = {
      place: new WorkingPlace(),
      interactive: options.interactive,
      leaving: false,
    };
    addBuiltins(program, options.session, this.#state);
    const tree = readTree(program);
    const commands = tree.commands.filter(({ path }) => !OUTSIDE.includes(path[0] ?? ""));
    this.#tree = { ...tree, commands };
  }

  /** Asks for lines until it is left; failures are told, and the next line is asked for. */
  async interact(history: History): Promise<void> {
    // Between two lines nothing is there to be interrupted.
    process.on("SIGINT", () => {});
    while (!this.#state.leaving) {
      const read = await readLine({
        prompt: `tydfs:${printable(this.#state.place.remote)}> `,
        history: history.lines,
        complete: (line) => completeLine(line, this.#completerParts()),
      });
      if (read.kind === "end") return;
      if (read.kind === "interrupted" || read.text.trim() === "") continue;
      history.add(read.text);
      await this.runLine(read.text, { keepGoing: true });
    }
  }

  /**
   * Runs the lines of a script up to the first failure, or all with `keepGoing`. Returns the status
   * of the first failure.
   */
  async runScript(
    lines: AsyncIterable<string> | Iterable<string>,
    { keepGoing }: { keepGoing: boolean },
  ): Promise<number> {
    let first = 0;
    let number = 0;
    for await (const line of lines) {
      number++;
      const status = await this.runLine(line, { keepGoing });
      first ||= status;
      const stops = status === INTERRUPTED_STATUS || (status !== 0 && !keepGoing);
      if (stops) {
        this.#tell(`Stopped at line ${number}${keepGoing ? "" : "; --keep-going goes on"}`);
      }
      if (stops || this.#state.leaving) break;
    }
    return first;
  }

  /** Runs the commands of one line. Returns the status of the first that failed. */
  async runLine(line: string, { keepGoing }: { keepGoing: boolean }): Promise<number> {
    const { session } = this.#options;
    try {
      const local = /^\s*!(.*)$/s.exec(line)?.[1];
      if (local !== undefined) {
        await session.output.flush();
        return await runLocal(shellCommand(local, this.#env), this.#state.interactive);
      }
      let first = 0;
      for (const words of parseCommands(line)) {
        const status = await this.#runCommand(words);
        await session.output.flush();
        first ||= status;
        const stops = status === INTERRUPTED_STATUS || (status !== 0 && !keepGoing);
        if (stops || this.#state.leaving) break;
      }
      return first;
    } catch (error) {
      return reportFailure(error, session.output, session.debug);
    }
  }

  async #runCommand(typed: Word[]): Promise<number> {
    const { session, connection, inherited, interactive, run } = this.#options;
    const given = typed[0]?.text === "tydfs" ? typed.slice(1) : typed;
    const name = given[0]?.text ?? "";
    if (OUTSIDE.includes(name)) {
      throw new ConfigError(`Cannot run "${name}" in the shell: run tydfs ${name} outside`);
    }
    const words = interactive ? await this.#askMissing(given) : given;
    if (words === undefined) return INTERRUPTED_STATUS;
    const argv = words.map(({ text }) => text);
    const color = colorChoiceOf(argv);
    const output = color === "auto" ? session.output : recolored(session.output, color, this.#env);
    const own = new Session(output, this.#env, {
      connector: connection,
      stays: interactive,
      inherited,
    });
    return await run(argv, own, (program) => {
      addBuiltins(program, own, this.#state);
      program.hook("preAction", (_root, command) => this.#resolve(command, words));
    });
  }

  /** Gives a command that is about to run its words as the program takes them. */
  async #resolve(command: ResolvableCommand, typed: readonly Word[]): Promise<void> {
    const { place } = this.#state;
    const facts = readTree(command);
    const { args } = command;
    const declared = command.registeredArguments;
    refuseStdin(facts.path, args);
    if (facts.path[0] === "cd") return;
    // Alone, a file goes where the shell stands, and not to the root.
    const ends = endsOf(facts);
    const isAlone = ends?.last === "remote" && !ends.required && args.length === 1 &&
      place.remote !== "/";
    const words = isAlone ? [...args, place.prefix] : args;
    const variadic = declared.at(-1)?.variadic === true;
    const places = placesOfWords(facts, words.length);
    const resolved = await resolveWords(words, { at: place, places, typed, expand: variadic });
    for (const [index, argument] of declared.entries()) {
      if (index < resolved.length) {
        command.processedArgs[index] = argument.variadic ? resolved.slice(index) : resolved[index];
      } else if (facts.arguments[index]?.place === "remote" && place.remote !== "/") {
        command.processedArgs[index] = argument.variadic ? [place.remote] : place.remote;
      }
    }
    for (const { long, value } of facts.flags) {
      const name = command.options.find((option) => option.long === long)?.attributeName() ?? "";
      const text = command.getOptionValue(name);
      const isGiven = value?.place === "remote" && command.getOptionValueSource(name) === "cli";
      if (isGiven && typeof text === "string") command.setOptionValue(name, place.resolve(text));
    }
  }

  /** The words with the answers to what is missing; undefined when the user gives up. */
  async #askMissing(given: Word[]): Promise<Word[] | undefined> {
    const words = [...given];
    for (const question of missingQuestions(this.#tree, given.map(({ text }) => text))) {
      const answer = await this.#ask(question);
      if (answer === undefined) return undefined;
      words.push(...answer);
    }
    return words;
  }

  async #ask({ label, place, required, variadic }: Question): Promise<Word[] | undefined> {
    const read: LineRead = await readLine({
      prompt: `${label}: `,
      complete: (line) => completeAnswer(line, place, this.#completerParts()),
    });
    if (read.kind !== "line") return undefined;
    const words = parseCommands(read.text).flat();
    if (words.length === 0) return required ? undefined : [];
    const first = words[0];
    if (variadic || words.length === 1 || first === undefined) return words;
    // A single name is meant, whose blanks somebody has not quoted.
    return [{ ...first, text: read.text.trim(), isPattern: false }];
  }

  #completerParts(): CompleterParts {
    const { connection, join } = this.#options;
    return {
      root: this.#tree,
      at: this.#state.place,
      client: (): Promise<TydfsClient> => connection.join(join),
      saved: () => [...readSaved(savedPath(this.#env)).urlByName.keys()],
    };
  }

  #tell(words: string): void {
    this.#options.session.output.message(`tydfs: ${words}`);
  }
}

type ResolvableCommand = Parameters<typeof readTree>[0] & { processedArgs: unknown[] };

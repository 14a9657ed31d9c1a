/**
 * What Tab offers in the shell: commands, flags, and names on both sides, quoted as the line is.
 */
import type { TydfsClient } from "../../client/client.ts";
import { localNames } from "../../client/local_names.ts";
import type { CompletionPlan } from "../completion/plan.ts";
import { planCompletion } from "../completion/plan.ts";
import { keeperNames, NAMES_MAX, remoteNames, splitTyped } from "../completion/names.ts";
import type { Completions } from "../line_reader.ts";
import type { CommandFacts, Place } from "../tree.ts";
import type { WorkingPlace } from "./place.ts";
import { expandHome } from "./place.ts";
import type { OpenQuote, Word } from "./words.ts";
import { escapeWord, parseLine } from "./words.ts";

/** Nobody waits longer for a Tab. */
const PATIENCE_MS = 2_000;
const NOTHING: Completions = { hits: [], tail: "" };

export interface CompleterParts {
  root: CommandFacts;
  at: WorkingPlace;
  /** A client over the shell's connection. */
  client: () => Promise<TydfsClient>;
  saved: () => string[];
}

/** What Tab offers at the end of a line. Never throws: there is nowhere to tell it. */
export async function completeLine(line: string, parts: CompleterParts): Promise<Completions> {
  try {
    const { commands, open, endsInWord } = parseLine(line);
    const words = [...commands.at(-1) ?? []];
    const current = endsInWord ? words.pop() : undefined;
    const typed = words.map(({ text }) => text);
    if (typed[0] === "tydfs") typed.shift();
    const plan = planCompletion(parts.root, typed, current?.text ?? "");
    return await offer(plan, { line, current, open }, parts);
  } catch {
    return NOTHING;
  }
}

/** What Tab offers for the answer to a question, which is one word. */
export async function completeAnswer(
  line: string,
  place: Place,
  parts: CompleterParts,
): Promise<Completions> {
  try {
    const { commands, open, endsInWord } = parseLine(line);
    const current = endsInWord ? commands[0]?.at(-1) : undefined;
    const plan = { kind: "place", place, prefix: "", directories: false } as const;
    return await offer(plan, { line, current, open }, parts);
  } catch {
    return NOTHING;
  }
}

interface Typed {
  line: string;
  current: Word | undefined;
  open: OpenQuote;
}

async function offer(
  plan: CompletionPlan,
  { line, current, open }: Typed,
  parts: CompleterParts,
): Promise<Completions> {
  const text = current?.text ?? "";
  if (plan.kind === "words") {
    const tail = line.slice(current?.start ?? line.length);
    return hitsOf({ names: plan.words, start: text, tail, open });
  }
  if (!text.startsWith(plan.prefix)) return NOTHING;
  const { directory, start } = splitTyped(text.slice(plan.prefix.length));
  const names = await namesIn(plan.place, { directory, start, home: current?.isHome }, parts);
  const tailStart = directory === ""
    ? (current?.start ?? line.length) + plan.prefix.length
    : current?.tailStart ?? line.length;
  const shown = plan.directories ? names.filter((name) => name.endsWith("/")) : names;
  return hitsOf({ names: shown, start, tail: line.slice(tailStart), open });
}

interface Asked {
  directory: string;
  start: string;
  home: boolean | undefined;
}

async function namesIn(place: Place, asked: Asked, parts: CompleterParts): Promise<string[]> {
  switch (place) {
    case "remote":
      return await remoteIn(asked, parts);
    case "local":
      return await localIn(asked);
    case "either":
      return [...new Set([...await remoteIn(asked, parts), ...await localIn(asked)])];
    case "keeper":
      return await keepersStarting(asked, parts);
    case "subject":
      return asked.directory === ""
        ? await keepersStarting(asked, parts)
        : await remoteIn(asked, parts);
    case "saved":
      return parts.saved();
    case "command":
      return parts.root.commands.map(({ path }) => path.at(-1) ?? "");
    case "side":
    case "word":
      return [];
  }
}

async function remoteIn({ directory, start }: Asked, parts: CompleterParts): Promise<string[]> {
  const whole = parts.at.resolve(directory === "" ? "." : directory);
  const signal = AbortSignal.timeout(PATIENCE_MS);
  return await remoteNames(await parts.client(), { directory: whole, start }, signal);
}

async function keepersStarting({ start }: Asked, parts: CompleterParts): Promise<string[]> {
  return await keeperNames(await parts.client(), start, AbortSignal.timeout(PATIENCE_MS));
}

async function localIn({ directory, start, home }: Asked): Promise<string[]> {
  const path = home === true ? expandHome(directory) : directory;
  return await localNames(path === "" ? "." : path, start, NAMES_MAX);
}

/** Each hit is what was typed, the rest of the name, and what closes it. */
function hitsOf(
  { names, start, tail, open }: {
    names: readonly string[];
    start: string;
    tail: string;
    open: OpenQuote;
  },
): Completions {
  const hits = names.filter((name) => name.startsWith(start)).map((name) => {
    const rest = escapeWord(name.slice(start.length), open);
    const isWhole = !name.endsWith("/") && !name.endsWith("=");
    return tail + rest + (isWhole ? `${open === "\\" ? "" : open} ` : "");
  });
  return { hits, tail };
}

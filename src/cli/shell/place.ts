/** Where the shell stands: its remote directory, and how the words of a command lie to it. */
import { homedir } from "node:os";
import { expandLocal } from "../../client/local_names.ts";
import { ConfigError } from "../../config/load.ts";
import type { Place } from "../tree.ts";
import { resolveRemotePath } from "./remote_path.ts";
import type { Word } from "./words.ts";

export class WorkingPlace {
  #remote = "/";
  #before = "/";

  get remote(): string {
    return this.#remote;
  }

  /** The directory before this one; `cd -` goes there. */
  get before(): string {
    return this.#before;
  }

  /** Stands in a directory from now on, a whole path. */
  enter(directory: string): void {
    this.#before = this.#remote;
    this.#remote = directory;
  }

  /** The whole path of a remote name. */
  resolve(text: string): string {
    return resolveRemotePath(this.#remote, text);
  }

  /** The same as text that a directory's own name can follow: it ends with a slash. */
  get prefix(): string {
    return this.#remote === "/" ? "/" : `${this.#remote}/`;
  }
}

/** `~` and `~/…` as the user's home. */
export function expandHome(text: string): string {
  return text === "~" || text.startsWith("~/") ? homedir() + text.slice(1) : text;
}

export interface ResolveOptions {
  at: WorkingPlace;
  /** Where each of the words lies. */
  places: readonly Place[];
  /** The words as they were typed, to tell patterns from quoted names. */
  typed: readonly Word[];
  /** Patterns of local names become the names, as any shell does it. */
  expand: boolean;
}

/**
 * The words of a command as the program takes them: remote names whole, `~` and patterns of local
 * names expanded..
 */
export async function resolveWords(
  words: readonly string[],
  { at, places, typed, expand }: ResolveOptions,
): Promise<string[]> {
  const resolved: string[] = [];
  let from = 0;
  for (const [index, text] of words.entries()) {
    const place = places[index] ?? "word";
    // The words of a command stand in the line in their order, with flags between them.
    const found = typed.findIndex((each, number) => number >= from && each.text === text);
    const word = typed[found];
    from = found + 1;
    if (place === "remote") resolved.push(at.resolve(text));
    else if (place === "side" && text.startsWith(":")) {
      resolved.push(`:${at.resolve(text.slice(1) || ".")}`);
    } else if (place !== "local") resolved.push(text);
    else {
      const path = word?.isHome === true ? expandHome(text) : text;
      const isPattern = expand && word?.isPattern === true;
      resolved.push(...(isPattern ? await expandLocal(path) : [path]));
    }
  }
  return resolved;
}

/** Refuses `-` where it would mean standard input. */
export function refuseStdin(path: readonly string[], words: readonly string[]): void {
  if (path[0] !== "put" || words[0] !== "-") return;
  throw new ConfigError(
    "Cannot put standard input from the shell, which reads its own lines there: " +
      "put a file, or run tydfs put outside",
  );
}

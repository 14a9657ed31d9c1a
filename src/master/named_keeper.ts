/** Finds the keeper that a person means: by its name, its id, or the first digits of its id. */
import type { KeeperRecord } from "../catalog/reader.ts";
import { TydfsError } from "../wire/errors.ts";
import type { Roster } from "./roster.ts";

/** `action` begins the message. Throws `not-found`, also where several could be meant. */
export function getNamedKeeper(roster: Roster, word: string, action: string): KeeperRecord {
  const all = roster.all();
  const named = all.find(({ name, id }) => name === word || id === word);
  if (named !== undefined) return named;
  const similar = all.filter(({ id }) => id.startsWith(word.toLowerCase()));
  const [only] = similar;
  if (only !== undefined && similar.length === 1) return only;
  const state = similar.length > 1
    ? `the ids of ${similar.length} keepers begin so`
    : "the cluster has no keeper of this name; tydfs status lists them";
  throw new TydfsError("not-found", `Cannot ${action} keeper ${JSON.stringify(word)}: ${state}`);
}

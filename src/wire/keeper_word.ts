/** Which keeper a person means: by its name, its id, or the first digits of its id. */
import { TydfsError } from "./errors.ts";

/** People look for "keeper-10" behind "keeper-9". */
const NAMES = new Intl.Collator("en", { numeric: true });

/** Keepers that an error names, at most. */
const NAMED_MAX = 8;

/**
 * The keeper that `word` means; `doing` is the action that an error names. Throws `not-found`, also
 * where several ids begin so.
 */
export function findKeeper<Keeper extends { id: string; name: string }>(
  keepers: readonly Keeper[],
  word: string,
  doing: string,
): Keeper {
  const exact = keepers.find(({ id, name }) => name === word || id === word);
  if (exact !== undefined) return exact;
  const found = keepers.filter(({ id }) => word !== "" && id.startsWith(word.toLowerCase()));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const state = found.length > 1
    ? `${list(found)} have ids that begin so; give more digits`
    : keepers.length === 0
    ? "no keeper has joined yet"
    : `there are ${list(keepers)}`;
  throw new TydfsError("not-found", `Cannot ${doing} keeper ${JSON.stringify(word)}: ${state}`);
}

/** Keepers in the order in which people look for them. */
export function sortByName<Keeper extends { name: string }>(keepers: readonly Keeper[]): Keeper[] {
  return keepers.toSorted((a, b) => NAMES.compare(a.name, b.name));
}

function list(keepers: readonly { name: string }[]): string {
  const names = sortByName(keepers).slice(0, NAMED_MAX).map(({ name }) => name);
  const more = keepers.length - names.length;
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

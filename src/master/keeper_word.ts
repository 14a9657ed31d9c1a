/** Which keeper a person means: by its name, its id, or the first digits of its id. */
import { TydfsError } from "../wire/errors.ts";

/** Keepers that an error names, at most. */
const NAMED_MAX = 8;

/**
 * The keeper that `word` means. Throws `not-found` when there is none, `invalid` when several ids
 * begin so.
 */
export function findKeeper<Keeper extends { id: string; name: string }>(
  keepers: readonly Keeper[],
  word: string,
): Keeper {
  const exact = keepers.find(({ id, name }) => name === word || id === word);
  if (exact !== undefined) return exact;
  const found = keepers.filter(({ id }) => word !== "" && id.startsWith(word));
  const [only] = found;
  if (only !== undefined && found.length === 1) return only;
  const cannot = `Cannot find keeper ${JSON.stringify(word)}`;
  if (found.length > 1) {
    throw new TydfsError("invalid", `${cannot}: ${list(found)} begin so; give more digits`);
  }
  const known = keepers.length === 0 ? "no keeper has joined yet" : `there are ${list(keepers)}`;
  throw new TydfsError("not-found", `${cannot}: ${known}`);
}

function list(keepers: readonly { name: string }[]): string {
  const names = keepers.slice(0, NAMED_MAX).map(({ name }) => name);
  const more = keepers.length - names.length;
  return names.join(", ") + (more > 0 ? ` and ${more} more` : "");
}

/**
 * Names in a remote directory that begin alike: one page of a list, however large the directory.
 */
import { joinPath, parsePath } from "../wire/names.ts";
import type { Entry, OperationOptions } from "./api.ts";
import type { TydfsClient } from "./client.ts";

/**
 * The entries of a directory whose names begin with `start`, in byte order, `max` at most. Throws
 * `not-found`.
 */
export async function entriesStarting(
  client: TydfsClient,
  { directory, start, max }: { directory: string; start: string; max: number },
  options: OperationOptions = {},
): Promise<Entry[]> {
  const path = parsePath(directory);
  const prefix = joinPath(path, start);
  const before = nameBefore(start);
  const after = before === undefined ? {} : { after: joinPath(path, before) };
  const found: Entry[] = [];
  for await (const entry of client.list(path, { ...options, ...after })) {
    if (entry.path.startsWith(prefix)) found.push(entry);
    else if (isBehind(entry.path, prefix)) break;
    if (found.length >= max) break;
  }
  return found;
}

/**
 * A name that sorts, by its bytes, before all that begin with `start`, and as close as is simple;
 * undefined when the whole directory must be read.
 */
export function nameBefore(start: string): string | undefined {
  const letters = [...start];
  const last = letters.pop()?.codePointAt(0);
  if (last === undefined || last <= 0x30) return undefined;
  // Between these two lie the surrogates, which are no characters.
  const previous = last === 0xe000 ? 0xd7ff : last - 1;
  return letters.join("") + String.fromCodePoint(previous) + "\u{10ffff}";
}

function isBehind(path: string, prefix: string): boolean {
  return Buffer.compare(Buffer.from(path), Buffer.from(prefix)) > 0;
}

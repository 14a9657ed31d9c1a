/** Names that can stand in an argument, looked up where the argument lies. Bounded. */
import type { TydfsClient } from "../../client/client.ts";
import { entriesStarting } from "../../client/name_start.ts";
import { baseName, splitPath } from "../../wire/names.ts";
import { printable } from "../output.ts";

/** No more are offered: nobody reads them. */
export const NAMES_MAX = 1_000;

/** A path parted into the directory as it was typed, with its slash, and the start of a name. */
export function splitTyped(text: string): { directory: string; start: string } {
  const end = text.lastIndexOf("/") + 1;
  return { directory: text.slice(0, end), start: text.slice(end) };
}

/** Names of the cluster's keepers that begin with `start`. */
export async function keeperNames(
  client: TydfsClient,
  start: string,
  signal: AbortSignal,
): Promise<string[]> {
  const { keepers } = await client.status({ signal });
  return keepers.map(({ name }) => name)
    .filter((name) => name.startsWith(start) && printable(name) === name)
    .slice(0, NAMES_MAX);
}

/**
 * Names in a remote directory that begin with `start`, directories with a slash. Names that can't
 * be typed on one line are left out.
 */
export async function remoteNames(
  client: TydfsClient,
  { directory, start }: { directory: string; start: string },
  signal: AbortSignal,
): Promise<string[]> {
  const query = { directory: directory === "" ? "/" : directory, start, max: NAMES_MAX };
  const entries = await entriesStarting(client, query, { signal });
  // A file that is asked for as if it were a directory answers with itself.
  const depth = splitPath(query.directory.replace(/\/+$/, "") || "/").length + 1;
  return entries
    .filter(({ path }) => splitPath(path).length === depth && printable(path) === path)
    .map(({ path, kind }) => kind === "directory" ? `${baseName(path)}/` : baseName(path));
}

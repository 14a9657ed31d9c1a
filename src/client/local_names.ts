/** Names on this machine, for a shell: those that begin so, and those that match a pattern. */
import { readdir } from "node:fs/promises";

const MATCHES_MAX = 100_000;

/**
 * Names in a directory that begin with `start`, directories with a slash, sorted; names with a dot
 * at their front only when it was typed. At most `max`; none when it can't be read.
 */
export async function localNames(
  directory: string,
  start: string,
  max: number,
): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  return entries
    .filter(({ name }) => name.startsWith(start) && (start !== "" || !name.startsWith(".")))
    .sort((left, right) => left.name < right.name ? -1 : 1)
    .slice(0, max)
    .map((entry) => entry.isDirectory() ? `${entry.name}/` : entry.name);
}

/**
 * The paths that a pattern matches, sorted, as a shell would hand them on; itself if there are
 * none.
 */
export async function expandLocal(pattern: string): Promise<string[]> {
  const found: string[] = [];
  const glob = new Bun.Glob(pattern);
  const options = { onlyFiles: false, absolute: pattern.startsWith("/") };
  for await (const path of glob.scan(options)) {
    found.push(path);
    if (found.length >= MATCHES_MAX) break;
  }
  return found.length === 0 ? [pattern] : found.sort();
}

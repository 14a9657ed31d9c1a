/** A directory of the cluster with all that is below, as one stream of entries by relative path. */
import { TydfsError } from "../../wire/errors.ts";
import { quotePath } from "../../wire/names.ts";
import type { Entry, OperationOptions } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import type { TreeFilter } from "./filter.ts";
import type { TreeEntry } from "./merge.ts";
import { kindOf } from "./merge.ts";

export interface RemoteTreeOptions extends OperationOptions {
  filter: TreeFilter;
  /** Whether symbolic links are told of. */
  links: boolean;
}

/**
 * What is below `root` and taken by the filter, in the cluster's order. Throws `not-found`,
 * `not-directory`.
 */
export async function* listTree(
  client: TydfsClient,
  root: string,
  options: RemoteTreeOptions,
): AsyncGenerator<TreeEntry> {
  const { filter, links } = options;
  const prefix = root === "/" ? 1 : root.length + 1;
  // Directories above the next entry that are told of only when something in them is taken.
  const waiting: TreeEntry[] = [];
  let refused: string | undefined;
  for await (const entry of client.list(root, { ...options, recursive: true })) {
    if (entry.path === root) {
      throw new TydfsError("not-directory", `Cannot look into ${quotePath(root)}: it is a file`);
    }
    const found = treeEntry(entry, entry.path.slice(prefix));
    const { path, kind } = found;
    if (refused !== undefined && path.startsWith(refused)) continue;
    refused = undefined;
    while (waiting.length > 0 && !path.startsWith(`${waiting.at(-1)?.path}/`)) waiting.pop();
    if (kind === "directory") {
      if (!filter.entersDirectory(path)) refused = `${path}/`;
      else if (filter.keepsEmpty) yield found;
      else waiting.push(found);
    } else if (filter.takesFile(path) && (links || kind !== "link")) {
      yield* waiting.splice(0);
      yield found;
    }
  }
}

/** An entry of the cluster as one of a tree, where it has the path `path`. */
export function treeEntry(entry: Entry, path: string): TreeEntry {
  const { size: sizeBytes, mtimeMs, mode, checksum } = entry;
  return { path, kind: kindOf(entry), sizeBytes, mtimeMs, mode, checksum };
}

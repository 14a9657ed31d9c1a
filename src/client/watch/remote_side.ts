/**
 * The remote side of a watch: where a path lies in the cluster, and whether what is there was sent.
 */
import { hasCode } from "../../wire/errors.ts";
import { joinPath, parsePath } from "../../wire/names.ts";
import type { Entry } from "../api.ts";
import type { TydfsClient } from "../client.ts";
import type { KnownEntry } from "./plan.ts";

/** What of the client a watch needs. */
export type WatchClient = Pick<
  TydfsClient,
  "put" | "putLink" | "putPacked" | "rename" | "remove" | "makeDirectory" | "set" | "stat" | "list"
>;

export class RemoteSide {
  readonly client: WatchClient;
  readonly #root: string;

  /** Below the remote directory `root`. */
  constructor(client: WatchClient, root: string) {
    this.client = client;
    this.#root = root;
  }

  /** The remote path of a local one. Throws `invalid` when that can't be a name. */
  pathOf(path: string): string {
    return parsePath(joinPath(this.#root, path));
  }

  /** What is at a remote path. */
  async find(remote: string, signal: AbortSignal): Promise<Entry | undefined> {
    try {
      return (await this.client.stat(remote, { signal })).entry;
    } catch (error) {
      if (hasCode(error, "not-found")) return undefined;
      throw error;
    }
  }
}

/** Whether a remote entry is what was sent. */
export function isSent(there: Entry | undefined, known: KnownEntry): there is Entry {
  if (there === undefined) return false;
  if (known.kind === "directory") return there.kind === "directory";
  return there.kind === "file" && there.version === known.version;
}

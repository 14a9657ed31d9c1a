/**
 * Which cluster a client joins: flags before environment before `tydfs.toml`, a URL before a name
 * within each, and the default saved connection last. Decides only.
 */
import { similarWord } from "../base/similar.ts";
import { ConfigError, type LoadedConfig, type Origin, type OriginKind } from "./load.ts";
import type { SavedClusters } from "./saved.ts";

/** The URL to join by, and where it comes from; an empty one when nothing names a cluster. */
export interface Connection {
  url: string;
  origin: Origin;
}

/** What to do when no cluster is named; the end of a message. */
export const HOW_TO_NAME_ONE =
  "set TYDFS_URL, give --url, or save it once: tydfs login URL --name home";

const RANKS: readonly OriginKind[] = ["flag", "environment", "file", "saved", "default"];

/**
 * Chooses the URL. `readSaved` is asked only when a name or the default is needed. Throws
 * `ConfigError` on the name of a connection that is not saved.
 *
 * The setting `cluster` is the master's too, for which it names the cluster on NATS: where nothing
 * is saved, one from the environment or the file was meant for the master, and is passed over.
 */
export function chooseConnection(
  { settings, origin }: LoadedConfig,
  readSaved: () => SavedClusters,
): Connection {
  const { url, cluster } = settings;
  const given: Connection = { url, origin: origin.url };
  const hasUrl = url !== "";
  const rankOf = (kind: OriginKind) => RANKS.indexOf(kind);
  const isNamed = origin.cluster.kind !== "default";
  if (hasUrl && (!isNamed || rankOf(origin.url.kind) <= rankOf(origin.cluster.kind))) return given;
  const saved = readSaved();
  if (isNamed && (origin.cluster.kind === "flag" || saved.urlByName.size > 0)) {
    const found = saved.urlByName.get(cluster);
    if (found === undefined) throw unknownName(cluster, origin.cluster.text, saved);
    return fromSaved(cluster, found, origin.cluster.text);
  }
  if (hasUrl || saved.standard === undefined) return given;
  return fromSaved(saved.standard, saved.urlByName.get(saved.standard) ?? "", "the default one");
}

function fromSaved(name: string, url: string, why: string): Connection {
  const text = `saved connection "${name}" (${why})`;
  return { url, origin: { kind: "saved", text, written: url } };
}

function unknownName(name: string, place: string, saved: SavedClusters): ConfigError {
  const names = [...saved.urlByName.keys()];
  const similar = similarWord(name, names);
  const known = names.map((each) => `"${each}"`).join(", ");
  const next = similar !== undefined
    ? `did you mean "${similar}"?`
    : names.length > 0
    ? `there is ${known}; or give --url`
    : `save it: tydfs login URL --name ${name}`;
  return new ConfigError(
    `Cannot use "${name}" for "cluster" (${place}): no connection is saved by that name; ${next}`,
  );
}

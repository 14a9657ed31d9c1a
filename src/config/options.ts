/**
 * The one table of settings: from it come the flags, the environment names (`TYDFS_<KEY>`), the
 * keys of `tydfs.toml`, the help texts, the reference in the README and the types. To add a
 * setting, add a row.
 */

import { availableParallelism } from "node:os";
import type { RuleSetting } from "./rules.ts";

/** So many cores are busy with one thread of each role, and more threads only share them. */
const FEW_CORES = 2;

/** How a setting is written; sizes are bytes inside, durations ms. */
export type OptionType = "text" | "number" | "size" | "duration" | "list" | "labels";

interface OptionRow<T extends OptionType = OptionType> {
  type: T;
  /** As it would be written; empty: unset. */
  default: string;
  /** The default on a machine with up to two cores, where it is another one. */
  defaultOnFewCores?: string;
  /** The commands that take it as a flag. */
  for: readonly ("master" | "keeper" | "client")[];
  sentence: string;
  /** Smallest and largest value, for numbers, sizes (bytes) and durations (ms). */
  min?: number;
  max?: number;
  /** Only multiples of it are allowed. */
  multiple?: number;
  /** Those for whom the default holds; all unless given. */
  defaultFor?: readonly ("master" | "keeper" | "client")[];
  /** Allowed words, for texts. */
  words?: readonly string[];
  /** The longest text. */
  bytesMax?: number;
}

const row = <const T extends OptionRow>(option: T): T => option;

export const OPTIONS = {
  url: row({
    type: "text",
    default: "",
    for: ["keeper", "client"],
    sentence: "The cluster's join URL, tydfs://ROLE:SECRET@HOST:PORT",
  }),
  data: row({
    type: "text",
    default: "",
    for: ["master", "keeper"],
    sentence: "The data directory",
  }),
  host: row({
    type: "text",
    default: "127.0.0.1",
    for: ["master", "keeper"],
    sentence: "The address to listen on; 0.0.0.0 for all",
  }),
  advertise: row({
    type: "text",
    default: "",
    for: ["master", "keeper"],
    sentence: "The host name or address that others reach this machine by",
  }),
  port: row({
    type: "number",
    default: "",
    for: ["master", "keeper"],
    sentence: "master: NATS port (4222); keeper: first streamer port (7000); 0 takes free ones",
    min: 0,
    max: 65535,
  }),
  log_level: row({
    type: "text",
    default: "info",
    for: ["master", "keeper"],
    sentence: "The least grave messages to log",
    words: ["debug", "info", "warn", "error"],
  }),
  log_format: row({
    type: "text",
    default: "auto",
    for: ["master", "keeper"],
    sentence: "Log lines: text, json, or auto (text on a terminal)",
    words: ["auto", "text", "json"],
  }),
  trackers: row({
    type: "number",
    default: "2",
    defaultOnFewCores: "1",
    for: ["master"],
    sentence: "Threads that answer clients (1 on up to two cores)",
    min: 1,
    max: 32,
  }),
  nats: row({
    type: "text",
    default: "",
    for: ["master"],
    sentence: "Use this NATS server, nats://HOST:PORT, in place of the embedded one",
  }),
  cluster: row({
    type: "text",
    default: "main",
    defaultFor: ["master"],
    for: ["master", "client"],
    sentence: "master: the cluster's name, as several may share one NATS; " +
      "client: the name of a saved connection (tydfs login)",
  }),
  keepers: row({
    type: "list",
    default: "",
    for: ["master"],
    sentence: "Names of the keepers that may join; empty: all with the secret",
  }),
  replicas: row({
    type: "number",
    default: "3",
    for: ["master"],
    sentence: "Copies of each chunk to reach",
    min: 1,
    max: 16,
  }),
  min_copies: row({
    type: "number",
    default: "2",
    for: ["master"],
    sentence: "Copies on disk before a put succeeds",
    min: 1,
    max: 16,
  }),
  chunk_size: row({
    type: "size",
    default: "64MiB",
    for: ["master"],
    sentence: "The largest chunk of a file; a multiple of 1 MiB",
    min: 2 ** 20,
    max: 256 * 2 ** 20,
    multiple: 2 ** 20,
  }),
  suspect_after: row({
    type: "duration",
    default: "3s",
    for: ["master"],
    sentence: "Silence after which a keeper gets no new streams",
    min: 1000,
  }),
  dead_after: row({
    type: "duration",
    default: "10s",
    for: ["master"],
    sentence: "Silence after which a keeper counts as dead",
    min: 1500,
  }),
  repair_delay: row({
    type: "duration",
    default: "5m",
    for: ["master"],
    sentence: "Time after a keeper's death before chunks with other copies left are copied again",
  }),
  maintenance_window: row({
    type: "duration",
    default: "30m",
    for: ["master"],
    sentence: "The same for a keeper that stopped in good order",
  }),
  repair_streams: row({
    type: "number",
    default: "4",
    for: ["master"],
    sentence: "Repairs that run at once",
    min: 1,
    max: 64,
  }),
  repair_per_keeper: row({
    type: "number",
    default: "2",
    for: ["master"],
    sentence: "Repairs that one keeper takes part in at once",
    min: 1,
    max: 16,
  }),
  repair_bandwidth: row({
    type: "size",
    default: "200MiB",
    for: ["master"],
    sentence: "Bytes a second that repairs may bring to one keeper; 0: no limit",
  }),
  safe_share: row({
    type: "number",
    default: "50",
    for: ["master"],
    sentence: "Percent of the known keepers below which nothing is deleted, moved or repaired",
    min: 0,
    max: 100,
  }),
  balance_threshold: row({
    type: "number",
    default: "10",
    for: ["master"],
    sentence:
      "Percent of a disk by which a keeper may be fuller or emptier than the mean before chunks are moved; 0: only by command",
    min: 0,
    max: 100,
  }),
  balance_bandwidth: row({
    type: "size",
    default: "50MiB",
    for: ["master"],
    sentence: "Bytes a second that balancing and draining may bring to one keeper; 0: no limit",
  }),
  unknown_grace: row({
    type: "duration",
    default: "72h",
    for: ["master"],
    sentence: "Time for which chunks that the catalog does not know are kept",
  }),
  snapshot_period: row({
    type: "duration",
    default: "1h",
    for: ["master"],
    sentence: "Time between two snapshots of the catalog, which keepers store",
    min: 1000,
  }),
  journal_copies: row({
    type: "number",
    default: "2",
    for: ["master"],
    sentence:
      "Keepers that have each change of the catalog on disk before it is answered; 0: the master's disk alone",
    min: 0,
    max: 5,
  }),
  trash_ttl: row({
    type: "duration",
    default: "24h",
    for: ["master"],
    sentence: "Time for which removed and replaced files are kept",
  }),
  grace: row({
    type: "duration",
    default: "10m",
    for: ["master"],
    sentence: "Time before chunks that no file needs are removed from keepers",
  }),
  upload_lease: row({
    type: "duration",
    default: "1m",
    for: ["master"],
    sentence: "Silence after which an unfinished upload counts as interrupted",
    min: 2000,
  }),
  upload_ttl: row({
    type: "duration",
    default: "72h",
    for: ["master"],
    sentence:
      "Time for which the stored chunks of an interrupted upload are kept, to be taken over by the next one",
  }),
  name: row({
    type: "text",
    default: "",
    for: ["keeper"],
    sentence: "The keeper's name; the host's name and a part of its id unless given",
  }),
  streamers: row({
    type: "number",
    default: "2",
    defaultOnFewCores: "1",
    for: ["keeper"],
    sentence: "Streaming threads, each with a port of its own (1 on up to two cores)",
    min: 1,
    max: 8,
  }),
  slots: row({
    type: "number",
    default: "8",
    for: ["keeper"],
    sentence: "Streams that one port carries at once",
    min: 1,
    max: 16,
  }),
  label: row({
    type: "labels",
    default: "",
    for: ["keeper"],
    sentence: "Labels of the keeper, KEY=VALUE,…; copies go to distinct zones (zone=…) first",
  }),
  reserve: row({
    type: "size",
    default: "",
    for: ["keeper"],
    sentence:
      "Space that is always left free on the keeper's disk; 1 GiB or 1 %, whichever is more, unless given",
  }),
  scrub_period: row({
    type: "duration",
    default: "7d",
    for: ["keeper"],
    sentence: "Time in which every chunk is read again and compared with its sums",
    min: 1000,
  }),
  scrub_bandwidth: row({
    type: "size",
    default: "50MiB",
    for: ["keeper"],
    sentence: "Bytes a second that scrubbing may read; 0: no limit",
  }),
  inventory_period: row({
    type: "duration",
    default: "24h",
    for: ["keeper"],
    sentence: "Time between two comparisons of the keeper's disk with the catalog",
    min: 1000,
  }),
  as: row({
    type: "text",
    default: "",
    for: ["client"],
    sentence: "The user that is recorded as the owner; the login name unless given",
    bytesMax: 255,
  }),
  wait: row({
    type: "duration",
    default: "30s",
    for: ["client"],
    sentence: "Time to wait while all ports are busy",
  }),
  parallel: row({
    type: "number",
    default: "4",
    for: ["client"],
    sentence: "Chunks or ranges in transfer at once",
    min: 1,
    max: 32,
  }),
  transfers: row({
    type: "number",
    default: "8",
    for: ["client"],
    sentence: "Files in transfer at once, where there are several",
    min: 1,
    max: 64,
  }),
} as const satisfies Record<string, OptionRow>;

export type OptionKey = keyof typeof OPTIONS;

interface ValueOf {
  text: string;
  number: number;
  size: number;
  duration: number;
  list: string[];
  labels: Record<string, string>;
}

/**
 * All settings, by key: sizes in bytes, durations in ms; a number that is unset is undefined. The
 * rules of the file come besides: they have no flag.
 */
export type Settings =
  & {
    [K in OptionKey]: K extends "port" | "reserve" ? number | undefined
      : ValueOf[(typeof OPTIONS)[K]["type"]];
  }
  & { rules: readonly RuleSetting[] };

/**
 * What a setting is to one of its users: of `master: …; keeper: …; …` the others' parts are left
 * out.
 */
export function sentenceFor(key: OptionKey, user: "master" | "keeper" | "client"): string {
  const parts = OPTIONS[key].sentence.split("; ").flatMap((part) => {
    const role = /^(master|keeper|client): /.exec(part);
    if (role === null) return [part];
    return role[1] === user ? [part.slice(role[0].length)] : [];
  });
  const sentence = parts.join("; ");
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}

/** The default of a setting on this machine, as it would be written; empty when unset. */
export function defaultHere(key: OptionKey): string {
  const row: OptionRow = OPTIONS[key];
  if (row.defaultOnFewCores === undefined) return row.default;
  return availableParallelism() <= FEW_CORES ? row.defaultOnFewCores : row.default;
}

/** The same for one of its users. */
export function defaultFor(key: OptionKey, user: "master" | "keeper" | "client"): string {
  const row: OptionRow = OPTIONS[key];
  return row.defaultFor === undefined || row.defaultFor.includes(user) ? defaultHere(key) : "";
}

/** The environment's name of a setting: `TYDFS_CHUNK_SIZE`. */
export function envName(key: OptionKey): string {
  return `TYDFS_${key.toUpperCase()}`;
}

/** The flag of a setting: `--chunk-size`. */
export function flagName(key: OptionKey): string {
  return `--${key.replaceAll("_", "-")}`;
}

/**
 * Events. The master publishes each for anyone who listens: these tell, and may be lost. Changes of
 * names are also logged in the catalog, in order and without gaps, for those who must not miss one.
 */
import * as v from "valibot";
import { Natural } from "./ids.ts";
import { rpc } from "./rpc.ts";

/** The kinds of event; the subject is `event.<kind>`. */
export const EVENT_KINDS = [
  "put",
  "replaced",
  "removed",
  "renamed",
  "keeper-joined",
  "keeper-lost",
  "keeper-back",
  "repaired",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export const ClusterEvent = v.object({
  kind: v.picklist(EVENT_KINDS),
  /** Wall time in ms. */
  atMs: Natural,
  path: v.optional(v.string()),
  /** The new path of a rename. */
  to: v.optional(v.string()),
  version: v.optional(Natural),
  /** Bytes of the file. */
  sizeBytes: v.optional(Natural),
  owner: v.optional(v.string()),
  /** The keeper's name. */
  keeper: v.optional(v.string()),
  chunk: v.optional(v.string()),
});
export type ClusterEvent = v.InferOutput<typeof ClusterEvent>;

/**
 * The kinds of event that the catalog logs. A copy is a `put` too, or a `replaced`; directories are
 * logged when they are removed or renamed, not when they are made.
 */
export const LOGGED_KINDS = ["put", "replaced", "removed", "renamed"] as const;

/** A change of names as the catalog has logged it. */
export const LoggedEvent = v.object({
  /** Grows with each. */
  seq: Natural,
  kind: v.picklist(LOGGED_KINDS),
  atMs: Natural,
  path: v.string(),
  /** The new path of a rename. */
  to: v.optional(v.string()),
  /** What is at the path now (a directory may be removed or renamed with all that is below it). */
  entry: v.picklist(["file", "directory"]),
  version: v.optional(Natural),
  /** Bytes of the file; a directory has none. */
  sizeBytes: v.optional(Natural),
  owner: v.optional(v.string()),
});
export type LoggedEvent = v.InferOutput<typeof LoggedEvent>;

/** Events in one reply of `event.list`, at most. */
export const EVENT_PAGE_MAX = 500;

/**
 * `event.list`: the logged events behind `after`, oldest first; where paths are long, fewer than
 * `limit`. The log keeps a bounded number: those up to `forgotten` are gone. `latest` is the last
 * one's number.
 */
export const eventList = rpc(
  "event.list",
  v.object({
    after: Natural,
    limit: v.pipe(Natural, v.minValue(1), v.maxValue(EVENT_PAGE_MAX)),
  }),
  v.object({ events: v.array(LoggedEvent), forgotten: Natural, latest: Natural }),
);

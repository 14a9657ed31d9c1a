/**
 * Events that the master publishes for anyone who listens. They tell; nothing depends on their
 * arrival.
 */
import * as v from "valibot";
import { Natural } from "./ids.ts";

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
  keeper: v.optional(v.string()),
  chunk: v.optional(v.string()),
});
export type ClusterEvent = v.InferOutput<typeof ClusterEvent>;

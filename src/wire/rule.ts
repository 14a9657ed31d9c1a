/**
 * Placement rules: which keepers get the chunks of files whose paths match a pattern, and how many
 * copies. The first rule that matches a path decides.
 */
import * as v from "valibot";
import { Natural } from "./ids.ts";
import { Done, rpc } from "./rpc.ts";

const Labels = v.record(
  v.pipe(v.string(), v.regex(/^[\w.-]{1,63}$/)),
  v.pipe(v.string(), v.regex(/^[\w.-]{1,63}$/)),
);

/** What a rule says; a rule that asks for nothing is refused. */
export const RuleFacts = v.object({
  /** A pattern of remote paths (`/videos/**`, `*.mp4`); without a slash it is of names anywhere. */
  pattern: v.pipe(v.string(), v.minLength(1), v.maxLength(1024)),
  /** Only keepers with all of these labels. */
  require: Labels,
  /** Keepers with all of these labels first. */
  prefer: Labels,
  /** Copies wanted; the cluster's own goal when undefined. */
  copies: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(16))),
});
export type RuleFacts = v.InferOutput<typeof RuleFacts>;

export const Rule = v.object({
  ...RuleFacts.entries,
  /** Names it in `rule.remove`; 0 for one from the master's configuration file. */
  id: Natural,
  source: v.picklist(["file", "added"]),
});
export type Rule = v.InferOutput<typeof Rule>;

/** `rule.add`: appends a rule. Errors: `invalid`, `exists` (the pattern has one), `limit`. */
export const ruleAdd = rpc("rule.add", RuleFacts, v.object({ id: Natural }));

/** `rule.remove`. Errors: `not-found`, `denied` (one from the file). */
export const ruleRemove = rpc("rule.remove", v.object({ id: Natural }), Done);

/** `rule.list`: all rules in the order in which they are tried: those of the file first. */
export const ruleList = rpc("rule.list", v.object({}), v.object({ rules: v.array(Rule) }));

/**
 * `rule.apply`: gives a page of the files that are there (in byte order behind `after`) the goal
 * and place that the rules now say; the replicator then copies and moves. Answers how many were
 * looked at and how many changed, and `next` while there are more.
 */
export const ruleApply = rpc(
  "rule.apply",
  v.object({ after: v.optional(v.pipe(v.string(), v.maxLength(8192))) }),
  v.object({ files: Natural, changed: Natural, next: v.optional(v.string()) }),
);

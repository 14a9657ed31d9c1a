/** Which events are meant: pure. */
import { matcherOf } from "../../base/pattern.ts";
import type { LoggedEvent } from "../api.ts";

/** What `tydfs on` can hear. */
export const TRIGGERS = ["put", "replaced", "removed", "renamed", "any"] as const;
export type Trigger = (typeof TRIGGERS)[number];

/** Something with the paths of an event. */
export interface PathEvent {
  kind: string;
  path?: string | undefined;
  to?: string | undefined;
}

/**
 * A test of events by patterns of paths (any of them; all when there are none). A rename matches by
 * its old name or its new one; what has no path matches no pattern.
 */
export function eventMatcher(patterns: readonly string[]): (event: PathEvent) => boolean {
  if (patterns.length === 0) return () => true;
  const matchers = patterns.map(matcherOf);
  return ({ path, to }) =>
    [path, to].some((name) => name !== undefined && matchers.some((matches) => matches(name)));
}

/**
 * Whether an event is one of those that a trigger means. `put` means each new version of a file,
 * whether it replaces another one or not.
 */
export function isTriggered(trigger: Trigger, kind: LoggedEvent["kind"]): boolean {
  if (trigger === "any" || trigger === kind) return true;
  return trigger === "put" && kind === "replaced";
}

/** The words of a command with an event's facts in the places of `{}`, `{to}` and `{version}`. */
export function fillCommand(argv: readonly string[], event: LoggedEvent): string[] {
  const facts: Record<string, string> = {
    "{}": event.path,
    "{to}": event.to ?? "",
    "{version}": String(event.version ?? ""),
  };
  return argv.map((word) => word.replace(/\{(?:to|version)?\}/g, (place) => facts[place] ?? place));
}

/** An event's facts as the environment of a command. */
export function eventEnvironment(event: LoggedEvent): Record<string, string> {
  const { seq, kind, atMs, entry, path, to, sizeBytes, version, owner } = event;
  return {
    TYDFS_EVENT_SEQ: String(seq),
    TYDFS_EVENT_KIND: kind,
    TYDFS_EVENT_AT_MS: String(atMs),
    TYDFS_EVENT_ENTRY: entry,
    TYDFS_EVENT_PATH: path,
    TYDFS_EVENT_TO: to ?? "",
    TYDFS_EVENT_SIZE: String(sizeBytes ?? ""),
    TYDFS_EVENT_VERSION: String(version ?? ""),
    TYDFS_EVENT_OWNER: owner ?? "",
  };
}

/** Placement rules as people read them. */
import type { ClusterStatus, Rule, RuleFacts } from "../../client/client.ts";
import { formatLabels, hasLabels } from "../../wire/labels.ts";
import { alignColumns, formatCount } from "./format.ts";
import { printable } from "../output.ts";

const HEADINGS = ["ID", "PATTERN", "REQUIRE", "PREFER", "COPIES", "FROM"];

/** A table of rules in the order in which they are tried. */
export function formatRules(rules: readonly Rule[]): string[] {
  if (rules.length === 0) return ["There are no rules: files go to any keeper"];
  const rows = rules.map(({ id, pattern, require, prefer, copies, source }) => [
    source === "file" ? "-" : String(id),
    printable(pattern),
    formatLabels(require) || "-",
    formatLabels(prefer) || "-",
    copies === undefined ? "-" : String(copies),
    source === "file" ? "tydfs.toml" : "added",
  ]);
  return alignColumns([HEADINGS, ...rows], [0, 4]);
}

/** One rule in a line: `"*.mp4" · require kind=video · 2 copies`. */
export function formatRule({ pattern, require, prefer, copies }: RuleFacts): string {
  const wishes = [
    ["require", formatLabels(require)],
    ["prefer", formatLabels(prefer)],
  ].filter(([, labels]) => labels !== "").map((pair) => pair.join(" "));
  const number = copies === undefined ? [] : [formatCount(copies, "copy", "copies")];
  return [printable(JSON.stringify(pattern)), ...wishes, ...number].join(" · ");
}

/**
 * What goes wrong with a rule while so few keepers have its labels; undefined when nothing does.
 */
export function fewKeepersWarning(rule: RuleFacts, status: ClusterStatus): string | undefined {
  const labels = formatLabels(rule.require);
  if (labels === "") return undefined;
  const count =
    status.keepers.filter((keeper) =>
      keeper.state !== "DEAD" && hasLabels(keeper.labels, rule.require)
    ).length;
  const wanted = rule.copies ?? status.replicas;
  const needed = Math.min(status.minCopies, wanted);
  const has = `${formatCount(count, "keeper has", "keepers have")} ${labels} now`;
  if (count < needed) {
    return `Only ${has}, and such files need ${needed}: puts of them fail until more ` +
      `keepers join with --label ${labels}`;
  }
  if (count < wanted) return `Only ${has}: such files get ${count} of ${wanted} copies`;
  return undefined;
}

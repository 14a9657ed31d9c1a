/**
 * Policies: what rules want of the keepers of a chunk, each wish on record once, so that a chunk
 * names it by a number.
 */
import type { Labels } from "../wire/labels.ts";
import type { PolicyFacts } from "./operation.ts";
import type { Tx } from "./transaction.ts";

/** The number of a policy, recorded where it is new; 0 for one that wants nothing. */
export function policyNumber(tx: Tx, policy: PolicyFacts | undefined): number {
  if (policy === undefined) return 0;
  const { require, prefer } = policy;
  const wishes = [require, prefer].map(labelsText);
  if (wishes.every((text) => text === labelsText({}))) return 0;
  const sql = "SELECT no FROM policy WHERE require = ? AND prefer = ?";
  const known = tx.get<{ no: number }>(sql, ...wishes)?.no;
  return known ?? tx.run("INSERT INTO policy (require, prefer) VALUES (?, ?)", ...wishes).rowid;
}

/** Labels as JSON with sorted keys: equal labels are equal texts. */
export function labelsText(labels: Labels): string {
  return JSON.stringify(Object.fromEntries(
    Object.keys(labels).sort().map((key) => [
      key,
      labels[key],
    ]),
  ));
}

/** A keeper has come back with other labels: its copies may be right or wrong now. */
export function noteRelabelled(tx: Tx, keeper: number): void {
  if (tx.get("SELECT no FROM policy LIMIT 1") === undefined) return;
  tx.run("INSERT OR REPLACE INTO relabelled (keeper, after) VALUES (?, 0)", keeper);
}

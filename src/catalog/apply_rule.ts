/** Placement rules: added, removed, and applied to the files that are there. */
import { whyNotPattern } from "../base/pattern.ts";
import { TydfsError } from "../wire/errors.ts";
import { changeChunk, getChunk, recountChunk } from "./chunk_rows.ts";
import type { FilePlacement, Operation, ResultOf } from "./operation.ts";
import { labelsText, policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

const RULES_MAX = 1000;
/** Characters of all patterns and labels: the list of the rules is one message. */
const CHARACTERS_MAX = 200 * 1024;

const TOTALS = `SELECT count(*) AS rules,
  ifnull(sum(length(pattern) + length(require) + length(prefer)), 0) AS characters FROM rule`;
const INSERT_RULE = "INSERT INTO rule (pattern, require, prefer, copies) VALUES (?, ?, ?, ?)";
const CHUNKS = "SELECT chunk FROM extent WHERE inode = ? AND seq >= ? ORDER BY seq LIMIT ?";
const IS_FILE = "SELECT id FROM inode WHERE id = ? AND kind = 'file'";
const SET_GOAL = "UPDATE inode SET goal = ?1 WHERE id = ?2 AND kind = 'file' AND goal <> ?1";
/** The highest goal of the files and uploads that a chunk belongs to. */
const HIGHEST_GOAL = `SELECT max(goal) AS goal FROM (
  SELECT i.goal FROM extent e CROSS JOIN inode i ON i.id = e.inode
    WHERE e.chunk = ? AND NOT EXISTS (SELECT 1 FROM trash WHERE inode = e.inode)
  UNION ALL
  SELECT o.goal FROM upload_chunk u CROSS JOIN upload o ON o.id = u.upload WHERE u.chunk = ?)`;
const HELD = `SELECT r.chunk, c.policy FROM replica r CROSS JOIN chunk c ON c.no = r.chunk
  WHERE r.keeper = ? AND r.chunk > ? ORDER BY r.chunk LIMIT ?`;

/** Appends a rule: `rule.add`. */
export function addRule(tx: Tx, operation: Of<"rule.add">): ResultOf<"rule.add"> {
  const { pattern, require, prefer, copies } = operation.rule;
  const refuse = (code: "invalid" | "exists" | "limit", state: string) =>
    new TydfsError(code, `Cannot add a rule for ${JSON.stringify(pattern)}: ${state}`);
  const why = whyNotPattern(pattern);
  if (why !== undefined) throw refuse("invalid", why);
  const wishes = [require, prefer].map(labelsText);
  if (copies === undefined && wishes.every((text) => text === labelsText({}))) {
    throw refuse("invalid", "it asks for no labels and no copies");
  }
  if (tx.get("SELECT id FROM rule WHERE pattern = ?", pattern) !== undefined) {
    throw refuse("exists", "this pattern has one; remove that first");
  }
  const totals = tx.get<{ rules: number; characters: number }>(TOTALS);
  const { rules, characters } = totals ?? { rules: 0, characters: 0 };
  if (rules >= RULES_MAX) throw refuse("limit", `there are ${RULES_MAX} rules, which is the most`);
  if (characters + [pattern, ...wishes].join("").length > CHARACTERS_MAX) {
    throw refuse("limit", `all rules together may have ${CHARACTERS_MAX} characters`);
  }
  const { rowid } = tx.run(INSERT_RULE, pattern, ...wishes, copies ?? null);
  tx.count("rules_generation", 1);
  return { id: rowid };
}

/** Takes a rule away: `rule.remove`. */
export function removeRule(tx: Tx, operation: Of<"rule.remove">): Record<string, never> {
  const { id } = operation;
  if (tx.run("DELETE FROM rule WHERE id = ?", id).changes === 0) {
    throw new TydfsError("not-found", `Cannot remove rule ${id}: there is none of this number`);
  }
  tx.count("rules_generation", 1);
  return {};
}

/** Gives files what the rules say: `rule.apply`. */
export function applyRules(tx: Tx, operation: Of<"rule.apply">): ResultOf<"rule.apply"> {
  const { files, atMs } = operation;
  // The goals of all first: the files of one pack ask for its highest goal together.
  const raised = files.map(({ inode, goal }) => tx.run(SET_GOAL, goal, inode).changes > 0);
  const highest = new Map<number, number | null>();
  const placed = files.map((file) => placeChunks(tx, file, highest, atMs));
  const changed = files.filter((_, index) => raised[index] === true || placed[index] === true);
  return { changed: changed.map(({ inode }) => inode) };
}

/** Looks anew at a part of the copies of a keeper that has other labels: `keeper.recount`. */
export function recountKeeper(tx: Tx, operation: Of<"keeper.recount">): Record<string, never> {
  const { keeper, limit } = operation;
  const sql = "SELECT after FROM relabelled WHERE keeper = ?";
  const after = tx.get<{ after: number }>(sql, keeper)?.after;
  if (after === undefined) return {};
  const page = tx.all<{ chunk: number; policy: number }>(HELD, keeper, after, limit);
  for (const { chunk, policy } of page) if (policy > 0) recountChunk(tx, chunk);
  const last = page.at(-1)?.chunk;
  if (last === undefined || page.length < limit) {
    tx.run("DELETE FROM relabelled WHERE keeper = ?", keeper);
  } else tx.run("UPDATE relabelled SET after = ? WHERE keeper = ?", last, keeper);
  return {};
}

/**
 * Gives the chunks of a part of a file what the rules say; `highest` remembers the goals that files
 * ask of shared ones. Returns whether anything was to be changed.
 */
function placeChunks(
  tx: Tx,
  file: FilePlacement,
  highest: Map<number, number | null>,
  atMs: number,
): boolean {
  const { inode, fromSeq, limit } = file;
  if (tx.get(IS_FILE, inode) === undefined) return false;
  let changed = false;
  const policy = policyNumber(tx, file.policy);
  for (const { chunk: no } of tx.all<{ chunk: number }>(CHUNKS, inode, fromSeq, limit)) {
    const chunk = getChunk(tx, no);
    const shared = chunk.refs === 1 ? null : highestGoal(tx, no, highest);
    const goal = shared ?? file.goal;
    if (chunk.goal === goal && chunk.policy === policy) continue;
    changeChunk(tx, chunk, { goal, policy }, atMs);
    changed = true;
  }
  return changed;
}

/** The highest goal that anything asks of a chunk; null when only versions in the trash do. */
function highestGoal(tx: Tx, no: number, known: Map<number, number | null>): number | null {
  let goal = known.get(no);
  if (goal === undefined) {
    goal = tx.get<{ goal: number | null }>(HIGHEST_GOAL, no, no)?.goal ?? null;
    known.set(no, goal);
  }
  return goal;
}

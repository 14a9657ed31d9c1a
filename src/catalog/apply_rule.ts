/** Placement rules: added, removed, and applied to the files that are there. */
import { must } from "../base/assert.ts";
import { whyNotPattern } from "../base/pattern.ts";
import { TydfsError } from "../wire/errors.ts";
import { getChunk, recountChunk } from "./chunk_rows.ts";
import type { FilePlacement, Operation, ResultOf } from "./operation.ts";
import { labelsText, policyNumber } from "./policy.ts";
import type { Tx } from "./transaction.ts";
import { placeChunk, type Wish, WISHES_MAX } from "./wish.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

const RULES_MAX = 1000;
/** Characters of all patterns and labels: the list of the rules is one message. */
const CHARACTERS_MAX = 200 * 1024;

const TOTALS = `SELECT count(*) AS rules,
  ifnull(sum(length(pattern) + length(require) + length(prefer)), 0) AS characters FROM rule`;
const INSERT_RULE = "INSERT INTO rule (pattern, require, prefer, copies) VALUES (?, ?, ?, ?)";
const CHUNKS = "SELECT chunk FROM extent WHERE inode = ? AND seq >= ? ORDER BY seq LIMIT ?";
const IS_FILE = "SELECT id FROM inode WHERE id = ? AND kind = 'file'";
const SET_WISH = `UPDATE inode SET goal = ?1, policy = ?2
  WHERE id = ?3 AND kind = 'file' AND (goal <> ?1 OR policy <> ?2)`;
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
  const wishes = files.map(({ goal, policy }) => ({ goal, policy: policyNumber(tx, policy) }));
  // The wishes of all first: what the files of one pack want is looked up once then.
  const wished = files.map(({ inode }, index) => {
    const { goal, policy } = must(wishes[index], "the wish of each file");
    return tx.run(SET_WISH, goal, policy, inode).changes > 0;
  });
  const done = new Map<number, boolean>();
  const placed = files.map((file, index) => {
    return placeChunks(tx, file, must(wishes[index], "the wish of each file"), { done, atMs });
  });
  const changed = files.filter((_, index) => wished[index] === true || placed[index] === true);
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
 * Has the chunks of a part of a file held as the rules say; `done` tells of those that files share,
 * and that were looked at before, whether anything was to be changed. Returns whether it was.
 */
function placeChunks(
  tx: Tx,
  { inode, fromSeq, limit }: FilePlacement,
  wish: Wish,
  { done, atMs }: { done: Map<number, boolean>; atMs: number },
): boolean {
  if (tx.get(IS_FILE, inode) === undefined) return false;
  let isChanged = false;
  for (const { chunk: no } of tx.all<{ chunk: number }>(CHUNKS, inode, fromSeq, limit)) {
    const known = done.get(no);
    if (known === undefined) {
      const chunk = getChunk(tx, no);
      const placed = placeChunk(tx, chunk, wish, atMs);
      isChanged ||= placed;
      if (chunk.refs > 1 && chunk.refs <= WISHES_MAX) done.set(no, placed);
    } else isChanged ||= known;
  }
  return isChanged;
}

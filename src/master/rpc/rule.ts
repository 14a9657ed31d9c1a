/**
 * `rule.*`: placement rules listed, added, removed; and applied to the files that are there, page
 * by page: the writer is told only of files in which something is to be changed.
 */
import type { FilePlacement } from "../../catalog/operation.ts";
import type { PlacedFile } from "../../catalog/rule_reader.ts";
import { TydfsError } from "../../wire/errors.ts";
import { ROOT } from "../../wire/names.ts";
import type { Rule, RuleFacts } from "../../wire/rule.ts";
import { FILE_RULE_ID, policyOf, policyText } from "../rulebook.ts";
import type { Desk } from "./desk.ts";

/** Entries and chunks that one page looks at. */
const ENTRIES_MAX = 256;
const CHUNKS_MAX = 2_048;

/** Parts a cursor: no path has such a character. */
const CURSOR_MARK = "\0";

/** Where a page begins. */
interface Cursor {
  /** Behind this path; undefined: at the very first. */
  after: string | undefined;
  /** In the middle of the large file at `after`: its first extent that was not looked at. */
  seq: number | undefined;
  /** In a part of that file before, something was changed. */
  changed: boolean;
}

/** What a page has found. */
interface Page {
  /** Files looked at; one that began on an earlier page is not counted again. */
  files: number;
  changes: FilePlacement[];
  /** The file that began on an earlier page, and the one that goes on on the next. */
  first: number | undefined;
  last: number | undefined;
  next: Omit<Cursor, "changed"> | undefined;
}

/** `rule.add`. */
export async function add(desk: Desk, request: RuleFacts): Promise<{ id: number }> {
  const { pattern, require, prefer, copies } = request;
  const ofFile = desk.settings.rules.some((rule) => rule.pattern === pattern);
  if (ofFile) {
    const state = "the master's configuration file has one";
    throw new TydfsError(
      "exists",
      `Cannot add a rule for ${JSON.stringify(pattern)}: ${state}`,
    );
  }
  const rule = { pattern, require, prefer, ...(copies === undefined ? {} : { copies }) };
  return await desk.journal.submit({ kind: "rule.add", rule });
}

/** `rule.remove`. */
export async function remove(desk: Desk, { id }: { id: number }): Promise<Record<string, never>> {
  if (id === FILE_RULE_ID) {
    const state = "rules of the master's configuration file are changed there";
    throw new TydfsError("denied", `Cannot remove rule ${id}: ${state}`);
  }
  return await desk.journal.submit({ kind: "rule.remove", id });
}

/** `rule.list`. */
export function list(desk: Desk): { rules: Rule[] } {
  return { rules: desk.rulebook.all() };
}

/** `rule.apply`. */
export async function apply(
  desk: Desk,
  request: { after?: string | undefined },
): Promise<{ files: number; changed: number; next?: string }> {
  const from = parseCursor(request.after);
  const { files, changes, first, last, next } = readPage(desk, from);
  const changed = new Set<number | undefined>();
  if (changes.length > 0) {
    const atMs = desk.clock.wallMs();
    const done = await desk.journal.submit({ kind: "rule.apply", files: changes, atMs });
    for (const inode of done.changed) changed.add(inode);
  }
  const counted = from.changed && changed.has(first) ? 1 : 0;
  const reply = { files, changed: changed.size - counted };
  if (next === undefined) return reply;
  const lastChanged = changed.has(last) || (from.changed && last === first);
  return { ...reply, next: formatCursor({ ...next, changed: lastChanged }) };
}

/** Looks at files until the page has enough entries or chunks. */
function readPage(desk: Desk, from: Cursor): Page {
  const page: Page = {
    ...{ files: 0, changes: [], first: undefined, last: undefined, next: undefined },
  };
  let chunksLeft = CHUNKS_MAX;
  /** Looks at a file; whether that ends the page. */
  const visit = (path: string, fromSeq: number): boolean => {
    const file = desk.reader.placedFile(path, fromSeq, chunksLeft);
    if (file === undefined) return false;
    if (fromSeq === 0) page.files++;
    else page.first = file.inode;
    chunksLeft -= file.chunks.length;
    const change = changeOf(desk, path, { file, fromSeq });
    if (change !== undefined) page.changes.push(change);
    if (file.more) page.last = file.inode;
    page.next = { after: path, seq: file.more ? fromSeq + file.chunks.length : undefined };
    return chunksLeft <= 0;
  };
  const { after, seq } = from;
  if (after !== undefined && seq !== undefined && visit(after, seq)) return page;
  const { entries, next } = desk.reader.list(ROOT, { recursive: true, after, limit: ENTRIES_MAX });
  for (const { kind, path } of entries) {
    if (kind === "file" && visit(path, 0)) return page;
  }
  page.next = next === undefined ? undefined : { after: next, seq: undefined };
  return page;
}

/** What is to be changed of a part of a file; undefined when it is as the rules say. */
function changeOf(
  desk: Desk,
  path: string,
  { file, fromSeq }: { file: PlacedFile; fromSeq: number },
): FilePlacement | undefined {
  const { rulebook, policies, settings } = desk;
  const rule = rulebook.find(path);
  const policy = policyOf(rule);
  const wanted = policyText(policy);
  const goal = rule?.copies ?? (file.asked > 0 ? file.asked : settings.replicas);
  const isRight = (placed: { goal: number; policy: number }) =>
    placed.goal === goal && policyText(policies.of(placed.policy)) === wanted;
  // A pack is held for all of its files: what this one wants of it is known.
  const own = file.chunks.filter(({ packed }) => packed === 0);
  if (isRight(file) && own.every(isRight)) return undefined;
  const part = { inode: file.inode, fromSeq, limit: Math.max(1, file.chunks.length) };
  return { ...part, goal, ...(policy === undefined ? {} : { policy }) };
}

function formatCursor({ after = "", seq, changed }: Cursor): string {
  return seq === undefined ? after : [after, seq, changed ? 1 : 0].join(CURSOR_MARK);
}

/** Throws `invalid` for what is no cursor. */
function parseCursor(text: string | undefined): Cursor {
  const [after, seqText, changed] = text?.split(CURSOR_MARK) ?? [];
  const seq = seqText === undefined ? undefined : Number(seqText);
  if (after === "" || (seq !== undefined && !Number.isSafeInteger(seq))) {
    throw new TydfsError("invalid", "Cannot apply the rules: the cursor is none");
  }
  return { after, seq, changed: changed === "1" };
}

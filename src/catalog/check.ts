/**
 * Every invariant of the catalog, each as a query for what breaks it. For tests, and for people
 * after a fault: it reads the whole catalog, at once or step by step.
 */
import type { Database } from "bun:sqlite";
import { FORBIDDEN } from "./chunk_rows.ts";
import { EVENTS_MAX } from "./event_log.ts";
import { type Counter, COUNTERS, readValue, ROOT_INODE } from "./schema.ts";

/** An invariant and a query that yields one column of text for each violation. */
interface Invariant {
  name: string;
  violations: string;
  /** The table by whose numbers it can be checked part by part: from `?1` to `?2`. */
  parts?: "inode" | "chunk";
}

/** Rows of one part: a fraction of a second's work. */
const PART_ROWS = 200_000;

/** Violations of one invariant that are told, at most. */
const TOLD_MAX = 10;

/** The files with names that lie in packs `c`, as `i`. */
const NAMED_IN_PACKS = `FROM chunk c CROSS JOIN extent e ON e.chunk = c.no
      CROSS JOIN inode i ON i.id = e.inode
      WHERE c.no BETWEEN ?1 AND ?2 AND c.packed = 1
        AND NOT EXISTS (SELECT 1 FROM trash WHERE inode = i.id)`;

const INVARIANTS: readonly Invariant[] = [
  {
    name: "a name is used once in a directory",
    violations: `SELECT parent || ':' || key FROM dentry d
      WHERE EXISTS (SELECT 1 FROM dentry o WHERE o.parent = d.parent AND o.key = d.key || '/')`,
  },
  {
    name: "a name leads to an inode of its kind",
    violations: `SELECT d.parent || ':' || d.key FROM dentry d LEFT JOIN inode i ON i.id = d.inode
      WHERE i.kind IS NOT iif(substr(d.key, -1) = '/', 'directory', 'file')`,
  },
  {
    name: "a name lies in a directory",
    violations: `SELECT d.parent || ':' || d.key FROM dentry d LEFT JOIN inode i ON i.id = d.parent
      WHERE i.kind IS NOT 'directory'`,
  },
  {
    name: "an inode has one name or lies in the trash",
    parts: "inode",
    violations: `SELECT i.id FROM inode i WHERE i.id BETWEEN ?1 AND ?2
      AND (SELECT count(*) FROM dentry WHERE inode = i.id) + (i.id = ${ROOT_INODE})
        + EXISTS (SELECT 1 FROM trash WHERE inode = i.id) <> 1`,
  },
  {
    name: "the trash holds files only",
    violations: `SELECT t.inode FROM trash t LEFT JOIN inode i ON i.id = t.inode
      WHERE i.kind IS NOT 'file'`,
  },
  {
    name: "what lies in the trash was removed or replaced",
    violations: "SELECT inode FROM trash WHERE replaced NOT IN (0, 1)",
  },
  {
    name: "every name is reachable from the root",
    violations: `WITH RECURSIVE reached(id) AS (
        SELECT ${ROOT_INODE} UNION SELECT d.inode FROM reached r
          CROSS JOIN dentry d ON d.parent = r.id AND substr(d.key, -1) = '/')
      SELECT parent || ':' || key FROM dentry WHERE parent NOT IN (SELECT id FROM reached)`,
  },
  {
    name: "a file's extents follow each other from 0 to its size",
    parts: "inode",
    violations: `SELECT i.id FROM inode i LEFT JOIN (
        SELECT inode, sum(length) AS bytes, count(*) AS n, max(seq) AS last, sum(gap) AS gaps
        FROM (SELECT inode, seq, length, offset <> ifnull(lag(offset + length)
          OVER (PARTITION BY inode ORDER BY seq), 0) AS gap
          FROM extent WHERE inode BETWEEN ?1 AND ?2) GROUP BY inode
      ) e ON e.inode = i.id WHERE i.id BETWEEN ?1 AND ?2
      AND (i.size <> ifnull(e.bytes, 0) OR e.last <> e.n - 1 OR e.gaps > 0)`,
  },
  {
    name: "an extent is of a file and lies in its chunk",
    violations: `SELECT e.inode || '/' || e.seq FROM extent e
      LEFT JOIN inode i ON i.id = e.inode LEFT JOIN chunk c ON c.no = e.chunk
      WHERE i.kind IS NOT 'file' OR c.no IS NULL OR e.chunk_offset + e.length > c.size`,
  },
  {
    name: "a chunk of an upload is of an upload under way, and no pack",
    violations: `SELECT u.upload || '/' || u.seq FROM upload_chunk u
      LEFT JOIN upload o ON o.id = u.upload LEFT JOIN chunk c ON c.no = u.chunk
      WHERE o.id IS NULL OR c.size IS NOT u.length OR c.packed = 1`,
  },
  {
    name: "a paused upload has stored chunks, and no file has come before it",
    violations: `SELECT id FROM upload WHERE paused = 1 AND (superseded = 1
      OR NOT EXISTS (SELECT 1 FROM upload_chunk WHERE upload = upload.id))`,
  },
  {
    name: "the file that a chunk's own report has made has the chunk",
    violations: `SELECT c.id FROM chunk c JOIN inode i ON i.id = c.committed AND i.kind = 'file'
      WHERE c.packed = 0
        AND NOT EXISTS (SELECT 1 FROM extent e WHERE e.inode = i.id AND e.chunk = c.no)`,
  },
  {
    name: "refs counts the extents and uploads of a chunk",
    parts: "chunk",
    violations: `SELECT c.id FROM chunk c WHERE c.no BETWEEN ?1 AND ?2
      AND c.refs <> (SELECT count(*) FROM extent WHERE chunk = c.no)
        + (SELECT count(*) FROM upload_chunk WHERE chunk = c.no)`,
  },
  {
    name: "live counts the bytes of a pack that something refers to, each once",
    parts: "chunk",
    violations: `SELECT c.id FROM chunk c WHERE c.no BETWEEN ?1 AND ?2 AND c.live <> iif(
      c.packed = 1, (SELECT ifnull(sum(length), 0) FROM (
        SELECT DISTINCT chunk_offset, length FROM extent WHERE chunk = c.no)), 0)`,
  },
  {
    name: "a pack has as many copies as any of its files wants",
    parts: "chunk",
    violations: `SELECT i.id ${NAMED_IN_PACKS} AND c.goal < i.goal`,
  },
  {
    name: "a pack requires what any of its files requires, or no copy counts as rightly placed",
    parts: "chunk",
    violations: `SELECT i.id ${NAMED_IN_PACKS} AND i.policy <> c.policy
        AND (c.parted < 2 OR c.misplaced <> c.copies)
        AND EXISTS (SELECT 1 FROM policy p, json_each(p.require) w WHERE p.no = i.policy
          AND NOT EXISTS (SELECT 1 FROM policy o, json_each(o.require) l
            WHERE o.no = c.policy AND l.key = w.key AND l.value = w.value))`,
  },
  {
    name: "a pack of files that want different things is known to be parted",
    parts: "chunk",
    violations: `SELECT i.id ${NAMED_IN_PACKS}
        AND c.parted = 0 AND (i.goal <> c.goal OR i.policy <> c.policy)`,
  },
  {
    name: "only packs are filled",
    violations: "SELECT id FROM chunk WHERE packed NOT IN (0, 1) OR (packed = 0 AND filled <> 0)",
  },
  {
    name: "only of packs a part is a file",
    parts: "inode",
    violations: `SELECT e.inode FROM extent e JOIN chunk c ON c.no = e.chunk
      WHERE e.inode BETWEEN ?1 AND ?2 AND c.packed <> 1
        AND (e.chunk_offset <> 0 OR e.length <> c.size)`,
  },
  {
    name: "copies counts the replicas of a chunk",
    parts: "chunk",
    violations: `SELECT c.id FROM chunk c WHERE c.no BETWEEN ?1 AND ?2
      AND c.copies <> (SELECT count(*) FROM replica WHERE chunk = c.no)`,
  },
  {
    name: "a chunk without references has a time since when",
    violations: "SELECT id FROM chunk WHERE (refs = 0) <> (orphaned_ms IS NOT NULL)",
  },
  {
    name: "a condemned chunk is not in use",
    violations: "SELECT id FROM chunk WHERE condemned = 1 AND refs > 0",
  },
  {
    name: "a stray is not in use",
    violations: "SELECT id FROM chunk WHERE stray = 1 AND refs > 0",
  },
  {
    name: "a chunk in use has a sum for each block",
    violations: `SELECT id FROM chunk
      WHERE refs > 0 AND length(sums) <> 8 * ((size + 1048575) / 1048576)`,
  },
  {
    name: "a replica is of a known chunk on a known keeper",
    violations: `SELECT r.chunk || '@' || r.keeper FROM replica r
      LEFT JOIN chunk c ON c.no = r.chunk LEFT JOIN keeper k ON k.number = r.keeper
      WHERE c.no IS NULL OR k.number IS NULL`,
  },
  {
    name: "replicas and bytes count what a keeper has",
    violations: `SELECT k.id FROM keeper k LEFT JOIN (
        SELECT r.keeper, count(*) AS n, sum(c.size) AS bytes
        FROM replica r JOIN chunk c ON c.no = r.chunk GROUP BY r.keeper) h ON h.keeper = k.number
      WHERE k.replicas <> ifnull(h.n, 0) OR k.bytes <> ifnull(h.bytes, 0)`,
  },
  {
    name: "a keeper that was removed has no replicas, and is not emptied",
    violations: `SELECT id FROM keeper WHERE removed_ms IS NOT NULL AND (replicas > 0
      OR draining = 1 OR number IN (SELECT keeper FROM relabelled))`,
  },
  {
    name: "the wish to balance is yes or no",
    violations: "SELECT value FROM meta WHERE key = 'balance' AND value NOT IN (0, 1)",
  },
  {
    name: "logged events have numbers without gaps, and are bounded",
    violations: `SELECT count(*) || ' from ' || min(no) || ' to ' || max(no) FROM event
      HAVING count(*) > ${EVENTS_MAX} OR max(no) - min(no) + 1 <> count(*)`,
  },
  {
    name: "a logged event says where to of a rename, and how large of a file",
    violations: `SELECT no FROM event
      WHERE (kind = 'renamed') <> (target IS NOT NULL) OR (entry = 'file') <> (size IS NOT NULL)
        OR (entry = 'directory' AND kind NOT IN ('removed', 'renamed'))`,
  },
  {
    name: "a chunk's policy is on record",
    violations: `SELECT id FROM chunk
      WHERE policy <> 0 AND policy NOT IN (SELECT no FROM policy)`,
  },
  {
    name: "a file's policy is on record",
    violations: `SELECT id FROM inode
      WHERE policy <> 0 AND policy NOT IN (SELECT no FROM policy)`,
  },
  {
    // Of keepers that came back with other labels, the copies are still being looked at.
    name: "misplaced counts the replicas that a chunk's policy forbids",
    violations: `SELECT c.id FROM chunk c LEFT JOIN (
        SELECT r.chunk, count(*) AS n FROM replica r JOIN chunk o ON o.no = r.chunk
        JOIN policy p ON p.no = o.policy JOIN keeper k ON k.number = r.keeper
        WHERE ${FORBIDDEN} GROUP BY r.chunk
      ) m ON m.chunk = c.no
      WHERE c.misplaced <> iif(c.parted = 2, c.copies, ifnull(m.n, 0)) AND NOT EXISTS (
        SELECT 1 FROM replica r JOIN relabelled l ON l.keeper = r.keeper
        WHERE r.chunk = c.no AND r.chunk > l.after)`,
  },
  {
    name: "no version is newer than the history",
    violations: `SELECT id FROM inode
      WHERE version > (SELECT value FROM meta WHERE key = 'sequence')`,
  },
  ...COUNTERS.filter(isCount).map((counter) => ({
    name: `the counter "${counter}" equals what it counts`,
    violations: `SELECT value || ' for ' || actual FROM meta, (${countAnew(counter)})
      WHERE key = '${counter}' AND value <> actual`,
  })),
];

/**
 * Checks all invariants. Returns those that are broken, in words, with the first rows that break
 * each; empty: all is well.
 */
export function checkCatalog(database: Database): string[] {
  const integrity = checkPragma(database, "integrity_check(1)");
  return [...integrity, ...INVARIANTS.flatMap((one) => violated(database, one))];
}

/** A part of the check that takes seconds at most. */
export type CheckStep =
  | { kind: "table"; name: string }
  | { kind: "invariant"; invariant: Invariant; part: number };

/**
 * The same check in steps, for a catalog that is at work: each sees it as it is then. Of indexes
 * only the structure is checked.
 */
export function planCheck(database: Database): CheckStep[] {
  const sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
  using statement = database.prepare(`${sql} ORDER BY name`);
  const tables = statement.values().map(([name]) => String(name));
  const parts = {
    inode: countParts(readValue(database, "SELECT max(id) FROM inode")),
    chunk: countParts(readValue(database, "SELECT max(no) FROM chunk")),
  };
  return [
    ...tables.map((name): CheckStep => ({ kind: "table", name })),
    ...INVARIANTS.flatMap((invariant) => {
      const count = invariant.parts === undefined ? 1 : parts[invariant.parts];
      return Array.from({ length: count }, (_, part): CheckStep => {
        return { kind: "invariant", invariant, part };
      });
    }),
  ];
}

/** Takes one step. Returns what is broken, in words. */
export function checkStep(database: Database, step: CheckStep): string[] {
  if (step.kind === "table") return checkPragma(database, `quick_check(${step.name})`);
  const { invariant, part } = step;
  if (invariant.parts === undefined) return violated(database, invariant);
  return violated(database, invariant, part * PART_ROWS, (part + 1) * PART_ROWS - 1);
}

function countParts(greatest: unknown): number {
  return Math.floor(Number(greatest ?? 0) / PART_ROWS) + 1;
}

function checkPragma(database: Database, pragma: string): string[] {
  const verdict = readValue(database, `PRAGMA ${pragma}`);
  return verdict === "ok" ? [] : [`${pragma}: ${String(verdict)}`];
}

function violated(
  database: Database,
  { name, violations, parts }: Invariant,
  from = 0,
  to = Number.MAX_SAFE_INTEGER,
): string[] {
  using statement = database.prepare(`SELECT * FROM (${violations}) LIMIT ${TOLD_MAX}`);
  const rows = parts === undefined ? statement.values() : statement.values(from, to);
  if (rows.length === 0) return [];
  return [`${name}: not so for ${rows.map(([row]) => String(row)).join(", ")}`];
}

/** Counters that equal a count of rows: all but the generations. */
type Count = Exclude<Counter, "keepers_generation" | "rules_generation">;

function isCount(counter: Counter): counter is Count {
  return !counter.endsWith("_generation");
}

/** The query that counts anew what a counter says. */
function countAnew(counter: Count): string {
  const named = "FROM inode i WHERE i.id IN (SELECT inode FROM dentry)";
  switch (counter) {
    case "files":
      return `SELECT count(*) AS actual ${named} AND kind = 'file'`;
    case "directories":
      return `SELECT count(*) AS actual ${named} AND kind = 'directory'`;
    case "bytes":
      return `SELECT ifnull(sum(size), 0) AS actual ${named}`;
    case "chunks":
      return "SELECT count(*) AS actual FROM chunk WHERE refs > 0";
    case "chunks_short":
      return "SELECT count(*) AS actual FROM chunk WHERE refs > 0 AND copies < goal";
    case "chunks_lost":
      return "SELECT count(*) AS actual FROM chunk WHERE refs > 0 AND copies = 0";
    case "chunks_misplaced":
      return "SELECT count(*) AS actual FROM chunk WHERE refs > 0 AND misplaced > 0";
  }
}

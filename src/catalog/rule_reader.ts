/** Placement rules as they are on record, what chunks are to follow, and what is not yet so. */
import type { PolicyFacts, RuleFacts } from "./operation.ts";
import type { Statements } from "./statements.ts";

/** A rule that was added; the order of their ids is the order in which they are tried. */
export interface RuleRecord extends RuleFacts {
  id: number;
}

/** A part of a file as `rule.apply` sees it. */
export interface PlacedFile {
  inode: number;
  goal: number;
  /** The number of what the rules wanted of its keepers when they decided last; 0 for nothing. */
  policy: number;
  /** The copies that the user asked for by number; 0 where rules and cluster decide. */
  asked: number;
  /** Of a pack (`packed` 1) goal and policy are those of all of its files. */
  chunks: { goal: number; policy: number; packed: number }[];
  /** Extents follow behind the part. */
  more: boolean;
}

type PolicyRow = { require: string; prefer: string };
type RuleRow = PolicyRow & { id: number; pattern: string; copies: number | null };

// At most as many as rules may be.
const RULES = "SELECT id, pattern, require, prefer, copies FROM rule ORDER BY id";
const POLICY = "SELECT require, prefer FROM policy WHERE no = ?";
const PLACED = "SELECT goal, policy, asked FROM inode WHERE id = ?";
const CHUNKS = `SELECT c.goal, c.policy, c.packed
  FROM extent e CROSS JOIN chunk c ON c.no = e.chunk
  WHERE e.inode = ? AND e.seq >= ? ORDER BY e.seq LIMIT ?`;

export class RuleReader {
  readonly #store: Statements;

  constructor(store: Statements) {
    this.#store = store;
  }

  /** All rules that were added, in the order in which they are tried. */
  all(): RuleRecord[] {
    return this.#store.all<RuleRow>(RULES).map(({ id, pattern, copies, ...labels }) => ({
      id,
      pattern,
      ...parsePolicy(labels),
      ...(copies === null ? {} : { copies }),
    }));
  }

  /** What a chunk's policy of this number wants; undefined for 0. It never changes. */
  policy(no: number): PolicyFacts | undefined {
    if (no === 0) return undefined;
    const row = this.#store.get<PolicyRow>(POLICY, no);
    return row && parsePolicy(row);
  }

  /** The goals and policies of a file and of `limit` of its chunks, from `fromSeq` on. */
  placed(inode: number, fromSeq: number, limit: number): PlacedFile | undefined {
    const row = this.#store.get<{ goal: number; policy: number; asked: number }>(PLACED, inode);
    if (row === undefined) return undefined;
    const chunks = this.#store.all<PlacedFile["chunks"][number]>(CHUNKS, inode, fromSeq, limit + 1);
    return { inode, ...row, chunks: chunks.slice(0, limit), more: chunks.length > limit };
  }

  /** The number of a keeper whose copies are to be looked at anew. */
  relabelled(): number | undefined {
    return this.#store.get<{ keeper: number }>("SELECT keeper FROM relabelled LIMIT 1")?.keeper;
  }
}

function parsePolicy({ require, prefer }: PolicyRow): PolicyFacts {
  return {
    require: JSON.parse(require) as Record<string, string>,
    prefer: JSON.parse(prefer) as Record<string, string>,
  };
}

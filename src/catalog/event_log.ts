/**
 * The log of changes of names: a row for each, written with the change itself, so that whoever
 * follows it misses none. Bounded: the oldest go. Numbers have no gaps.
 */
import type { LoggedEvent } from "../wire/event.ts";
import type { NameEvent } from "./operation.ts";
import type { Statements } from "./statements.ts";
import type { Tx } from "./transaction.ts";

/** Events that are kept. */
export const EVENTS_MAX = 100_000;

const INSERT = `INSERT INTO event (kind, at_ms, path, target, entry, version, size, owner)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)`;
const PAGE = `SELECT no, kind, at_ms, path, target, entry, version, size, owner
  FROM event WHERE no > ? ORDER BY no LIMIT ?`;

interface EventRow {
  no: number;
  kind: LoggedEvent["kind"];
  at_ms: number;
  path: string;
  target: string | null;
  entry: LoggedEvent["entry"];
  version: number;
  size: number | null;
  owner: string;
}

/** Logs a change. Returns it, for the operation's answer. */
export function logEvent(tx: Tx, event: NameEvent): NameEvent {
  const { kind, atMs, path, to = null, entry, version, sizeBytes = null, owner } = event;
  const { rowid } = tx.run(INSERT, kind, atMs, path, to, entry, version, sizeBytes, owner);
  tx.run("DELETE FROM event WHERE no <= ?", rowid - EVENTS_MAX);
  return event;
}

/**
 * Events behind number `after`, the oldest first; the number up to which they are forgotten, and
 * that of the latest (0: there was none).
 */
export function listEvents(
  store: Statements,
  after: number,
  limit: number,
): { events: LoggedEvent[]; forgotten: number; latest: number } {
  const oldest = store.get<{ no: number | null }>("SELECT min(no) AS no FROM event")?.no ?? 1;
  const latest = store.get<{ no: number | null }>("SELECT max(no) AS no FROM event")?.no ?? 0;
  const events = store.all<EventRow>(PAGE, after, limit).map((row): LoggedEvent => {
    const { no: seq, kind, at_ms: atMs, path, target, entry, version, size, owner } = row;
    return {
      ...{ seq, kind, atMs, path, entry, version, owner },
      ...(target === null ? {} : { to: target }),
      ...(size === null ? {} : { sizeBytes: size }),
    };
  });
  return { events, forgotten: oldest - 1, latest };
}

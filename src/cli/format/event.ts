/** Events of the cluster as people read them, and as `--json` prints them: pure. */
import { formatSize } from "../../base/bytes.ts";
import type { ClusterEvent } from "../../client/client.ts";
import { quotePath } from "../../wire/names.ts";

/** One event as a line, with its local time. */
export function formatEvent(event: ClusterEvent): string {
  return `${formatClock(event.atMs)} ${wordsOf(event)}`;
}

/** What `events --json` prints for an event; scripts rely on it. */
export function eventJson(event: ClusterEvent): Record<string, unknown> {
  const { sizeBytes: size, ...facts } = event;
  return { ...facts, ...(size === undefined ? {} : { size }) };
}

/** Local time to the second. */
export function formatClock(ms: number): string {
  const date = new Date(ms);
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, "0")).join(":");
}

function wordsOf({ kind, path = "", to = "", sizeBytes, owner, keeper, chunk }: ClusterEvent) {
  switch (kind) {
    case "put":
    case "replaced": {
      const size = sizeBytes === undefined ? [] : [formatSize(sizeBytes)];
      const facts = [...size, ...(owner ? [owner] : [])];
      return `${kind} ${quotePath(path)}${facts.length > 0 ? ` (${facts.join(", ")})` : ""}`;
    }
    case "removed":
      return `removed ${quotePath(path)}`;
    case "renamed":
      return `renamed ${quotePath(path)} to ${quotePath(to)}`;
    case "keeper-joined":
      return `keeper ${keeper} has joined`;
    case "keeper-lost":
      return `keeper ${keeper} is lost`;
    case "keeper-back":
      return `keeper ${keeper} is back`;
    case "repaired":
      return `repaired chunk ${chunk} with a copy on ${keeper}`;
  }
}

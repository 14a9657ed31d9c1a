/** What a watch tells, as people read it and as `--json` prints it: pure. */
import { formatDuration, formatSize } from "../../base/bytes.ts";
import { describeError } from "../../base/log.ts";
import type { WatchEvent } from "../../client/watch/event.ts";
import { quotePath } from "../../wire/names.ts";
import { TydfsError } from "../../wire/errors.ts";
import { formatCount } from "./format.ts";

/** A line, and whether it is a result (on stdout) or a message. */
export interface WatchLine {
  kind: "result" | "message" | "error";
  text: string;
}

/** One event of a watch of `directory` as a line. */
export function formatWatchEvent(event: WatchEvent, directory: string): WatchLine {
  switch (event.kind) {
    case "sent": {
      const { path, sizeBytes, elapsedMs, copies, goal } = event;
      const facts = `${formatSize(sizeBytes)} in ${formatDuration(elapsedMs)}`;
      return result(`sent ${quotePath(path)} · ${facts} · ${copies}/${goal} copies, synced`);
    }
    case "renamed":
      return result(`renamed ${quotePath(event.from)} to ${quotePath(event.path)}`);
    case "removed":
    case "made":
    case "updated":
      return result(`${event.kind} ${quotePath(event.path)}`);
    case "kept":
      return result(`kept ${quotePath(event.path)}: ${event.reason}`);
    case "failed": {
      const { error, retryMs } = event;
      const next = retryMs === undefined ? "" : `; trying again in ${formatDuration(retryMs)}`;
      return { kind: "error", text: `${wordsOf(error)}${next}` };
    }
    case "trouble": {
      const { error } = event;
      // Of what is no file at all it is only said that it is left out.
      const isError = !(error instanceof TydfsError && error.data["skipped"] === true);
      return { kind: isError ? "error" : "message", text: wordsOf(error) };
    }
    case "watching": {
      const { files, failed } = event;
      const rest = failed === 0 ? "" : ` · ${formatCount(failed, "path")} failed, and tried again`;
      return result(
        `watching ${quotePath(directory)} · ${formatCount(files, "file")} in step${rest}`,
      );
    }
    case "polling":
      return message(`Looking each ${formatDuration(event.everyMs)}: ${event.reason}`);
    case "state-lost":
      return message(
        `The state of the watch can't be used (${event.reason}), and was moved to ` +
          `${quotePath(event.movedTo)}: comparing with the cluster instead`,
      );
    case "away":
      return message(`${wordsOf(event.error)}; waiting for it, what changes is sent later`);
    case "back":
      return message(`The master is back after ${formatDuration(event.afterMs)}`);
    case "root-lost":
      return message(`Cannot watch: ${event.reason}; waiting for it, nothing is removed`);
    case "root-back":
      return message("The watched directory is back: looking at all of it");
  }
}

/** What `watch --json` prints for an event; scripts rely on it. */
export function watchJson(event: WatchEvent): Record<string, unknown> {
  switch (event.kind) {
    case "sent": {
      const { sizeBytes: size, goal: replicas, ...facts } = event;
      const { kind, path, local, version, checksum, copies, elapsedMs } = facts;
      return { kind, path, local, size, version, checksum, copies, replicas, elapsedMs };
    }
    case "failed":
    case "trouble":
    case "away": {
      const { error, ...facts } = event;
      const code = error instanceof TydfsError ? error.code : "internal";
      return { ...facts, code, message: wordsOf(error) };
    }
    default:
      return { ...event };
  }
}

function wordsOf(error: unknown): string {
  return error instanceof TydfsError ? error.message : `Internal error: ${describeError(error)}`;
}

function result(text: string): WatchLine {
  return { kind: "result", text };
}

function message(text: string): WatchLine {
  return { kind: "message", text };
}

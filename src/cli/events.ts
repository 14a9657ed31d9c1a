/** `tydfs events`: prints what happens in the cluster, as it happens. */
import type { Command } from "@commander-js/extra-typings";
import type { ClusterEvent } from "../client/client.ts";
import { whyNotPattern } from "../base/pattern.ts";
import { ConfigError } from "../config/load.ts";
import type { ClientSession, Session } from "./session.ts";
import { addGlobals, addSettings } from "./settings_flags.ts";

const EXAMPLES = `
Kinds: put (a new file), replaced, removed, renamed, keeper-joined, keeper-lost,
keeper-back, repaired. A PATTERN without a slash is of names, at any depth;
another one of whole paths. With patterns only changes of files are shown.

Events that happen while the connection is down are not heard; that is said when
it is back. To act on each event and miss none, see tydfs on.

Examples:
  tydfs events
  tydfs events 'videos/**' '*.mp4'
  tydfs events --kind put,replaced --json | jq -r .path
  tydfs events --kind keeper-lost,keeper-back
`;

/** Declares the command. */
export function addEvents(program: Command, session: Session): void {
  const command = program.command("events")
    .description("Print what happens in the cluster from now on")
    .argument("[PATTERN...]", "Only changes of paths that match one of these (quote them)")
    .option("--kind <kinds>", "Only these kinds, parted by commas")
    .addHelpText("after", EXAMPLES)
    .action(async (patterns, flags, self) => {
      const { EVENT_KINDS } = await import("../wire/event.ts");
      const { eventMatcher } = await import("../client/events/selection.ts");
      for (const pattern of patterns) checkPattern(pattern);
      const kinds = flags.kind?.split(",").map((kind) => kind.trim()) ?? [...EVENT_KINDS];
      const wrong = kinds.find((kind) => !(EVENT_KINDS as readonly string[]).includes(kind));
      if (wrong !== undefined) {
        const choice = EVENT_KINDS.join(", ");
        throw new ConfigError(`Cannot use "${wrong}" for --kind: it must be one of ${choice}`);
      }
      const matches = eventMatcher(patterns);
      const isWanted = (event: ClusterEvent) => kinds.includes(event.kind) && matches(event);
      await session.withClient(self, (connected) => print(connected, isWanted));
    });
  addSettings(command, "client", false);
  addGlobals(command, false);
}

/** Throws `ConfigError` for a pattern that can match nothing. */
export function checkPattern(pattern: string): void {
  const reason = whyNotPattern(pattern);
  if (reason !== undefined) {
    throw new ConfigError(`Cannot use "${pattern}" as a pattern: ${reason}`);
  }
}

/** Prints until the signal aborts, or until nobody reads any more. */
async function print(
  { client, signal, output, json, quiet }: ClientSession,
  isWanted: (event: ClusterEvent) => boolean,
): Promise<void> {
  const { eventJson, formatEvent } = await import("./format/event.ts");
  const { printable } = await import("./output.ts");
  const ended = Promise.withResolvers<void>();
  const encoder = new TextEncoder();
  const hear = (event: ClusterEvent) => {
    if (!isWanted(event)) return;
    const line = json ? JSON.stringify(eventJson(event)) : printable(formatEvent(event));
    output.bytes(encoder.encode(line + "\n")).then((isRead) => {
      if (!isRead) ended.resolve();
    }, ended.reject);
  };
  const onGap = () => {
    if (quiet) return;
    output.message("tydfs: The connection was down for a while: events may have been missed");
  };
  const stopped = new AbortController();
  signal.addEventListener("abort", () => ended.reject(signal.reason), { once: true });
  try {
    client.listen(hear, AbortSignal.any([signal, stopped.signal]), onGap);
    await ended.promise;
  } finally {
    stopped.abort();
  }
}

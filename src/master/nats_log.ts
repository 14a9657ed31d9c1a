/** The nats-server's own log lines, passed on into ours. */
import type { Log } from "../base/log.ts";

/** Lines kept for the error message of a server that does not come up. */
const LAST_LINES_MAX = 3;
const LINE_CHARS_MAX = 1000;

const READY_WORDS = "Server is ready";

/**
 * Passes lines on until the stream ends; the last few grave ones stand in `lastLines`. `onReady` is
 * called when the server says that it is.
 */
export async function logNatsLines(
  stream: ReadableStream<Uint8Array>,
  log: Log,
  lastLines: string[],
  onReady: () => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of stream) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = (lines.pop() ?? "").slice(0, LINE_CHARS_MAX);
    for (const line of lines) {
      if (line.includes(READY_WORDS)) onReady();
      logNatsLine(line.trimEnd(), log, lastLines);
    }
  }
  if (rest !== "") logNatsLine(rest, log, lastLines);
}

function logNatsLine(line: string, log: Log, lastLines: string[]): void {
  const match = /^\[\d+\] \S+ \S+ \[(\w{3})\] (.*)$/.exec(line);
  const level = match?.[1] ?? "ERR";
  const message = (match?.[2] ?? line).slice(0, LINE_CHARS_MAX);
  if (message === "") return;
  // The configuration is its owner's alone, and hashed passwords would cost each command 50 ms.
  if (message.startsWith("Plaintext passwords detected")) return;
  if (level === "INF" || level === "DBG" || level === "TRC") return log.debug(message);
  lastLines.push(message);
  if (lastLines.length > LAST_LINES_MAX) lastLines.shift();
  if (level === "FTL") log.error(message);
  else log.warn(message);
}

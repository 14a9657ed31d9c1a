/**
 * Named points at which tests inject a fault into a running process. Off unless `TYDFS_FAILPOINTS`
 * is set: `name=kill`, `name=throw`, `name=hang` or `name=delay:250`, several parted by commas,
 * each optionally `name=2*kill` (at the second passing). After FreeBSD's fail(9).
 */

interface Failpoint {
  action: string;
  argument: number;
  passesLeft: number;
}

const points: Map<string, Failpoint> = parseFailpoints(process.env["TYDFS_FAILPOINTS"] ?? "");

/** Passes the failpoint `name`: does nothing unless a test has armed it. */
export async function failpoint(name: string): Promise<void> {
  if (points.size === 0) return;
  const point = points.get(name);
  if (point === undefined || --point.passesLeft > 0) return;
  if (point.action === "kill") process.kill(process.pid, "SIGKILL");
  if (point.action === "throw") throw new Error(`Failpoint "${name}"`);
  if (point.action === "hang") await new Promise(() => {});
  if (point.action === "delay") {
    await new Promise((resolve) => setTimeout(resolve, point.argument));
  }
}

/**
 * Parses a list of failpoints. Throws on an entry that it does not know, so that a test can't arm
 * nothing.
 */
export function parseFailpoints(text: string): Map<string, Failpoint> {
  const parsed = new Map<string, Failpoint>();
  for (const entry of text.split(",").filter((part) => part !== "")) {
    const match = /^([\w.]+)=(?:(\d+)\*)?(kill|throw|hang|delay)(?::(\d+))?$/.exec(entry);
    if (match === null) throw new Error(`Cannot parse failpoint "${entry}"`);
    const [, name = "", passes, action = "", argument] = match;
    parsed.set(name, {
      action,
      argument: Number(argument ?? 0),
      passesLeft: Number(passes ?? 1),
    });
  }
  return parsed;
}

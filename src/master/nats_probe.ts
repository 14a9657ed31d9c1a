/**
 * Looks at a NATS server from outside: the INFO line that every server sends first tells its
 * version and name. Needs no account, so it also tells a server of ours from a foreign one on the
 * same port.
 */
import type { Clock } from "../base/clock.ts";
import { withTimeout } from "../base/clock.ts";

/** What a NATS server says of itself. */
export interface NatsFacts {
  version: string;
  serverName: string;
  /** It asks for an account. */
  authRequired: boolean;
}

const INFO_BYTES_MAX = 64 * 1024;

/**
 * Asks who listens at `host:port`. Returns undefined when nobody does within `timeoutMs`, or no
 * NATS server.
 */
export async function probeNats(
  clock: Clock,
  address: { host: string; port: number },
  timeoutMs: number,
): Promise<NatsFacts | undefined> {
  const line = Promise.withResolvers<string | undefined>();
  let text = "";
  const connection = Bun.connect({
    hostname: address.host,
    port: address.port,
    socket: {
      data(socket, bytes) {
        text += new TextDecoder().decode(bytes);
        const end = text.indexOf("\r\n");
        if (end < 0 && text.length < INFO_BYTES_MAX) return;
        line.resolve(end < 0 ? undefined : text.slice(0, end));
        socket.end();
      },
      close: () => line.resolve(undefined),
      error: () => line.resolve(undefined),
    },
  });
  try {
    const late = () => new Error("no answer");
    const found = connection.then(() => line.promise);
    return parseInfo(await withTimeout(clock, found, timeoutMs, late));
  } catch {
    // Refused, unreachable or silent: for who asks it is all the same, nobody is there.
    return undefined;
  } finally {
    connection.then((socket) => socket.end(), () => {});
  }
}

/** Parses `INFO {…}`; undefined when the line is something else. */
export function parseInfo(line: string | undefined): NatsFacts | undefined {
  if (line === undefined || !line.startsWith("INFO ")) return undefined;
  let info: unknown;
  try {
    info = JSON.parse(line.slice("INFO ".length));
  } catch {
    return undefined;
  }
  if (typeof info !== "object" || info === null) return undefined;
  const { version, server_name: serverName, auth_required } = info as Record<string, unknown>;
  if (typeof version !== "string" || typeof serverName !== "string") return undefined;
  return { version, serverName, authRequired: auth_required === true };
}

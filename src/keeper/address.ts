/** What a keeper calls itself, and where it says that it can be reached. */
import { hostname } from "node:os";
import type { Clock } from "../base/clock.ts";
import { withTimeout } from "../base/clock.ts";
import type { Settings } from "../config/options.ts";
import { TydfsError } from "../wire/errors.ts";
import type { ClusterUrl } from "../wire/url.ts";

const CONNECT_MS = 5_000;
const PORT_DEFAULT = 7000;

/** The keeper's name: as set, else the host's name and a part of the id. */
export function chooseName(settings: Settings, id: string, host = hostname()): string {
  if (settings.name !== "") return settings.name;
  const words = host.replace(/[^a-zA-Z0-9._-]/g, "-").replace(/^[^a-zA-Z0-9]+/, "").slice(0, 50);
  return `${words === "" ? "keeper" : words}-${id.slice(0, 4)}`;
}

/** The ports of the streamers, one after the other; zeros where any free one will do. */
export function choosePorts(settings: Settings): number[] {
  const first = settings.port ?? PORT_DEFAULT;
  return Array.from({ length: settings.streamers }, (_, row) => first === 0 ? 0 : first + row);
}

/**
 * The host to advertise: as set, else the address to listen on, else (listening on all) the address
 * from which this machine reaches NATS.
 */
export async function chooseHost(
  settings: Settings,
  url: ClusterUrl,
  clock: Clock,
): Promise<string> {
  if (settings.advertise !== "") return inBrackets(settings.advertise);
  if (!["0.0.0.0", "::", "[::]"].includes(settings.host)) return inBrackets(settings.host);
  const connection = Bun.connect({
    hostname: url.host.replace(/^\[|\]$/g, ""),
    port: url.port,
    socket: { data() {} },
  });
  const late = () => new TydfsError("timeout", `No connection to ${url.host}:${url.port} in time`);
  const socket = await withTimeout(clock, connection, CONNECT_MS, late);
  const address = socket.localAddress;
  socket.end();
  return inBrackets(address);
}

/** IPv6 addresses stand in brackets wherever a port may follow. */
function inBrackets(host: string): string {
  const plain = host.replace(/^::ffff:(?=\d+\.)/, "");
  return plain.includes(":") && !plain.startsWith("[") ? `[${plain}]` : plain;
}

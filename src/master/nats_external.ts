/** A NATS server that the operator runs: looked at and tried before anything is built on it. */
import { basename } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { Settings } from "../config/options.ts";
import { connectNats } from "../wire/bus_nats.ts";
import { TydfsError } from "../wire/errors.ts";
import { roleSecret } from "../wire/secrets.ts";
import type { ClusterUrl } from "../wire/url.ts";
import { PORT_DEFAULT } from "../wire/url.ts";
import { probeNats } from "./nats_probe.ts";

export interface ExternalNatsOptions {
  /** `nats://[master:SECRET@]HOST[:PORT]`, as `--nats` has it. */
  address: string;
  clusterKey: string;
  settings: Pick<Settings, "cluster">;
  /** Where the users that the server must know were written, for the operator to include. */
  usersPath: string;
  log: Log;
  clock: Clock;
}

const CONNECT_MS = 5_000;

/**
 * Connects once to see that the server is there and knows the cluster's users. Throws `invalid` for
 * an address that is none, `no-master` when nobody answers, `denied` when the users are not in the
 * server's configuration, or when it asks nobody who they are and is not on this machine.
 */
export async function checkExternalNats(
  options: ExternalNatsOptions,
): Promise<{ url: ClusterUrl; version: string }> {
  const url = parseNatsAddress(options);
  const { host, port } = url;
  const facts = await probeNats(options.clock, { host, port }, CONNECT_MS);
  if (facts === undefined) {
    const message = `Cannot reach a NATS server at ${host}:${port} (--nats)`;
    throw new TydfsError("no-master", message);
  }
  if (!facts.authRequired) checkOpenServer(options, url);
  try {
    const log = options.log;
    const bus = await connectNats({ url, name: "master", log, connectMs: CONNECT_MS });
    await bus.close();
  } catch (cause) {
    const message = `Cannot use the NATS server at ${host}:${port}: it does not know the ` +
      `cluster's users; ${remedy(options)}`;
    throw new TydfsError("denied", message, { cause });
  }
  return { url, version: facts.version };
}

/** nats-server looks for included files beside its own configuration, absolute paths too. */
function remedy({ usersPath }: ExternalNatsOptions): string {
  return `copy "${usersPath}" beside its configuration, put the line ` +
    `include "${basename(usersPath)}" into that, and restart it`;
}

/** A server that lets everyone in is borne on this machine only. Throws `denied`. */
function checkOpenServer(options: ExternalNatsOptions, { host, port }: ClusterUrl): void {
  const state = "it asks for no account, so that anyone could command the keepers";
  if (!/^(localhost|127\..*|\[::1\])$/.test(host)) {
    const message = `Cannot use the NATS server at ${host}:${port}: ${state}; ${remedy(options)}`;
    throw new TydfsError("denied", message);
  }
  options.log.warn(`The NATS server is open: ${state}`, { host, port });
}

/** Parses `--nats`. Throws `invalid` that says what is wrong, without the secret. */
export function parseNatsAddress(
  options: Pick<ExternalNatsOptions, "address" | "clusterKey" | "settings">,
): ClusterUrl {
  const match = /^nats:\/\/(?:([^:@/]+):([^@/]+)@)?(\[[0-9a-fA-F:.]+\]|[^:@/[\]]+)(?::(\d+))?\/?$/
    .exec(options.address);
  if (match === null) {
    throw new TydfsError("usage", "Cannot use --nats: it must look like nats://HOST:4222");
  }
  const [, user, secret, host = "", port] = match;
  if (user !== undefined && user !== "master") {
    throw new TydfsError("usage", `Cannot use --nats: its user must be master, not "${user}"`);
  }
  return {
    role: "master",
    secret: secret ?? roleSecret(options.clusterKey, "master"),
    host,
    port: port === undefined ? PORT_DEFAULT : Number(port),
    cluster: options.settings.cluster,
  };
}

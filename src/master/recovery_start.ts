/**
 * The start of a master that has lost its disk: a nats-server that knows the keepers by their old
 * secret, the recovery over it, and an end of both, so that an ordinary start can follow. Clients
 * are refused until then: their secret is not known yet.
 */
import { systemClock as clock } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import { writePrivate } from "../base/private_file.ts";
import { randomHex, systemRandom as random } from "../base/random.ts";
import type { Settings } from "../config/options.ts";
import { embeddedNatsServer } from "../embedded.ts";
import { httpArchive } from "../wire/archive_http.ts";
import type { Bus } from "../wire/bus.ts";
import { connectNats } from "../wire/bus_nats.ts";
import { TydfsError } from "../wire/errors.ts";
import { roleSecret } from "../wire/secrets.ts";
import type { ClusterUrl } from "../wire/url.ts";
import { parseClusterUrl } from "../wire/url.ts";
import type { DataDir } from "./data_dir.ts";
import { findText, isThere } from "./data_dir.ts";
import { parseNatsAddress } from "./nats_external.ts";
import { localHost, NatsServer } from "./nats_server.ts";
import { recoverCatalog } from "./recovery.ts";
import { recoveryWords } from "./recovery_words.ts";

/** How a master is to recover before it starts. */
export interface RecoverOrder {
  /** The keepers' URL. */
  url: string;
  waitMs: number;
  dryRun: boolean;
}

export interface RecoveryStartOptions {
  settings: Settings;
  log: Log;
  dataDir: DataDir;
  order: RecoverOrder;
  signal: AbortSignal;
}

const CONNECT_MS = 10_000;
const KEY_BYTES = 32;

/**
 * The settings of a master that recovers: port and cluster are those of the keepers' URL, unless a
 * port is given. Throws `usage` when it is another role's URL.
 */
export function settingsFor(settings: Settings, order: RecoverOrder): Settings {
  const url = parseKeeperUrl(order.url);
  return { ...settings, port: settings.port ?? url.port, cluster: url.cluster };
}

/**
 * Fills an empty data directory with the catalog and the key that the keepers have. Throws `exists`
 * when there is a catalog already, and what `recoverCatalog` throws.
 */
export async function recoverFirst(options: RecoveryStartOptions): Promise<void> {
  const { dataDir, log, order, signal } = options;
  refuseCatalog(dataDir);
  const { bus, stop } = await openBus(options);
  try {
    const report = await recoverCatalog({
      ...{ bus, clock, log, signal, transport: httpArchive },
      ...{ waitMs: order.waitMs, dryRun: order.dryRun, catalogPath: dataDir.catalog },
      url: parseKeeperUrl(order.url),
      keepKey: (clusterKey) => keepKey(dataDir, clusterKey),
    });
    for (const line of recoveryWords(report)) log.info(line);
    log.info(order.dryRun ? "Nothing was changed (--dry-run)" : "The catalog is recovered");
  } finally {
    await bus.close();
    await stop();
  }
}

async function openBus(
  { settings, log, dataDir, order }: RecoveryStartOptions,
): Promise<{ bus: Bus; stop: () => Promise<void> }> {
  const { cluster, host, port } = settings;
  const keeperUrl = parseKeeperUrl(order.url);
  // Until the real one is found: it gives the secret with which this very process connects.
  const clusterKey = randomHex(random, KEY_BYTES);
  const name = "master";
  const connection = { name, log, connectMs: CONNECT_MS };
  if (settings.nats !== "") {
    const url = parseNatsAddress({ address: settings.nats, clusterKey, settings });
    return { bus: await connectNats({ ...connection, url }), stop: async () => {} };
  }
  const server = await NatsServer.start({
    ...{ cluster, clusterKey, keeperSecret: keeperUrl.secret, host, clock, random },
    root: dataDir.root,
    port: port ?? keeperUrl.port,
    embedded: embeddedNatsServer(),
    log: log.child("nats"),
    onGiveUp: (error) => log.error("The recovery can't go on: stop it", { error }),
  });
  const secret = roleSecret(clusterKey, "master");
  const own = localHost(host);
  const url: ClusterUrl = {
    ...{ role: "master", secret, cluster, port: server.port },
    host: own.includes(":") ? `[${own}]` : own,
  };
  try {
    return { bus: await connectNats({ ...connection, url }), stop: () => server.stop() };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function refuseCatalog({ root, catalog }: DataDir): void {
  if (!isThere(catalog)) return;
  throw new TydfsError(
    "exists",
    `Cannot recover into "${root}": it holds a catalog; start without --recover, or move the ` +
      "directory away first",
  );
}

function keepKey({ key: path }: DataDir, clusterKey: string): void {
  const present = findText(path)?.trim();
  if (present === clusterKey) return;
  if (present !== undefined) {
    throw new TydfsError("conflict", `Cannot recover: "${path}" holds the key of another cluster`);
  }
  writePrivate(path, clusterKey + "\n");
}

function parseKeeperUrl(text: string): ClusterUrl {
  const url = parseClusterUrl(text);
  if (url.role === "keeper") return url;
  const message = `Cannot recover with a URL of role "${url.role}": give that of the keepers, ` +
    "as it stands on each keeper's machine";
  throw new TydfsError("usage", message);
}

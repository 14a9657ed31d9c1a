/**
 * The master: a data directory, a NATS server, a catalog, and the threads that work on them. Parts
 * start in the order in which they stand here and stop in reverse. When a part dies that it can't
 * do without, the master ends with status 1: a supervisor starts it again, and nothing half alive
 * goes on.
 */
import { networkInterfaces } from "node:os";
import { must } from "../base/assert.ts";
import { systemClock as clock } from "../base/clock.ts";
import { Lifetime } from "../base/lifetime.ts";
import type { Log } from "../base/log.ts";
import type { Notifier } from "../base/notifier.ts";
import { silentNotifier } from "../base/notifier.ts";
import { writeFleeting, writePrivate } from "../base/private_file.ts";
import { systemRandom as random } from "../base/random.ts";
import type { Settings } from "../config/options.ts";
import { buildInfo, embeddedNatsServer } from "../embedded.ts";
import { type LoadedThread, loadThread, type WorkerKind } from "../threads.ts";
import { ERROR_CODES, hasCode, TydfsError, wrapError } from "../wire/errors.ts";
import { roleSecret, sealKey, ticketKey } from "../wire/secrets.ts";
import type { ClusterUrl, Role } from "../wire/url.ts";
import { formatClusterUrl, PORT_DEFAULT } from "../wire/url.ts";
import type { DataDir } from "./data_dir.ts";
import { lockDataDir, openClusterKey, openDataDir, removeFile } from "./data_dir.ts";
import { natsUsers } from "./nats_config.ts";
import { checkExternalNats } from "./nats_external.ts";
import { isWildcard, localHost, NatsServer } from "./nats_server.ts";
import { recoverFirst, type RecoverOrder, settingsFor } from "./recovery_start.ts";
import type {
  CheckStart,
  MasterStart,
  RoleStart,
  TrackerStart,
  WriterReady,
  WriterStart,
} from "./wiring.ts";
import { buffersOf, openTables } from "./wiring.ts";

export interface MasterOptions {
  settings: Settings;
  log: Log;
  /** Hears when the master answers, and when it stops. */
  notifier?: Notifier;
  /** Rebuild catalog and key from the keepers before the start. */
  recover?: RecoverOrder;
}

/** The data directory when none is given. */
const DATA_DEFAULT = "./tydfs-master";
/** What clients and keepers wait for at a start, besides trackers: hears who is alive. */
const FIRST = "sentinel";
/**
 * The threads that there is one of each, besides these. They come when the master answers already,
 * one after the other: what they do is not waited for, and keepers may be starting beside them.
 */
const LATER = ["replicator", "archivist", "auditor"] as const;
/**
 * Time in which the writer must have opened the catalog: it looks at each page of it, 4 GB for ten
 * million files.
 */
const CATALOG_READY_MS = 10 * 60_000;
/** The same while the master works: a slow disk, and all that clients ask of it meanwhile. */
const CHECK_MS = 6 * 60 * 60_000;
/** Time that one part may take to stop. */
const STOP_MS = 8_000;

/**
 * Runs a master until SIGTERM or SIGINT, or until it can't go on. Returns the exit status; throws
 * what keeps it from starting.
 */
export async function runMaster(options: MasterOptions): Promise<number> {
  const { log, notifier = silentNotifier } = options;
  const lifetime = new Lifetime(clock, log);
  const end = Promise.withResolvers<number>();
  const stop = new AbortController();
  let isDying = false;
  const die = (error: TydfsError) => {
    if (isDying) return;
    isDying = true;
    log.error("The master must stop", { error });
    // Damage is told by its status, as when it is found before the start.
    end.resolve(error.code === "corrupt" ? ERROR_CODES.corrupt.exit : 1);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    log.info("Stopping", { signal });
    stop.abort(new TydfsError("interrupted", "The recovery was stopped: nothing was changed"));
    end.resolve(0);
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  try {
    log.info("Starting", { version: buildInfo.version, commit: buildInfo.commit });
    const { recover: order } = options;
    const settings = order === undefined ? options.settings : settingsFor(options.settings, order);
    const dataDir = openLocked(settings, lifetime);
    if (order !== undefined) {
      notifier.status("Rebuilding the catalog from the keepers");
      await recoverFirst({ settings, log, dataDir, order, signal: stop.signal });
      if (order.dryRun) return 0;
    }
    const rest = await startMaster({ ...options, settings }, dataDir, lifetime, die);
    void runRest(rest, lifetime, die);
    return await end.promise;
  } finally {
    notifier.stopping();
    await lifetime.stop(STOP_MS);
    notifier.close();
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
    log.info("Stopped");
  }
}

/** Opens the data directory, which is this process's alone from then on. */
function openLocked(settings: Settings, lifetime: Lifetime): DataDir {
  const dataDir = openDataDir(settings.data === "" ? DATA_DEFAULT : settings.data);
  const lock = lockDataDir(dataDir);
  lifetime.own("data directory", () => lock.release());
  return dataDir;
}

/** What starts when the master answers already, in steps; a step may take long. */
type Rest = (() => Promise<void>)[];

/** Takes the steps, and no further one when the master stops. */
async function runRest(
  rest: Rest,
  lifetime: Lifetime,
  die: (error: TydfsError) => void,
): Promise<void> {
  let stopping = false;
  const ended = Promise.withResolvers<void>();
  lifetime.own("start of the rest", async () => {
    stopping = true;
    await ended.promise;
  });
  try {
    for (const step of rest) {
      if (!stopping) await step();
    }
  } catch (error) {
    if (!stopping && !hasCode(error, "interrupted")) die(wrapError(error));
  } finally {
    ended.resolve();
  }
}

/** Starts what clients and keepers wait for; returns what is to come after that. */
async function startMaster(
  { settings, log, notifier = silentNotifier }: MasterOptions,
  dataDir: DataDir,
  lifetime: Lifetime,
  die: (error: TydfsError) => void,
): Promise<Rest> {
  const startedMs = clock.monotonicMs();
  const clusterKey = openClusterKey(dataDir, random);
  removeJoinFiles(dataDir);

  // Their modules load while the NATS server starts.
  const trackers = Array.from({ length: settings.trackers }, (_, index) => `tracker-${index}`);
  const load = <Start = MasterStart>(kind: WorkerKind, name: string) => {
    const thread = loadThread<Start, unknown>(kind, { name, onDeath: die });
    lifetime.own(`modules of ${name}`, () => thread.discard());
    return thread;
  };
  const writer = load("writer", "writer");
  const first = [load(FIRST, FIRST), ...trackers.map((name) => load("tracker", name))];

  const nats = settings.nats === ""
    ? await startNats({ settings, log, dataDir, clusterKey, lifetime, die })
    : await joinNats({ settings, log, dataDir, clusterKey });

  const tables = openTables();
  const common: Omit<MasterStart, "name"> = {
    settings,
    url: nats.url,
    catalogPath: dataDir.catalog,
    ticketKey: ticketKey(roleSecret(clusterKey, "keeper")),
    sealedKey: sealKey(clusterKey),
    tables: buffersOf(tables),
  };
  const run = async (
    loaded: LoadedThread<MasterStart, unknown>,
    start: MasterStart,
    transfer: MessagePort[],
    readyMs?: number,
  ): Promise<unknown> => {
    const patience = readyMs === undefined ? {} : { readyMs };
    const thread = await loaded.start({ start, transfer, ...patience });
    lifetime.own(start.name, () => thread.stop(STOP_MS));
    return thread.ready;
  };

  const journals = new Map(
    [FIRST, ...LATER, ...trackers].map((name) => [name, new MessageChannel()]),
  );
  const callers = [...journals.values()].map(({ port1 }) => port1);
  const writerStart: WriterStart = { ...common, name: "writer", callers };
  notifier.status("Checks the catalog");
  const ready = await run(writer, writerStart, callers, CATALOG_READY_MS);
  const { epoch, checked } = ready as WriterReady;
  const runRole = async (loaded: LoadedThread<MasterStart, unknown>): Promise<void> => {
    const { name } = loaded;
    const { port2: journal } = must(journals.get(name), "a thread's way to the writer");
    const role: RoleStart = { ...common, name, epoch, journal };
    const tracker: TrackerStart = { ...role, natsVersion: nats.version, startedMs };
    await run(loaded, trackers.includes(name) ? tracker : role, [journal]);
  };
  await Promise.all(first.map(runRole));

  lifetime.own("join lines", () => removeJoinFiles(dataDir));
  const client = joinUrl(settings, nats.url, clusterKey, "client");
  const keeper = joinUrl(settings, nats.url, clusterKey, "keeper");
  writeFleeting(dataDir.joinKeeper, keeper + "\n");
  writeFleeting(dataDir.joinClient, client + "\n");
  log.info("The master is ready", { epoch, port: nats.url.port, nats: nats.version });
  log.info(`Keepers join with: TYDFS_URL=${keeper} tydfs keeper`);
  log.info(`Clients join with: export TYDFS_URL=${client}`);
  notifier.ready(`Answers on port ${nats.url.port}`);
  const check = async (): Promise<void> => {
    const checker = load<CheckStart>("checker", "checker");
    const beganMs = clock.monotonicMs();
    await checker.start({ start: { catalogPath: dataDir.catalog }, readyMs: CHECK_MS });
    removeFile(dataDir.uncheckedCatalog);
    log.info("The catalog is whole", { tookMs: Math.round(clock.monotonicMs() - beganMs) });
  };
  // Until the catalog is known to be whole nothing decides by it what may be deleted or moved, and
  // no snapshot of it is made: all that is what the later threads do.
  return [...(checked ? [] : [check]), ...LATER.map((kind) => () => runRole(load(kind, kind)))];
}

interface StartNatsOptions extends MasterOptions {
  dataDir: DataDir;
  clusterKey: string;
  lifetime: Lifetime;
  die: (error: TydfsError) => void;
}

/** Starts the embedded NATS server. */
async function startNats(
  options: StartNatsOptions,
): Promise<{ url: ClusterUrl; version: string }> {
  const { settings, log, dataDir, clusterKey, lifetime, die } = options;
  const { cluster, host } = settings;
  const server = await NatsServer.start({
    ...{ cluster, clusterKey, host, clock, random },
    root: dataDir.root,
    port: settings.port ?? PORT_DEFAULT,
    embedded: embeddedNatsServer(),
    log: log.child("nats"),
    onGiveUp: die,
  });
  lifetime.own("nats-server", () => server.stop());
  const secret = roleSecret(clusterKey, "master");
  const url: ClusterUrl = {
    ...{ role: "master", secret, cluster },
    host: inBrackets(localHost(host)),
    port: server.port,
  };
  return { url, version: server.version };
}

/**
 * Uses the operator's own NATS server; the users that it must know are written for its
 * configuration.
 */
async function joinNats(
  options: Omit<StartNatsOptions, "lifetime" | "die">,
): Promise<{ url: ClusterUrl; version: string }> {
  const { settings, log, dataDir, clusterKey } = options;
  const usersPath = dataDir.natsUsers;
  writePrivate(usersPath, natsUsers(settings.cluster, clusterKey));
  const address = settings.nats;
  return await checkExternalNats({ address, clusterKey, settings, usersPath, log, clock });
}

/** The URL with which a role joins from another machine. */
function joinUrl(settings: Settings, own: ClusterUrl, clusterKey: string, role: Role): string {
  const host = settings.nats !== "" && settings.advertise === ""
    ? own.host
    : advertisedHost(settings);
  return formatClusterUrl({ ...own, role, host, secret: roleSecret(clusterKey, role) });
}

/**
 * The host by which others reach this machine: as it is set, or the one it listens on, or its first
 * address.
 */
export function advertisedHost(settings: Pick<Settings, "advertise" | "host">): string {
  if (settings.advertise !== "") return inBrackets(settings.advertise);
  if (!isWildcard(settings.host)) return inBrackets(settings.host);
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outside = addresses.find(({ family, internal }) => family === "IPv4" && !internal);
  return outside?.address ?? "127.0.0.1";
}

function removeJoinFiles(dataDir: DataDir): void {
  removeFile(dataDir.joinClient);
  removeFile(dataDir.joinKeeper);
}

/** IPv6 addresses stand in brackets wherever a port may follow. */
function inBrackets(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}

/**
 * The keeper's start-up, as a list to read, and its end in the reverse order. The main thread
 * registers, beats and listens to signals; the streamers' threads do the rest. There is no
 * half-alive keeper: what dies takes the process along.
 */
import { resolve } from "node:path";
import { systemClock } from "../base/clock.ts";
import { takeFileLock } from "../base/file_lock.ts";
import { Lifetime } from "../base/lifetime.ts";
import type { Log } from "../base/log.ts";
import type { Notifier } from "../base/notifier.ts";
import { silentNotifier } from "../base/notifier.ts";
import { widenPool } from "../base/pool.ts";
import { systemRandom } from "../base/random.ts";
import { Archive } from "../chunks/archive.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import { systemDisk } from "../chunks/disk.ts";
import { StoreShare } from "../chunks/store_share.ts";
import type { Settings } from "../config/options.ts";
import { PortTable } from "../tables/port_table.ts";
import type { LoadedThread, Thread } from "../threads.ts";
import { loadThread, spawnThread } from "../threads.ts";
import type { Bus } from "../wire/bus.ts";
import { serve } from "../wire/bus.ts";
import { connectNats } from "../wire/bus_nats.ts";
import { commandRegister, commandRetire, commandScrub } from "../wire/command.ts";
import { ERROR_CODES, TydfsError, wrapError } from "../wire/errors.ts";
import { ticketKey } from "../wire/secrets.ts";
import type { Subjects } from "../wire/subjects.ts";
import { subjectsOf } from "../wire/subjects.ts";
import type { ClusterUrl } from "../wire/url.ts";
import { parseClusterUrl } from "../wire/url.ts";
import { PROTOCOL_VERSION } from "../wire/version.ts";
import { chooseHost, chooseName, choosePorts } from "./address.ts";
import { serveArchive } from "./archive_commands.ts";
import type { CareStart } from "./care_wiring.ts";
import { logFailure } from "./commands.ts";
import { Heartbeats } from "./heartbeats.ts";
import type { Identity } from "./identity.ts";
import { lockDirectory, openIdentity, READY_FILE, replaceText } from "./identity.ts";
import { MasterEpoch } from "./master_epoch.ts";
import type { Introduction } from "./membership.ts";
import { Membership } from "./membership.ts";
import { Reporter } from "./reporter.ts";
import { ScrubShare } from "./scrub_share.ts";
import type { StreamerReady, StreamerStart } from "./wiring.ts";
import { DRAIN_MS, openStore } from "./wiring.ts";

export interface KeeperOptions {
  settings: Settings;
  log: Log;
  /** The version of tydfs, for the cluster's status. */
  version?: string;
  /** Hears when the keeper has joined, and when it stops. */
  notifier?: Notifier;
}

const DATA_DEFAULT = "./tydfs-keeper";
const CONNECT_MS = 10_000;
const WAITING_LOG_MS = 10_000;
const BEAT_MS = 1_000;
/** It may be in the midst of reading a block. */
const SCRUBBER_STOP_MS = 3_000;
const STOP_MS = DRAIN_MS + 3_000;
/** Syncs that the disk is given at once: it makes one of many, and large ones take long. */
const POOL_THREADS = 8;

/** Runs a keeper until SIGTERM or SIGINT; resolves the exit status. */
export async function runKeeper(options: KeeperOptions): Promise<number> {
  widenPool(POOL_THREADS);
  const { log, notifier = silentNotifier } = options;
  const lifetime = new Lifetime(systemClock, log);
  const end = Promise.withResolvers<number>();
  const stop = new AbortController();
  const onSignal = () => end.resolve(0);
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.on(signal, onSignal);
  // Nothing that goes wrong later may be lost, and nothing waits for its own end.
  const started = startKeeper(options, lifetime, end.resolve, stop.signal);
  started.catch((error) => end.resolve(exitOf(error, stop.signal.aborted, log)));
  const status = await end.promise;
  log.info("The keeper stops", { status });
  notifier.stopping();
  stop.abort(new TydfsError("interrupted", "The keeper stops"));
  await lifetime.stop(STOP_MS);
  notifier.close();
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.off(signal, onSignal);
  return status;
}

async function startKeeper(
  { settings, log, version, notifier = silentNotifier }: KeeperOptions,
  lifetime: Lifetime,
  end: (status: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const url = parseKeeperUrl(settings.url);
  const directory = resolve(settings.data === "" ? DATA_DEFAULT : settings.data);
  const disk = systemDisk(directory);
  disk.makeDirectory(".");
  const lock = lockDirectory(directory, takeFileLock);
  lifetime.own("lock", () => lock.release());
  await disk.remove(READY_FILE);
  // Their modules load while the master is being reached.
  const streamers = choosePorts(settings).map((port, row) => loadStreamer(port, row, log));
  lifetime.own("modules", () => streamers.forEach(({ loaded }) => loaded.discard()));

  notifier.status(`Waiting for the master at ${url.host}:${url.port}`);
  // Before all else that is written: a wrong secret must not bind the directory to a wrong cluster.
  const bus = await connectBus(url, settings.name, log, end);
  lifetime.own("bus", () => bus.close());
  signal.throwIfAborted();

  const key = ticketKey(url.secret);
  const identity = await openIdentity({
    ...{ disk, directory, ticketKey: key, cluster: url.cluster },
    ...{ clock: systemClock, random: systemRandom },
  });
  const name = chooseName(settings, identity.id);
  log.info("Keeper", { id: identity.id, name, epoch: identity.epoch, directory });

  const share = new StoreShare();
  const store = openStore(disk, share, settings, identity.id);
  await store.prepare();
  const archive = new Archive(disk, systemRandom);
  await archive.prepare();
  log.info("The disk is in order", { chunks: store.chunks, ...await store.space() });

  const ports = new PortTable(settings.streamers);
  const masterEpoch = await MasterEpoch.open({ disk, log, clock: systemClock }, directory);
  const start: Omit<StreamerStart, "row" | "port"> = {
    ...{ keeperId: identity.id, keeperName: name, directory, url, ticketKey: key, settings },
    shared: { ports: ports.buffer, store: share.buffer, masterEpoch: masterEpoch.buffer },
  };
  const taken = await startStreamers(start, streamers, lifetime);
  const scrub = new ScrubShare();

  const subjects = subjectsOf(url.cluster);
  serveArchive({ keeperId: identity.id, bus, subjects, archive, masterEpoch, log });
  const joined = Promise.withResolvers<void>();
  const onJoined = joined.resolve;
  const parts = { bus, subjects, store, log, ports, scrub, end, signal, onJoined };
  const introduction: Introduction = {
    ...identityOf(identity, name, version ?? "unknown"),
    host: await chooseHost(settings, url, systemClock),
    ports: taken,
    slots: settings.slots,
    labels: settings.label,
  };
  await Promise.all([
    join({ ...parts, introduction, masterEpoch }, lifetime).then(() => signal.throwIfAborted()),
    // Nobody waits for the care of the disk, and all wait for the keeper.
    joined.promise.then(() => startScrubber({ ...start, scrub: scrub.buffer }, log, lifetime)),
  ]);
  signal.throwIfAborted();
  await markReady(disk, identity.id, lifetime, log);
  log.info("The keeper is ready", { host: introduction.host, ports: taken.join(",") });
  notifier.ready(`Joined as ${name}; serves ports ${taken.join(", ")}`);
}

function parseKeeperUrl(text: string): ClusterUrl {
  const url = parseClusterUrl(text);
  if (url.role === "keeper") return url;
  const message = `Cannot join with a URL of role "${url.role}": ` +
    `take the join line for keepers that the master printed`;
  throw new TydfsError("usage", message);
}

async function connectBus(
  url: ClusterUrl,
  name: string,
  log: Log,
  end: (status: number) => void,
): Promise<Bus> {
  const place = `${url.host}:${url.port}`;
  log.info("Connecting to the master", { place });
  const waiting = systemClock.every(WAITING_LOG_MS, () => {
    log.warn("Still waiting for a master", { place });
  });
  try {
    const options = { url, name: `keeper-${name}`, log, connectMs: CONNECT_MS };
    const onClosed = (error: TydfsError) => {
      log.error("The keeper ends: it can't hear the master any more", { error });
      end(1);
    };
    return await connectNats({ ...options, waitOnFirstConnect: true, onClosed });
  } finally {
    waiting.stop();
  }
}

/** A streamer that is loaded, and where it is to listen. */
interface LoadedStreamer {
  loaded: LoadedThread<StreamerStart, StreamerReady>;
  row: number;
  port: number;
  /** From now on its death is the keeper's; before, it is told to who starts it. */
  setUp: () => void;
}

function loadStreamer(port: number, row: number, log: Log): LoadedStreamer {
  let isUp = false;
  const loaded = loadThread<StreamerStart, StreamerReady>("streamer", {
    name: `streamer-${row}`,
    onDeath(error) {
      if (!isUp) return;
      log.error("A streamer has died, and the keeper with it", { error });
      process.exit(1);
    },
  });
  return { loaded, row, port, setUp: () => void (isUp = true) };
}

/** Starts all streamers; returns their ports. */
async function startStreamers(
  start: Omit<StreamerStart, "row" | "port">,
  streamers: readonly LoadedStreamer[],
  lifetime: Lifetime,
): Promise<number[]> {
  const threads = await Promise.all(
    streamers.map(({ loaded, row, port }) => loaded.start({ start: { ...start, row, port } })),
  );
  for (const { setUp } of streamers) setUp();
  const stopOne = (thread: Thread<StreamerReady>) => thread.stop(DRAIN_MS + 1_000);
  lifetime.own("streamers", async () => void await Promise.all(threads.map(stopOne)));
  return threads.map(({ ready }) => ready.port);
}

/** Starts the thread that looks after the disk. */
async function startScrubber(start: CareStart, log: Log, lifetime: Lifetime): Promise<void> {
  let isUp = false;
  const thread = await spawnThread<CareStart, Record<string, never>>("scrubber", {
    name: "scrubber",
    start,
    onDeath(error) {
      if (!isUp) return;
      // At once and without a farewell: what this keeper could still say of its chunks is wrong.
      log.error("The keeper ends: it can't look after its disk any more", { error });
      process.exit(1);
    },
  });
  isUp = true;
  lifetime.own("scrubber", () => thread.stop(SCRUBBER_STOP_MS));
}

function identityOf({ id, epoch, instance }: Identity, name: string, version: string) {
  return { keeper: id, name, epoch, instance, protocol: PROTOCOL_VERSION, version };
}

interface JoinParts {
  bus: Bus;
  subjects: Subjects;
  store: ChunkStore;
  ports: PortTable;
  scrub: ScrubShare;
  masterEpoch: MasterEpoch;
  introduction: Introduction;
  log: Log;
  signal: AbortSignal;
  end: (status: number) => void;
  /** The master has taken the keeper in, now or again. */
  onJoined: () => void;
}

/** Registers with the master, beats from then on, and obeys what concerns the keeper as a whole. */
async function join(parts: JoinParts, lifetime: Lifetime): Promise<void> {
  const { bus, subjects, introduction, masterEpoch, log, end } = parts;
  const { keeper: keeperId, epoch, ports } = introduction;
  const effects = { clock: systemClock, random: systemRandom };
  const heartbeats = new Heartbeats({
    ...{ ...parts, ...effects, keeperId, epoch, streamers: ports.length },
    onHung(row) {
      log.error("A streamer stands still: the keeper ends", { row });
      process.exit(1);
    },
  });
  const membership = new Membership({
    ...{ ...parts, ...effects, reporter: new Reporter({ ...parts, ...effects, keeperId }) },
    async onJoined({ beatMs }, current) {
      parts.scrub.obeying = current;
      await heartbeats.start(beatMs > 0 ? beatMs : BEAT_MS, { readOnly: !current });
      parts.onJoined();
    },
    onRefused: (error) => {
      const isRemoved = error instanceof TydfsError && error.data["removed"] === true;
      if (isRemoved) endRemoved(log, end);
      else end(exitOf(error, false, log));
    },
  });
  bus.onReconnect(() => void membership.join());
  const settings = { onFailure: logFailure(log) };
  const register = subjects.command(keeperId, commandRegister.name);
  serve(bus, register, commandRegister, settings, async (request) => {
    // A newer epoch counts when the answer to joining has told its catalog.
    masterEpoch.refuseOlder(request.epoch);
    void membership.join();
    return {};
  });
  const scrub = subjects.command(keeperId, commandScrub.name);
  serve(bus, scrub, commandScrub, settings, async (request) => {
    await masterEpoch.check(request.epoch);
    parts.scrub.request();
    return {};
  });
  const retire = subjects.command(keeperId, commandRetire.name);
  serve(bus, retire, commandRetire, settings, async (request) => {
    await masterEpoch.check(request.epoch);
    if (request.keeperEpoch !== epoch) return {};
    if (request.removed === true) {
      endRemoved(log, end);
      return {};
    }
    log.error("A newer keeper runs with this id: this one ends", { epoch });
    end(1);
    return {};
  });
  lifetime.own("heartbeats", async () => {
    heartbeats.leave();
    await bus.flush();
  });
  await membership.join();
}

/** Ends with success, so that no service manager starts the keeper again. */
function endRemoved(log: Log, end: (status: number) => void): void {
  log.warn("This keeper was removed from the cluster, and ends; started again it joins anew");
  end(0);
}

/** `DATA/ready` holds the keeper's id while it takes part; on a full disk it is empty. */
async function markReady(disk: Disk, id: string, lifetime: Lifetime, log: Log): Promise<void> {
  lifetime.own("ready", async () => void await disk.remove(READY_FILE));
  const tell = (error: unknown) =>
    log.warn(`Cannot write ${READY_FILE} into the data directory`, { error });
  try {
    await replaceText(disk, READY_FILE, `${id}\n`);
  } catch (error) {
    tell(error);
    await disk.write(READY_FILE, [], { sync: false }).catch(tell);
  }
}

/** Says why the keeper can't go on; returns the exit status for that. */
function exitOf(error: unknown, stopping: boolean, log: Log): number {
  if (stopping) return 0;
  const known = wrapError(error);
  log.error(known.message, { code: known.code, cause: known.cause });
  return ERROR_CODES[known.code].exit;
}

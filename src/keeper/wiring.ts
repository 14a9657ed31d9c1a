/**
 * How a streamer's thread is wired: its start message, and the effects that it makes of its own.
 */
import { isatty } from "node:tty";
import { systemClock } from "../base/clock.ts";
import type { Log, LogLevel } from "../base/log.ts";
import { stderrLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import { Archive } from "../chunks/archive.ts";
import { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import { systemDisk } from "../chunks/disk.ts";
import { StoreShare } from "../chunks/store_share.ts";
import type { Settings } from "../config/options.ts";
import { PortTable } from "../tables/port_table.ts";
import type { Running } from "../threads.ts";
import { connectNats } from "../wire/bus_nats.ts";
import { httpTransport } from "../wire/chunk_http.ts";
import { subjectsOf } from "../wire/subjects.ts";
import type { ClusterUrl } from "../wire/url.ts";
import { serveCommands } from "./commands.ts";
import { MasterEpoch } from "./master_epoch.ts";
import { checkPremises } from "./premises.ts";
import { Reporter } from "./reporter.ts";
import { Streamer } from "./streamer.ts";

/** What the threads of a keeper share. */
export interface SharedBuffers {
  ports: SharedArrayBuffer;
  store: SharedArrayBuffer;
  masterEpoch: SharedArrayBuffer;
}

/** What a streamer's thread starts with. */
export interface StreamerStart {
  keeperId: string;
  keeperName: string;
  /** Its row in the port table. */
  row: number;
  /** The port to listen on; 0: any free one. */
  port: number;
  directory: string;
  url: ClusterUrl;
  ticketKey: string;
  settings: Settings;
  shared: SharedBuffers;
}

/** What it learned at its start. */
export interface StreamerReady {
  port: number;
}

export const CONNECT_MS = 10_000;
/** Time for streams under way when the keeper stops. */
export const DRAIN_MS = 10_000;

/** Opens the store over `disk`; all threads of a keeper must have one `share`. */
export function openStore(
  disk: Disk,
  share: StoreShare,
  settings: Settings,
  keeperId: string,
): ChunkStore {
  return new ChunkStore({
    ...{ disk, share, clock: systemClock, random: systemRandom },
    reserveBytes: settings.reserve,
    checkPremises: () => checkPremises(disk, keeperId),
  });
}

/** Starts a streamer: connects, listens, obeys commands. */
export async function startStreamer(start: StreamerStart): Promise<Running<StreamerReady>> {
  const { keeperId, keeperName, row, port, directory, url, ticketKey, settings, shared } = start;
  const log = threadLog(`keeper/streamer-${row}`, settings);
  const name = `keeper-${keeperName}-streamer-${row}`;
  const bus = await connectNats({
    url,
    name,
    log,
    connectMs: CONNECT_MS,
    waitOnFirstConnect: true,
    onClosed: dieOf,
  });
  const disk = systemDisk(directory);
  const store = openStore(disk, new StoreShare(shared.store), settings, keeperId);
  const effects = { clock: systemClock, random: systemRandom, log, transport: httpTransport };
  const subjects = subjectsOf(url.cluster);
  const reporter = new Reporter({ ...effects, bus, subjects, keeperId });
  const archive = new Archive(disk, systemRandom);
  const parts = { ...effects, bus, subjects, keeperId, disk, store, archive, reporter };
  const streamer = new Streamer({
    ...parts,
    ticketKey,
    row,
    slots: settings.slots,
    ports: new PortTable(settings.streamers, shared.ports),
    onBroken: dieOf,
  });
  const ready = { port: streamer.listen(settings.host, port) };
  const masterEpoch = new MasterEpoch({ disk, log, clock: systemClock }, shared.masterEpoch);
  const commands = serveCommands({ ...parts, masterEpoch });
  return {
    ready,
    async stop() {
      await Promise.all(commands.map((command) => command.stop()));
      await streamer.stop(DRAIN_MS);
      await bus.close();
    },
  };
}

/** An error that nothing catches ends the thread, and with it the process. */
export function dieOf(error: Error): void {
  setTimeout(() => {
    throw error;
  }, 0);
}

/** The log of a thread of the keeper. */
export function threadLog(role: string, settings: Settings): Log {
  const text = settings.log_format === "text" || (settings.log_format === "auto" && isatty(2));
  return stderrLog(role, {
    level: settings.log_level as LogLevel,
    format: text ? "text" : "json",
  });
}

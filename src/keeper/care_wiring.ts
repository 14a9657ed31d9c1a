/** How the thread that looks after the disk is wired: the scrubber and the caretaker. */
import { systemClock as clock } from "../base/clock.ts";
import { systemRandom as random } from "../base/random.ts";
import { systemDisk } from "../chunks/disk.ts";
import { StoreShare } from "../chunks/store_share.ts";
import { PortTable } from "../tables/port_table.ts";
import type { Running } from "../threads.ts";
import { connectNats } from "../wire/bus_nats.ts";
import { TydfsError } from "../wire/errors.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { Caretaker } from "./caretaker.ts";
import { MasterEpoch } from "./master_epoch.ts";
import { checkPremises } from "./premises.ts";
import { Reporter } from "./reporter.ts";
import { ScrubShare } from "./scrub_share.ts";
import { Scrubber } from "./scrubber.ts";
import type { StreamerStart } from "./wiring.ts";
import { CONNECT_MS, dieOf, openStore, threadLog } from "./wiring.ts";

/** What the thread starts with. */
export interface CareStart extends Omit<StreamerStart, "row" | "port"> {
  scrub: SharedArrayBuffer;
}

/** Starts to scrub and to look after the rest, until it is stopped. */
export async function startCare(start: CareStart): Promise<Running<Record<string, never>>> {
  const { keeperId, keeperName, directory, url, settings, shared } = start;
  const log = threadLog("keeper/scrubber", settings);
  const name = `keeper-${keeperName}-scrubber`;
  const connection = { url, name, log, connectMs: CONNECT_MS, onClosed: dieOf };
  const bus = await connectNats({ ...connection, waitOnFirstConnect: true });
  const disk = systemDisk(directory);
  const store = openStore(disk, new StoreShare(shared.store), settings, keeperId);
  const ports = new PortTable(settings.streamers, shared.ports);
  const rows = Array.from({ length: settings.streamers }, (_, row) => row);
  const stop = new AbortController();
  const effects = { clock, random, log };
  const reporter = new Reporter({ ...effects, bus, subjects: subjectsOf(url.cluster), keeperId });
  const share = new ScrubShare(start.scrub);
  const parts = { ...effects, keeperId, disk, store, reporter, share, signal: stop.signal };
  const scrubber = new Scrubber({
    ...parts,
    periodMs: settings.scrub_period,
    bytesPerSecond: settings.scrub_bandwidth,
    streams: () => rows.reduce((sum, row) => sum + ports.counts(row).inUse, 0),
  });
  const caretaker = new Caretaker({
    ...parts,
    masterEpoch: new MasterEpoch({ disk, log, clock }, shared.masterEpoch),
    checkPremises: () => checkPremises(disk, keeperId),
    inventoryPeriodMs: settings.inventory_period,
  });
  const running = [scrubber.run(), caretaker.run()];
  for (const task of running) task.catch(dieOf);
  return {
    ready: {},
    async stop() {
      stop.abort(new TydfsError("interrupted", "The keeper stops"));
      await Promise.all(running);
      await bus.close();
    },
  };
}

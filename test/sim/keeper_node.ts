/**
 * A simulated keeper: the real streamers, stores, commands, membership and heartbeats over a
 * simulated disk, in one process. It is wired as `src/keeper/keeper.ts` and `wiring.ts` wire it.
 * Its drive outlives it.
 */
import { Caretaker } from "../../src/keeper/caretaker.ts";
import { checkPremises } from "../../src/keeper/premises.ts";
import { ScrubShare } from "../../src/keeper/scrub_share.ts";
import { Scrubber } from "../../src/keeper/scrubber.ts";
import { ChunkStore } from "../../src/chunks/chunk_store.ts";
import { StoreShare } from "../../src/chunks/store_share.ts";
import { serveArchive } from "../../src/keeper/archive_commands.ts";
import { logFailure, serveCommands } from "../../src/keeper/commands.ts";
import { Heartbeats } from "../../src/keeper/heartbeats.ts";
import { openIdentity } from "../../src/keeper/identity.ts";
import { MasterEpoch } from "../../src/keeper/master_epoch.ts";
import type { Introduction } from "../../src/keeper/membership.ts";
import { Membership } from "../../src/keeper/membership.ts";
import { Reporter } from "../../src/keeper/reporter.ts";
import { Streamer } from "../../src/keeper/streamer.ts";
import { PortTable } from "../../src/tables/port_table.ts";
import { serve } from "../../src/wire/bus.ts";
import { commandRegister, commandRetire } from "../../src/wire/command.ts";
import { subjectsOf } from "../../src/wire/subjects.ts";
import { PROTOCOL_VERSION } from "../../src/wire/version.ts";
import { CLUSTER, type Cluster, TICKET_KEY } from "./cluster.ts";
import type { DiskFaults } from "./disk.ts";
import { SimDisk, SOUND } from "./disk.ts";
import { Drive } from "./drive.ts";
import { DeadProcess, type SimProcess } from "./process.ts";
import { labelsOf } from "./rule_giver.ts";
import { SimTransport } from "./transport.ts";
import { Archive } from "../../src/chunks/archive.ts";

/** What the thread that looks after the disk is made of. */
interface CareParts {
  process: SimProcess;
  disk: SimDisk;
  keeperId: string;
  ports: PortTable;
  scrub: ScrubShare;
  premises: () => Promise<void>;
  store: ChunkStore;
}

const FIRST_PORT = 7000;
const subjects = subjectsOf(CLUSTER);

export class KeeperNode {
  readonly name: string;
  readonly drive: Drive;
  #faults: DiskFaults = SOUND;
  /** Some of its disk could not be read at some time. */
  hadReadErrors = false;
  process: SimProcess | undefined;
  /** Its id, once it has made one. */
  id: string | undefined;
  /** Its own port table, as long as it runs. */
  ports: PortTable | undefined;
  readonly #cluster: Cluster;
  readonly #streamers: number;
  #starts = 0;

  constructor(cluster: Cluster, name: string, streamers: number) {
    this.#cluster = cluster;
    this.name = name;
    this.#streamers = streamers;
    this.drive = new Drive(cluster.random(`${name} drive`));
  }

  /** What is wrong with its disk now. */
  get faults(): DiskFaults {
    return this.#faults;
  }

  set faults(faults: DiskFaults) {
    this.#faults = faults;
    if (faults.readErrors > 0) this.hadReadErrors = true;
  }

  get running(): boolean {
    return this.process?.alive === true;
  }

  /** Starts it, unless it runs. */
  start(): void {
    if (this.running) return;
    const process = this.#cluster.process(this.name, this.name);
    this.process = process;
    this.#starts++;
    this.#cluster.trace.note(this.name, "START", String(this.#starts));
    this.#boot(process).catch((error) => {
      if (!process.alive || error instanceof DeadProcess) return;
      this.#cluster.trace.note(this.name, "EXIT", `it can't start: ${String(error)}`);
      this.kill(false);
    });
  }

  /** Ends it at once, and with `powerLoss` takes what its disk had not synced. */
  kill(powerLoss: boolean): void {
    if (this.running) {
      this.#cluster.trace.note(this.name, powerLoss ? "POWER OFF" : "KILL");
      this.process?.kill();
    }
    if (powerLoss) this.drive.losePower();
  }

  /** Whether its disk holds this chunk with the right bytes, whatever became of its sidecar. */
  hasBytes(id: string, isRight: (bytes: Uint8Array) => boolean): boolean {
    const bytes = this.drive.find(`chunks/${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`)?.bytes;
    return bytes !== undefined && isRight(bytes);
  }

  /** Whether its disk holds this chunk whole: right bytes, durably. */
  holds(id: string, isRight: (bytes: Uint8Array) => boolean): "good" | "damaged" | "bad" {
    const path = `chunks/${id.slice(0, 2)}/${id.slice(2, 4)}/${id}`;
    const sidecar = `${path}.json`;
    if (this.drive.damaged.has(path) || this.drive.damaged.has(sidecar)) return "damaged";
    const bytes = this.drive.find(path)?.bytes;
    if (bytes === undefined || !isRight(bytes)) return "bad";
    return this.drive.isDurable(path) && this.drive.isDurable(sidecar) ? "good" : "bad";
  }

  async #boot(process: SimProcess): Promise<void> {
    const { nats, settings } = this.#cluster;
    const { clock } = process;
    const dice = (part: string) => this.#cluster.random(`${this.name} ${this.#starts} ${part}`);
    const log = (part: string) => this.#cluster.log(process, part);
    const disk = new SimDisk({
      ...{ drive: this.drive, process, random: dice("disk"), faults: () => this.#faults },
    });
    const bus = nats.connect(process);
    const identity = await openIdentity({
      ...{ disk, directory: this.name, cluster: CLUSTER, ticketKey: TICKET_KEY, clock },
      random: dice("identity"),
    });
    const { id: keeperId, epoch } = identity;
    this.id = keeperId;
    const share = new StoreShare();
    const premises = () => checkPremises(disk, keeperId);
    const openStore = (part: string) =>
      new ChunkStore({
        ...{ disk, share, reserveBytes: settings.reserve, clock, random: dice(`store ${part}`) },
        checkPremises: premises,
      });
    const store = openStore("main");
    await store.prepare();
    const archive = new Archive(disk, dice("archive"));
    await archive.prepare();
    const ports = new PortTable(this.#streamers);
    this.ports = ports;
    const epochOptions = { disk, clock, log: log("epoch") };
    const masterEpoch = await MasterEpoch.open(epochOptions, this.name);
    const taken: number[] = [];
    for (let row = 0; row < this.#streamers; row++) {
      const own = { clock, random: dice(`streamer ${row}`), log: log(`streamer-${row}`) };
      const ownBus = nats.connect(process);
      const reporter = new Reporter({ ...own, bus: ownBus, subjects, keeperId });
      const parts = {
        ...{ ...own, bus: ownBus, subjects, keeperId, disk, reporter },
        ...{ store: openStore(String(row)), archive },
        transport: new SimTransport(this.#cluster.ports, process),
      };
      const streamer: Streamer = new Streamer({
        ...{ ...parts, ticketKey: TICKET_KEY, row, slots: settings.slots, ports },
        onBroken: (error) => this.#cluster.violate(`${this.name}: ${error.message}`),
        serve: ({ port }) =>
          this.#cluster.ports.listen(
            process,
            Number(port),
            (request, control) => streamer.answer(request, control),
          ),
      });
      taken.push(streamer.listen(this.name, FIRST_PORT + row));
      const ownEpoch = new MasterEpoch(epochOptions, masterEpoch.buffer);
      serveCommands({ ...parts, masterEpoch: ownEpoch });
    }
    const scrub = new ScrubShare();
    this.#care(
      { process, disk, keeperId, ports, scrub, premises, store: openStore("care") },
      () => {
        return new MasterEpoch(epochOptions, masterEpoch.buffer);
      },
    );
    serveArchive({ keeperId, bus, subjects, archive, masterEpoch, log: log("archive") });
    await this.#join(process, {
      ...{ keeper: keeperId, name: this.name, epoch, instance: identity.instance },
      ...{ protocol: PROTOCOL_VERSION, version: "0.0.0", host: this.name, ports: taken },
      ...{ slots: settings.slots, labels: labelsOf(Number(this.name.split("-")[1])) },
    }, { bus, store, ports, masterEpoch, scrub });
  }

  /** As `startCare` in `src/keeper/care_wiring.ts`. */
  #care(
    { process, disk, keeperId, ports, scrub: share, premises, store }: CareParts,
    openEpoch: () => MasterEpoch,
  ): void {
    const { settings, nats } = this.#cluster;
    const random = this.#cluster.random(`${this.name} ${this.#starts} care`);
    const effects = { clock: process.clock, random, log: this.#cluster.log(process, "scrubber") };
    const { signal } = new AbortController();
    const reporter = new Reporter({ ...effects, bus: nats.connect(process), subjects, keeperId });
    const parts = { ...effects, disk, store, reporter, share, signal };
    const scrubber = new Scrubber({
      ...{ ...parts, periodMs: settings.scrub_period, bytesPerSecond: settings.scrub_bandwidth },
      streams: () => ports.counts(0).inUse,
    });
    const caretaker = new Caretaker({
      ...{ ...parts, keeperId, masterEpoch: openEpoch(), checkPremises: premises },
      inventoryPeriodMs: settings.inventory_period,
    });
    for (const task of [scrubber.run(), caretaker.run()]) {
      task.catch((error) => {
        if (process.alive) this.#cluster.violate(`${this.name} ends: ${String(error)}`);
      });
    }
  }

  /** As `join` in `src/keeper/keeper.ts`. */
  async #join(
    process: SimProcess,
    introduction: Introduction,
    parts: {
      bus: ReturnType<Cluster["nats"]["connect"]>;
      store: ChunkStore;
      ports: PortTable;
      masterEpoch: MasterEpoch;
      scrub: ScrubShare;
    },
  ): Promise<void> {
    const { bus, masterEpoch } = parts;
    const { keeper: keeperId, epoch, ports } = introduction;
    const log = this.#cluster.log(process, "keeper");
    const random = this.#cluster.random(`${this.name} ${this.#starts} main`);
    const effects = { clock: process.clock, random, log, subjects };
    const end = () => this.kill(false);
    const heartbeats = new Heartbeats({
      ...{ ...parts, ...effects, keeperId, epoch, streamers: ports.length },
      onHung: () => this.#cluster.violate(`${this.name}: a streamer stands still`),
    });
    const membership = new Membership({
      ...{ ...parts, ...effects, introduction, signal: new AbortController().signal },
      reporter: new Reporter({ ...effects, bus, keeperId }),
      onJoined: async ({ beatMs }, current) => {
        parts.scrub.obeying = current;
        await heartbeats.start(beatMs, { readOnly: !current });
      },
      onRefused: (error) => {
        this.#cluster.violate(`${this.name} was refused: ${String(error)}`);
        end();
      },
    });
    bus.onReconnect(() => void membership.join());
    const settings = { onFailure: logFailure(log) };
    serve(
      bus,
      subjects.command(keeperId, "register"),
      commandRegister,
      settings,
      (request) => {
        masterEpoch.refuseOlder(request.epoch);
        void membership.join();
        return {};
      },
    );
    serve(bus, subjects.command(keeperId, "retire"), commandRetire, settings, async (request) => {
      await masterEpoch.check(request.epoch);
      if (request.keeperEpoch === epoch) end();
      return {};
    });
    await membership.join();
  }
}

/**
 * The sentinel: hears heartbeats, keeps the tables true, declares keepers suspect, dead and back.
 * The one writer of the KeeperTable. It measures silence on its own monotonic clock; what a keeper
 * says of time it never uses.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Log } from "../base/log.ts";
import type { KeeperRecord } from "../catalog/reader.ts";
import type { Settings } from "../config/options.ts";
import { decideKeeperState } from "../tables/keeper_state.ts";
import { type KeeperRow, UNKNOWN_SCRUB } from "../tables/keeper_table.ts";
import type { Bus, Subscription } from "../wire/bus.ts";
import { call, listen } from "../wire/bus.ts";
import { commandInventory, commandRegister, commandRetire } from "../wire/command.ts";
import { type DiskFault, Heartbeat } from "../wire/heartbeat.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";
import { subjectsOf } from "../wire/subjects.ts";
import { BeatMirror } from "./beat_mirror.ts";
import type { Announce } from "./events.ts";
import { announcer } from "./events.ts";
import { noteFailure } from "./failures.ts";
import { RecentSet } from "./recent.ts";
import { keeperOf } from "./reports.ts";
import { type KeeperReader, Roster } from "./roster.ts";
import type { Tables } from "./wiring.ts";

export interface SentinelOptions {
  settings: Settings;
  cluster: string;
  clock: Clock;
  log: Log;
  bus: Bus;
  reader: KeeperReader;
  tables: Pick<Tables, "ports" | "keepers">;
  masterEpoch: number;
}

const TICK_MS = 250;
/** A tick that comes later than this was held up: the silence may have been our own deafness. */
const TICK_LATE_MS = 1_000;
/** A keeper is told the same thing once in this time. */
const COMMAND_PERIOD_MS = 1_000;
const COMMAND_MS = 5_000;
/** Keepers, known or not, that are told something in one period. */
const COMMANDS_MAX = 4_096;

export class Sentinel {
  readonly #options: SentinelOptions;
  readonly #subjects: Subjects;
  readonly #announce: Announce;
  readonly #roster: Roster;
  readonly #mirror: BeatMirror;
  readonly #told: RecentSet;
  /** The number of the latest beat, by keeper; at most as many as there are keepers. */
  readonly #lastBeats = new Map<string, { epoch: number; beat: number }>();
  #subscription: Subscription | undefined;
  #timer: Timer | undefined;
  #lastTickMs: number;

  constructor(options: SentinelOptions) {
    const { cluster, bus, clock, reader, tables } = options;
    this.#options = options;
    this.#lastTickMs = clock.monotonicMs();
    this.#subjects = subjectsOf(cluster);
    this.#announce = announcer(bus, this.#subjects, clock);
    this.#roster = new Roster(reader);
    this.#mirror = new BeatMirror(tables.ports);
    this.#told = new RecentSet(clock, { periodMs: COMMAND_PERIOD_MS, max: COMMANDS_MAX });
  }

  /**
   * Begins to listen. Keepers that the catalog knows are JOINING until they beat, or until they
   * count as dead.
   */
  start(): void {
    const { bus, clock, log } = this.#options;
    this.tick();
    const onFailure = (name: string, error: unknown) =>
      noteFailure(log, "Refused a heartbeat", error, { name });
    const subject = this.#subjects.heartbeat("*");
    this.#subscription = listen(
      bus,
      subject,
      Heartbeat,
      onFailure,
      (beat, from) => this.hear(beat, keeperOf(from)),
    );
    this.#timer = clock.every(TICK_MS, () => this.tick());
  }

  async stop(): Promise<void> {
    this.#timer?.stop();
    await this.#subscription?.stop();
  }

  /** Takes a heartbeat that came on the subject of keeper `from`. */
  hear(beat: Heartbeat, from: string): void {
    const { tables } = this.#options;
    if (beat.keeper !== from) return;
    const keeper = this.#roster.byId(beat.keeper);
    if (keeper === undefined) {
      const removed = this.#roster.removed().find(({ id }) => id === beat.keeper);
      const isRemoved = removed !== undefined && beat.epoch <= removed.epoch;
      return isRemoved ? this.#tellRetire(beat, true) : this.#tellRegister(beat.keeper);
    }
    // A keeper of a newer epoch has not registered yet: its ports may be others than those on
    // record.
    if (beat.epoch > keeper.epoch) return this.#tellRegister(beat.keeper);
    if (beat.epoch < keeper.epoch) return this.#tellRetire(beat);
    const last = this.#lastBeats.get(beat.keeper);
    if (last !== undefined && last.epoch === beat.epoch && beat.beat <= last.beat) return;
    this.#lastBeats.set(beat.keeper, { epoch: beat.epoch, beat: beat.beat });
    // Known from before this master's start: it serves, and registers again, so that its inventory
    // comes.
    if (!tables.keepers.hasJoined(keeper.number, beat.epoch)) this.#tellRegister(beat.keeper);
    this.#accept(keeper, beat);
  }

  /** Looks how long each keeper has been silent, and declares what follows. */
  tick(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const heldUpMs = nowMs - this.#lastTickMs;
    this.#lastTickMs = nowMs;
    const deafMs = heldUpMs > TICK_LATE_MS ? heldUpMs : 0;
    if (deafMs > 0) this.#options.log.warn("The sentinel was held up", { heldUpMs });
    for (const keeper of this.#roster.all()) this.#judge(keeper, deafMs);
    for (const { number } of this.#roster.removed()) this.#forget(number);
  }

  #accept(keeper: KeeperRecord, beat: Heartbeat): void {
    const { tables, clock } = this.#options;
    const nowMs = clock.monotonicMs();
    const before = tables.keepers.find(keeper.number);
    const { epoch, freeBytes, totalBytes, chunks, readOnly, leaving, fault, aside, scrub } = beat;
    const state = leaving ? "SUSPECT" : "ALIVE";
    this.#mirror.mirror(keeper.number, keeper.ports, beat.ports, nowMs);
    tables.keepers.put(keeper.number, {
      ...{ state, epoch, freeBytes, totalBytes, chunks, readOnly, fault, aside, scrub },
      lastBeatMs: nowMs,
      left: leaving,
      deadSinceMs: before?.deadSinceMs ?? 0,
    });
    if (before?.state !== state) this.#announceState(keeper, before?.state, state);
    if (before?.fault !== fault) this.#noteFault(keeper, fault);
    if (before?.state !== "DEAD" || leaving) return;
    // It may have lost or kept what was decided about it meanwhile.
    if (tables.keepers.hasJoined(keeper.number, epoch)) {
      this.#tell(keeper.id, commandInventory, { epoch: this.#options.masterEpoch });
    }
  }

  /** Judges one keeper; the last `deafMs` don't count as its silence. */
  #judge(keeper: KeeperRecord, deafMs: number): void {
    const { tables, clock, settings } = this.#options;
    const nowMs = clock.monotonicMs();
    const found = tables.keepers.find(keeper.number);
    if (found === undefined) return tables.keepers.put(keeper.number, unheard(nowMs));
    const lastBeatMs = Math.min(nowMs, found.lastBeatMs + deafMs);
    const row = { ...found, lastBeatMs };
    if (deafMs > 0) tables.keepers.put(keeper.number, row);
    const silentMs = nowMs - row.lastBeatMs;
    const state = decideKeeperState(row.state, silentMs, {
      suspectAfterMs: settings.suspect_after,
      // It has said that it goes: no need to wait long.
      deadAfterMs: row.left ? settings.suspect_after : settings.dead_after,
    });
    // One that leaves stays suspect, however fresh its last beat is.
    if (state === row.state || (row.left && state === "ALIVE")) return;
    const deadSinceMs = state === "DEAD" ? nowMs : row.deadSinceMs;
    tables.keepers.put(keeper.number, { ...row, state, deadSinceMs });
    if (state === "DEAD") this.#mirror.close(keeper.number);
    this.#announceState(keeper, row.state, state);
  }

  #noteFault({ name }: KeeperRecord, fault: DiskFault | undefined): void {
    const { log } = this.#options;
    if (fault === undefined) return log.info("A keeper's disk can be written", { keeper: name });
    log.warn("A keeper's disk can't be written: it gets no new chunks", { keeper: name, fault });
  }

  /** A keeper was removed: nothing of it stays in the tables. */
  #forget(number: number): void {
    const { tables } = this.#options;
    if (tables.keepers.find(number) === undefined) return;
    this.#mirror.close(number);
    tables.keepers.clear(number);
  }

  #announceState(keeper: KeeperRecord, before: string | undefined, state: string): void {
    const { log } = this.#options;
    const { name } = keeper;
    const grave = state === "DEAD" || state === "SUSPECT";
    log[grave ? "warn" : "info"](`Keeper is ${state}`, { keeper: name, before });
    if (state === "DEAD") this.#announce({ kind: "keeper-lost", keeper: name });
    if (state !== "ALIVE") return;
    if (before === "DEAD") this.#announce({ kind: "keeper-back", keeper: name });
    else if (before !== "SUSPECT") this.#announce({ kind: "keeper-joined", keeper: name });
  }

  #tellRegister(keeper: string): void {
    this.#tell(keeper, commandRegister, { epoch: this.#options.masterEpoch });
  }

  /** An older process than the one that has joined, or one that was removed, is to end. */
  #tellRetire(beat: Heartbeat, removed = false): void {
    const { masterEpoch: epoch, log } = this.#options;
    const message = removed
      ? "A removed keeper beats"
      : "An older process beats with a keeper's id";
    log.warn(message, { keeper: beat.keeper, epoch: beat.epoch });
    this.#tell(beat.keeper, commandRetire, { epoch, keeperEpoch: beat.epoch, removed });
  }

  #tell<Request, Reply>(keeper: string, command: Rpc<Request, Reply>, request: Request): void {
    const { bus, log } = this.#options;
    if (!this.#told.add(`${keeper} ${command.name}`)) return;
    const subject = this.#subjects.command(keeper, command.name);
    call(bus, subject, command, request, { timeoutMs: COMMAND_MS }).catch((error) => {
      // The next beat asks for it again.
      noteFailure(log, "A keeper did not take a command", error, { keeper, command: command.name });
    });
  }
}

/** The row of a keeper that this master has not heard yet: its silence begins now. */
function unheard(nowMs: number): KeeperRow {
  return {
    state: "JOINING",
    epoch: 0,
    lastBeatMs: nowMs,
    freeBytes: 0,
    totalBytes: 0,
    chunks: 0,
    readOnly: false,
    fault: undefined,
    aside: 0,
    scrub: UNKNOWN_SCRUB,
    left: false,
    deadSinceMs: 0,
  };
}

/**
 * One cluster whose machines have disks of their own, and the cycles that it goes through: load,
 * the loss of power of one or all at a named step or a random moment, restart, check.
 */
import { readdirSync, readlinkSync } from "node:fs";
import { TydfsClient } from "../../../src/client/client.ts";
import { TestCluster, until } from "../../cluster/harness.ts";
import { DiskImage, type FileSystem } from "./disk_image.ts";
import { Load } from "./load.ts";
import { findTorn } from "./torn.ts";

/** Whose power is lost. */
export type Victims = "keeper" | "master" | "all";

/** When the power goes: under load at any moment or at a named step, or right after an answer. */
export type Occasion = "moment" | "step" | "answer";
export const OCCASIONS: readonly Occasion[] = ["moment", "step", "answer"];

export interface CycleOptions {
  occasions: readonly Occasion[];
  /** A file that can't be read for so long counts as lost. */
  patienceMs: number;
}

export interface CycleReport {
  victims: Victims;
  /** The step or the moment at which the power went. */
  at: string;
  acknowledged: number;
  doubtful: number;
  /** Acknowledged changes that are not there, a line each. */
  lost: string[];
  /** Files in a keeper's final area that are not whole, a line each. */
  torn: string[];
  seconds: number;
}

const KEEPERS = [1, 2, 3];
const IMAGE_BYTES = 768 * 2 ** 20;
/** Several chunks a file, many pages a disk; the reserve is smaller than the disks. */
const SETTINGS = { TYDFS_CHUNK_SIZE: "1MiB", TYDFS_RESERVE: "32MiB" };
/** A step that is not reached by then is cut where it is. */
const STEP_MS = 4_000;
const PASSES_MAX = 8;
/** What is busy or away is not waited for long. */
const WAIT_MS = 2_000;
const LOAD_MIN_MS = 150;
const LOAD_MORE_MS = 900;

const KEEPER_STEPS = ["arrived", "written", "synced", "renamed", "durable", "reported"];
const MASTER_STEPS = ["report.received", "commit.before", "commit.after", "begin.opened"];

/** How the moment of the cut is waited for. */
interface Arming {
  at: string;
  reached: (client: TydfsClient) => Promise<unknown>;
}

export class PowerCluster {
  readonly #cluster: TestCluster;
  readonly #images = new Map<string, DiskImage>();
  readonly #random: () => number;
  readonly #load: Load;

  private constructor(cluster: TestCluster, random: () => number) {
    this.#cluster = cluster;
    this.#random = random;
    this.#load = new Load(random);
  }

  static async start(fileSystem: FileSystem, random: () => number): Promise<PowerCluster> {
    const cluster = new TestCluster({ env: SETTINGS });
    const power = new PowerCluster(cluster, random);
    try {
      for (const point of [cluster.masterDir, ...KEEPERS.map((k) => cluster.keeperDir(k))]) {
        const file = `${point}.img`;
        const image = DiskImage.make({ file, point, fileSystem, sizeBytes: IMAGE_BYTES });
        power.#images.set(point, image);
      }
      await power.#startRoles("all");
      return power;
    } catch (error) {
      await power.stop();
      throw error;
    }
  }

  /** Loads the cluster, cuts the power of `victims`, restores it, and looks what is there. */
  async cycle(victims: Victims, options: CycleOptions): Promise<CycleReport> {
    const startedMs = performance.now();
    const load = this.#load;
    const { acknowledged, doubtful } = load.ledger;
    const k = 1 + Math.floor(this.#random() * KEEPERS.length);
    const occasion = this.#pick(options.occasions) ?? "moment";
    const { at, reached } = await this.#arm(occasion, victims, k);
    const client = await this.#connect().catch(() => undefined);
    const stop = new AbortController();
    let loading = Promise.resolve();
    if (client !== undefined) {
      if (occasion !== "answer") loading = load.run(client, stop.signal);
      await reached(client);
    }
    const images = this.#imagesOf(victims, k);
    // Nobody may go on for an instant on a dead disk: a sync that is under way while a file system
    // is shut down may end well without having been one.
    this.#freeze(victims, k);
    DiskImage.cutPower(images);
    await this.#kill(victims, k);
    // With a keeper gone the work must go on; without a master it can't.
    if (victims === "keeper") await Bun.sleep(500);
    stop.abort();
    await loading;
    await client?.close().catch(() => {});
    for (const image of images) await image.restorePower();
    const torn = images.flatMap(({ point }) => findTorn(point));
    await this.#startRoles(victims, k);
    const lost = await this.#check(options.patienceMs);
    return {
      ...{ victims, at, lost, torn },
      acknowledged: load.ledger.acknowledged - acknowledged,
      doubtful: load.ledger.doubtful - doubtful,
      seconds: (performance.now() - startedMs) / 1000,
    };
  }

  /** Waits until every chunk has all its copies. Throws when that takes too long. */
  async settle(): Promise<void> {
    await this.#cluster.untilStatus(
      "all chunks are at their goal",
      ({ chunks }) => chunks.under + chunks.lost === 0,
    );
  }

  /** Ends all, lets the disks go. */
  async stop(): Promise<void> {
    await this.#kill("all", 0);
    for (const image of this.#images.values()) await image.remove();
    await this.#cluster.stop();
  }

  /** Chooses when the power is to go; at a named step a role is started anew, armed. */
  async #arm(occasion: Occasion, victims: Victims, k: number): Promise<Arming> {
    const cluster = this.#cluster;
    const pass = 1 + Math.floor(this.#random() * PASSES_MAX);
    if (occasion === "answer") {
      // Whatever comes later would make durable what went before: nothing does.
      const reached = (client: TydfsClient) => this.#load.putSome(client, pass);
      return { at: `after answer ${pass}`, reached };
    }
    if (occasion === "moment") {
      const loadMs = Math.round(LOAD_MIN_MS + this.#random() * LOAD_MORE_MS);
      return { at: `after ${loadMs} ms`, reached: () => Bun.sleep(loadMs) };
    }
    if (victims === "master" || victims === "all" && this.#random() < 0.4) {
      const step = `master.${this.#pick(MASTER_STEPS)}`;
      await cluster.killMaster("SIGTERM");
      const started = cluster.startMaster({ TYDFS_FAILPOINTS: `${step}=${pass}*kill` });
      await this.#aliveOr(cluster.masterEnd(), started);
      return { at: `${step} ${pass}`, reached: () => within(STEP_MS, cluster.masterEnd()) };
    }
    const step = `keeper.put.${this.#pick(KEEPER_STEPS)}`;
    await cluster.killKeeper(k, "SIGTERM");
    const started = cluster.startKeeper(k, { TYDFS_FAILPOINTS: `${step}=${pass}*kill` });
    await this.#aliveOr(cluster.keeperEnd(k), started);
    return { at: `${step} ${pass}`, reached: () => within(STEP_MS, cluster.keeperEnd(k)) };
  }

  /** Waits until all are alive, or until the step was reached before: by a late report, a repair. */
  async #aliveOr(end: Promise<unknown>, started: Promise<void>): Promise<void> {
    const alive = started.then(() => this.#cluster.untilAlive(KEEPERS.length));
    await Promise.race([end, alive]);
    alive.catch(() => {});
  }

  #pick<T>(of: readonly T[]): T | undefined {
    return of[Math.floor(this.#random() * of.length)];
  }

  #imagesOf(victims: Victims, k: number): DiskImage[] {
    const points = {
      keeper: [this.#cluster.keeperDir(k)],
      master: [this.#cluster.masterDir],
      all: [...this.#images.keys()],
    }[victims];
    return points.flatMap((point) => this.#images.get(point) ?? []);
  }

  #freeze(victims: Victims, k: number): void {
    const keepers = victims === "all" ? KEEPERS : victims === "keeper" ? [k] : [];
    for (const number of keepers) this.#cluster.signalKeeper(number, "SIGSTOP");
    if (victims !== "keeper") this.#cluster.signalMaster("SIGSTOP");
  }

  async #kill(victims: Victims, k: number): Promise<void> {
    const cluster = this.#cluster;
    const keepers = victims === "all" ? KEEPERS : victims === "keeper" ? [k] : [];
    const ends = keepers.map((number) => cluster.killKeeper(number));
    if (victims !== "keeper") ends.push(cluster.killMaster());
    await Promise.all(ends);
    if (victims !== "keeper") await endChildren(cluster.masterDir);
  }

  async #startRoles(victims: Victims, k = 0): Promise<void> {
    const cluster = this.#cluster;
    if (victims !== "keeper") await cluster.startMaster();
    const keepers = victims === "all" ? KEEPERS : victims === "keeper" ? [k] : [];
    await Promise.all(keepers.map((number) => cluster.startKeeper(number)));
    await cluster.untilAlive(KEEPERS.length);
  }

  #connect(): Promise<TydfsClient> {
    return TydfsClient.connect({ url: this.#cluster.clientUrl, waitMs: WAIT_MS });
  }

  async #check(patienceMs: number): Promise<string[]> {
    const client = await this.#connect();
    try {
      return await this.#load.ledger.check(client, patienceMs);
    } finally {
      await client.close();
    }
  }
}

async function within(timeMs: number, event: Promise<unknown>): Promise<void> {
  await Promise.race([event, Bun.sleep(timeMs)]);
}

/** Ends what runs from a disk that has lost its power: the nats-server of a killed master. */
async function endChildren(point: string): Promise<void> {
  const running = () => processesBelow(point);
  await until("nothing runs on the dead disk", () => {
    for (const pid of running()) process.kill(pid, "SIGKILL");
    return running().length === 0;
  });
}

/** The processes whose executable lies below `point`. */
function processesBelow(point: string): number[] {
  return readdirSync("/proc").filter((name) => /^\d+$/.test(name)).filter((pid) => {
    try {
      return readlinkSync(`/proc/${pid}/exe`).startsWith(`${point}/`);
    } catch {
      return false;
    }
  }).map(Number);
}

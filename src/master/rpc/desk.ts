/** What the functions that answer clients work with: the effects and the state of one tracker. */
import type { Clock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import type { Journal } from "../../catalog/operation.ts";
import type { CatalogReader } from "../../catalog/reader.ts";
import type { Settings } from "../../config/options.ts";
import type { Bus } from "../../wire/bus.ts";
import type { Subjects } from "../../wire/subjects.ts";
import type { ChunkIds } from "../chunk_ids.ts";
import type { Announce } from "../events.ts";
import type { Policies } from "../policies.ts";
import type { Roster } from "../roster.ts";
import type { Rulebook } from "../rulebook.ts";
import type { Slots } from "../slots.ts";
import type { Tables } from "../wiring.ts";
import type { RecentSet } from "../recent.ts";

export interface Desk {
  readonly settings: Settings;
  readonly cluster: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly bus: Bus;
  readonly subjects: Subjects;
  readonly announce: Announce;
  readonly journal: Journal;
  readonly reader: CatalogReader;
  readonly roster: Roster;
  readonly rulebook: Rulebook;
  readonly policies: Policies;
  readonly slots: Slots;
  readonly chunkIds: ChunkIds;
  readonly tables: Tables;
  readonly ticketKey: string;
  readonly masterEpoch: number;
  /** Replicas that readers have just doubted. */
  readonly doubts: RecentSet;
  readonly version: string;
  readonly natsVersion: string;
  /** Monotonic ms. */
  readonly startedMs: number;
}

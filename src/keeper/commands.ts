/**
 * What the master may have a keeper do with its chunks: replicate, delete, verify, list. Served in
 * the streamers' threads, in one queue group, so that heartbeats never wait for a disk. Every
 * command can be repeated; a stale master's is refused, and so is a delete that comes too late.
 */
import type { Clock } from "../base/clock.ts";
import { failpoint } from "../base/failpoint.ts";
import { forEachLimited } from "../base/limit.ts";
import type { Log } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import type { ChunkStore } from "../chunks/chunk_store.ts";
import type { Disk } from "../chunks/disk.ts";
import type { Bus, FailureListener, Subscription } from "../wire/bus.ts";
import { serve } from "../wire/bus.ts";
import type { ChunkTransport } from "../wire/chunk_http.ts";
import {
  commandCheck,
  commandDelete,
  commandInventory,
  commandReplicate,
  commandVerify,
} from "../wire/command.ts";
import { TydfsError } from "../wire/errors.ts";
import type { Rpc } from "../wire/rpc.ts";
import type { Subjects } from "../wire/subjects.ts";
import { CLOCK_LEEWAY_MS } from "../wire/ticket.ts";
import { sendInventory } from "./inventory_report.ts";
import type { MasterEpoch } from "./master_epoch.ts";
import { replicate } from "./replicate.ts";
import type { Reporter } from "./reporter.ts";

export interface CommandOptions {
  keeperId: string;
  bus: Bus;
  subjects: Subjects;
  masterEpoch: MasterEpoch;
  store: ChunkStore;
  disk: Disk;
  transport: ChunkTransport;
  reporter: Reporter;
  clock: Clock;
  random: Random;
  log: Log;
}

/** The queue group of one keeper's streamers. */
const STREAMER_QUEUE = "streamers";
/** The master bounds them over all streamers of a keeper; this is the most that it may ask for. */
const REPLICATIONS_AT_ONCE = 16;
const REMOVALS_AT_ONCE = 8;

/** Serves the commands until the subscriptions are stopped. */
export function serveCommands(options: CommandOptions): Subscription[] {
  const { store, reporter, masterEpoch, clock, log } = options;

  function on<Request extends { epoch: number }, Reply>(
    procedure: Rpc<Request, Reply>,
    concurrency: number,
    handler: (request: Request) => Promise<Reply>,
  ): Subscription {
    const subject = options.subjects.command(options.keeperId, procedure.name);
    const settings = { queue: STREAMER_QUEUE, concurrency, onFailure: logFailure(log) };
    return serve(options.bus, subject, procedure, settings, async (request) => {
      await masterEpoch.check(request.epoch);
      return await handler(request);
    });
  }

  return [
    on(commandReplicate, REPLICATIONS_AT_ONCE, async (request) => {
      await replicate(options, request);
      return {};
    }),
    on(commandDelete, 1, async ({ chunks, expiresMs }) => {
      const gone: string[] = [];
      // Asked before each chunk: a command may wait in its queue, and a disk may hang within it.
      const isLate = () => clock.wallMs() > expiresMs + CLOCK_LEEWAY_MS;
      if (isLate()) throw new TydfsError("expired", "Cannot delete chunks: the command is too old");
      await forEachLimited(chunks, REMOVALS_AT_ONCE, async (chunk) => {
        if (isLate()) return;
        try {
          await store.remove(chunk);
          await failpoint("keeper.delete.removed");
          gone.push(chunk);
        } catch (error) {
          log.warn("Cannot remove a chunk", { chunk, error });
        }
      });
      return { gone };
    }),
    on(commandVerify, 1, async ({ chunk }) => {
      const state = await store.verify(chunk);
      if (state === "corrupt" && await store.quarantine(chunk)) {
        log.error("A chunk is corrupt and was put aside", { chunk });
        reporter.lostLater(chunk, "corrupt", () => store.durable(chunk));
      }
      if (state === "missing") {
        reporter.lostLater(chunk, "missing", () => store.durable(chunk));
      }
      return { state };
    }),
    on(commandCheck, 1, ({ chunks }) => store.check(chunks)),
    on(commandInventory, 1, async () => {
      await sendInventory(store, reporter);
      return {};
    }),
  ];
}

/** Logs commands that failed. */
export function logFailure(log: Log): FailureListener {
  return (name, error) => log.warn("A command failed", { name, error });
}

/**
 * What a master may have a keeper do with its archive: append to a journal, list, prune. Served by
 * the main thread, since one thread alone may append; the disk works in the pool, so that beats
 * don't wait. Listing is for a master that is being recovered too, and asks for no epoch.
 */
import type { Archive } from "../chunks/archive.ts";
import { commandArchive, commandJournal, commandPrune } from "../wire/archive.ts";
import type { Log } from "../base/log.ts";
import type { Bus, Subscription } from "../wire/bus.ts";
import { serve } from "../wire/bus.ts";
import { encode } from "../wire/codec.ts";
import type { Subjects } from "../wire/subjects.ts";
import { logFailure } from "./commands.ts";
import type { MasterEpoch } from "./master_epoch.ts";

export interface ArchiveCommandOptions {
  keeperId: string;
  bus: Bus;
  subjects: Subjects;
  archive: Archive;
  masterEpoch: MasterEpoch;
  log: Log;
}

/** Serves the commands until the subscriptions are stopped. */
export function serveArchive(options: ArchiveCommandOptions): Subscription[] {
  const { keeperId, bus, subjects, archive, masterEpoch, log } = options;
  const settings = { onFailure: logFailure(log) };
  const subjectOf = ({ name }: { name: string }) => subjects.command(keeperId, name);
  return [
    serve(bus, subjectOf(commandJournal), commandJournal, settings, async (request) => {
      await masterEpoch.check(request.epoch, request.piece.catalog);
      await archive.append(request.file, encode(request.piece));
      return {};
    }),
    serve(
      bus,
      subjectOf(commandArchive),
      commandArchive,
      { ...settings, concurrency: 1 },
      async () => {
        const { newest, catalog } = masterEpoch;
        const files = await archive.list();
        return { files, masterEpoch: newest, ...(catalog === undefined ? {} : { catalog }) };
      },
    ),
    serve(bus, subjectOf(commandPrune), commandPrune, settings, async ({ epoch, remove }) => {
      await masterEpoch.check(epoch);
      return { removed: await archive.remove(remove) };
    }),
  ];
}

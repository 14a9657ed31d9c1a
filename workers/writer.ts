/** The writer thread: the catalog's one writer, and what keepers report. */
import { throwUncaught } from "../src/base/assert.ts";
import { systemClock as clock } from "../src/base/clock.ts";
import type { Operation } from "../src/catalog/operation.ts";
import { CatalogReader } from "../src/catalog/reader.ts";
import { CatalogWriter } from "../src/catalog/writer.ts";
import { LateInventory } from "../src/master/late_inventory.ts";
import { Reports } from "../src/master/reports.ts";
import { openThread, type WriterReady, type WriterStart } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";
import { answerPort } from "../src/wire/thread.ts";

runThread<WriterStart, WriterReady>(async (start) => {
  const { log, bus, tables } = await openThread(start);
  const path = start.catalogPath;
  const writer = new CatalogWriter({ path, log, onFatal: throwUncaught });
  const journal = new LateInventory(writer, clock);
  const { epoch } = await journal.submit({ kind: "master.start", atMs: clock.wallMs() });
  for (const port of start.callers) {
    answerPort(port, (operation: Operation) => journal.submit(operation));
  }
  const reader = new CatalogReader(path);
  const { settings, ticketKey, url } = start;
  const facts = { settings, ticketKey, cluster: url.cluster, masterEpoch: epoch };
  const reports = new Reports({ ...facts, clock, log, bus, journal, reader, tables });
  reports.start();
  await bus.flush();
  const stop = async () => {
    await reports.stop();
    await bus.close();
    reader.close();
    await writer.close();
  };
  return { ready: { epoch }, stop };
});

/** The writer thread: the catalog's one writer, what keepers report, and the journal to keepers. */
import { throwUncaught } from "../src/base/assert.ts";
import { systemClock as clock } from "../src/base/clock.ts";
import type { Operation } from "../src/catalog/operation.ts";
import { isThere, owedCheck } from "../src/master/data_dir.ts";
import { LateInventory } from "../src/master/late_inventory.ts";
import { Reports } from "../src/master/reports.ts";
import { openShippedWriter, openThread, untilHeard } from "../src/master/wiring.ts";
import type { WriterReady, WriterStart } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";
import { answerPort } from "../src/wire/thread.ts";

runThread<WriterStart, WriterReady>(async (start) => {
  const parts = await openThread(start);
  const { writer, shipper, reader } = openShippedWriter(start, parts, throwUncaught);
  const journal = new LateInventory(writer, clock);
  const { epoch } = await journal.submit({ kind: "master.start", atMs: clock.wallMs() });
  shipper.start(epoch);
  for (const port of start.callers) {
    answerPort(port, (operation: Operation) => journal.submit(operation));
  }
  const { settings, ticketKey, url } = start;
  const facts = { settings, ticketKey, cluster: url.cluster, masterEpoch: epoch };
  const isChecked = () => writer.checked || !isThere(owedCheck(start.catalogPath));
  const reports = new Reports({ ...parts, ...facts, clock, journal, reader, isChecked });
  reports.start();
  await untilHeard(parts.bus);
  const stop = async () => {
    await reports.stop();
    await writer.close();
    shipper.stop();
    await parts.bus.close();
    reader.close();
  };
  return { ready: { epoch, checked: writer.checked }, stop };
});

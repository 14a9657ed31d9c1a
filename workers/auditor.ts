/** The auditor thread: see `src/master/auditor.ts`. */
import { systemClock as clock } from "../src/base/clock.ts";
import { AuditReader } from "../src/catalog/audit_reader.ts";
import { Auditor } from "../src/master/auditor.ts";
import { openCatalogEnds, openThread, type RoleStart, untilHeard } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";

runThread(async (start: RoleStart) => {
  const parts = await openThread(start);
  const ends = openCatalogEnds(start);
  const auditReader = new AuditReader(start.catalogPath);
  const { cluster } = start.url;
  const masterEpoch = start.epoch;
  const auditor = new Auditor({ ...parts, ...ends, auditReader, clock, cluster, masterEpoch });
  auditor.start();
  await untilHeard(parts.bus);
  return {
    ready: {},
    stop: async () => {
      await auditor.stop();
      await parts.bus.close();
      auditReader.close();
      ends.reader.close();
    },
  };
});

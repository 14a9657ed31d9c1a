/** The archivist thread: see `src/master/archivist.ts`. */
import { systemClock as clock } from "../src/base/clock.ts";
import { Archivist } from "../src/master/archivist.ts";
import { openCatalogEnds, openThread, type RoleStart } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";
import { httpArchive as transport } from "../src/wire/archive_http.ts";

runThread(async (start: RoleStart) => {
  const parts = await openThread(start);
  const { reader } = openCatalogEnds(start);
  const { cluster } = start.url;
  const effects = { clock, transport, cluster, masterEpoch: start.epoch };
  const archivist = new Archivist({ ...start, ...parts, ...effects, reader });
  archivist.start();
  return {
    ready: {},
    stop: async () => {
      await archivist.stop();
      await parts.bus.close();
      reader.close();
    },
  };
});

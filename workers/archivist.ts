/** The archivist thread: see `src/master/archivist.ts`, and `src/master/compactor.ts`. */
import { systemClock as clock } from "../src/base/clock.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { Archivist } from "../src/master/archivist.ts";
import { Compactor } from "../src/master/compactor.ts";
import { openCatalogEnds, openThread, type RoleStart } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";
import { httpArchive } from "../src/wire/archive_http.ts";
import { httpTransport } from "../src/wire/chunk_http.ts";

runThread(async (start: RoleStart) => {
  const parts = await openThread(start);
  const ends = openCatalogEnds(start);
  const { cluster } = start.url;
  const effects = { clock, random, cluster, masterEpoch: start.epoch };
  const common = { ...start, ...parts, ...ends, ...effects };
  const archivist = new Archivist({ ...common, transport: httpArchive });
  // Both have little to do, both wait for keepers most of the time, and neither must be quick: a
  // thread for each would only cost memory.
  const compactor = new Compactor({ ...common, transport: httpTransport });
  archivist.start();
  compactor.start();
  return {
    ready: {},
    stop: async () => {
      await Promise.all([archivist.stop(), compactor.stop()]);
      await parts.bus.close();
      ends.reader.close();
    },
  };
});

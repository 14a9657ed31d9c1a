/** The replicator thread: see `src/master/replicator.ts`. */
import { systemClock as clock } from "../src/base/clock.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { Replicator } from "../src/master/replicator.ts";
import { openCatalogEnds, openThread, type RoleStart } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";

runThread(async (start: RoleStart) => {
  const parts = await openThread(start);
  const ends = openCatalogEnds(start);
  const { cluster } = start.url;
  const masterEpoch = start.epoch;
  const effects = { clock, random, cluster, masterEpoch };
  const replicator = new Replicator({ ...start, ...parts, ...ends, ...effects });
  replicator.start();
  return {
    ready: {},
    stop: async () => {
      await replicator.stop();
      await parts.bus.close();
      ends.reader.close();
    },
  };
});

/** The sentinel thread: see `src/master/sentinel.ts`. */
import { systemClock as clock } from "../src/base/clock.ts";
import { Sentinel } from "../src/master/sentinel.ts";
import { openCatalogEnds, openThread, type RoleStart, untilHeard } from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";

runThread(async (start: RoleStart) => {
  const parts = await openThread(start);
  const { reader } = openCatalogEnds(start);
  const { cluster } = start.url;
  const masterEpoch = start.epoch;
  const sentinel = new Sentinel({ ...start, ...parts, reader, clock, cluster, masterEpoch });
  sentinel.start();
  await untilHeard(parts.bus);
  return {
    ready: {},
    stop: async () => {
      await sentinel.stop();
      await parts.bus.close();
      reader.close();
    },
  };
});

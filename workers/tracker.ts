/** The tracker thread: see `src/master/tracker.ts`. */
import { systemClock as clock } from "../src/base/clock.ts";
import { systemRandom as random } from "../src/base/random.ts";
import { buildInfo } from "../src/embedded.ts";
import { Tracker } from "../src/master/tracker.ts";
import {
  openCatalogEnds,
  openThread,
  type TrackerStart,
  untilHeard,
} from "../src/master/wiring.ts";
import { runThread } from "../src/threads.ts";

runThread(async (start: TrackerStart) => {
  const parts = await openThread(start);
  const ends = openCatalogEnds(start);
  const { version } = buildInfo;
  const { cluster } = start.url;
  const masterEpoch = start.epoch;
  const effects = { clock, random, cluster, version, masterEpoch };
  const tracker = new Tracker({ ...start, ...parts, ...ends, ...effects });
  tracker.start();
  await untilHeard(parts.bus);
  return {
    ready: {},
    stop: async () => {
      await tracker.stop();
      await parts.bus.close();
      ends.reader.close();
    },
  };
});

/** The thread of a receiver: one range of a large file at a time. */
import { must } from "../src/base/assert.ts";
import { systemClock } from "../src/base/clock.ts";
import type { RangeOutcome } from "../src/client/receiver/receive_range.ts";
import { RangeState, receiveRange } from "../src/client/receiver/receive_range.ts";
import type { ReceiverStart, SeatedJob } from "../src/client/receiver/receivers.ts";
import { runThread } from "../src/threads.ts";
import { answerPort } from "../src/wire/thread.ts";

runThread((start: ReceiverStart) => {
  const states = start.states.map((buffer) => new RangeState(buffer));
  answerPort<SeatedJob, RangeOutcome>(start.port, ({ seat, job }) => {
    return Promise.resolve(receiveRange(job, must(states[seat], "a seat's state"), systemClock));
  });
  return Promise.resolve({ ready: {}, stop: () => Promise.resolve(start.port.close()) });
});

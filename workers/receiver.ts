/** The thread of a receiver: one range of a large file at a time. */
import { systemClock } from "../src/base/clock.ts";
import type { RangeJob, RangeOutcome } from "../src/client/receiver/receive_range.ts";
import { RangeState, receiveRange } from "../src/client/receiver/receive_range.ts";
import type { ReceiverStart } from "../src/client/receiver/receivers.ts";
import { runThread } from "../src/threads.ts";
import { answerPort } from "../src/wire/thread.ts";

runThread((start: ReceiverStart) => {
  const state = new RangeState(start.state);
  answerPort<RangeJob, RangeOutcome>(start.port, (job) => {
    return Promise.resolve(receiveRange(job, state, systemClock));
  });
  return Promise.resolve({ ready: {}, stop: () => Promise.resolve(start.port.close()) });
});

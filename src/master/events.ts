/** Events out of the master, for anyone who listens. */
import type { Clock } from "../base/clock.ts";
import type { NameEvent } from "../catalog/operation.ts";
import type { Bus } from "../wire/bus.ts";
import { encode } from "../wire/codec.ts";
import type { ClusterEvent } from "../wire/event.ts";
import type { Subjects } from "../wire/subjects.ts";

export type Announce = (event: Omit<ClusterEvent, "atMs">) => void;

/** What publishes events on `bus`. While disconnected they are lost: nothing depends on them. */
export function announcer(bus: Bus, subjects: Subjects, clock: Clock): Announce {
  return (event) => {
    const whole: ClusterEvent = { ...event, atMs: clock.wallMs() };
    bus.publish(subjects.event(event.kind), encode(whole));
  };
}

/** Tells of a change of names, if an operation has made one. */
export function announceChange(announce: Announce, event: NameEvent | undefined): void {
  if (event === undefined) return;
  const { entry: _entry, atMs: _atMs, ...told } = event;
  announce(told);
}

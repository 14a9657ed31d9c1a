/** Events out of the master, for anyone who listens. */
import type { Clock } from "../base/clock.ts";
import type { NameEvent } from "../catalog/operation.ts";
import type { Bus } from "../wire/bus.ts";
import { encode } from "../wire/codec.ts";
import type { ClusterEvent } from "../wire/event.ts";
import type { Subjects } from "../wire/subjects.ts";
import { nextTurn } from "./turns.ts";

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

/** Events that are told at a stretch. */
const STRETCH = 128;

/** Tells of many changes of names; in between, others of this thread have their turns. */
export async function announceChanges(
  announce: Announce,
  events: readonly NameEvent[],
): Promise<void> {
  for (const [index, event] of events.entries()) {
    announceChange(announce, event);
    if (index % STRETCH === STRETCH - 1) await nextTurn();
  }
}

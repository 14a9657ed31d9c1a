/**
 * The heartbeat that a keeper publishes each second: its own truth about its ports and its disk.
 */
import * as v from "valibot";
import { Id, Natural, PortNumber } from "./ids.ts";

export const PortBeat = v.object({
  port: PortNumber,
  slots: Natural,
  /** Streams in use, readers and writers. */
  inUse: Natural,
  bytesIn: Natural,
  bytesOut: Natural,
  /** The grants (see `Hop`) of the streams that this port carries or waits for down the chain. */
  grants: v.pipe(v.array(Natural), v.maxLength(256)),
});
export type PortBeat = v.InferOutput<typeof PortBeat>;

/** Why a keeper's disk takes nothing. */
export const DiskFault = v.picklist(["full", "read-only", "broken"]);
export type DiskFault = v.InferOutput<typeof DiskFault>;

/** How far the scrubber is. Times are wall time in ms. */
export const ScrubBeat = v.object({
  /** A pass is under way; `doneBytes` of `totalBytes` have been read in it. */
  running: v.boolean(),
  doneBytes: Natural,
  totalBytes: Natural,
  /** Bad copies found since the keeper's start. */
  bad: Natural,
  /** When the latest whole pass ended; 0 when there was none. */
  passedMs: Natural,
  /** When the pass under way, or else the latest one, began: no chunk is older unread. */
  beganMs: Natural,
  /** When it is to be over; 0 when that is not known. */
  dueMs: Natural,
});
export type ScrubBeat = v.InferOutput<typeof ScrubBeat>;

export const Heartbeat = v.object({
  keeper: Id,
  epoch: Natural,
  /** Grows with each beat of an epoch: a late or doubled beat is dropped. */
  beat: Natural,
  ports: v.pipe(v.array(PortBeat), v.maxLength(64)),
  totalBytes: Natural,
  freeBytes: Natural,
  chunks: Natural,
  /** The disk can't be written: no uploads. */
  readOnly: v.boolean(),
  /** Why it can't be written, where that is known. */
  fault: v.optional(DiskFault),
  /** The keeper stops in good order: expect no more beats. */
  leaving: v.boolean(),
  /** Bad or unknown chunks that are kept aside. */
  aside: Natural,
  scrub: ScrubBeat,
});
export type Heartbeat = v.InferOutput<typeof Heartbeat>;

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
  /** The keeper stops in good order: expect no more beats. */
  leaving: v.boolean(),
});
export type Heartbeat = v.InferOutput<typeof Heartbeat>;

/**
 * `DATA/scrub.json`: how far the scrub is, so that it goes on after a restart. A record that can't
 * be read only costs reading some chunks twice.
 */
import * as v from "valibot";
import type { Log } from "../base/log.ts";
import type { Disk } from "../chunks/disk.ts";
import { validate } from "../wire/codec.ts";
import { Natural } from "../wire/ids.ts";
import { replaceText } from "./identity.ts";

export const SCRUB_FILE = "scrub.json";

const ScrubRecord = v.object({
  /** All ids up to here were read in this pass; empty at its beginning. */
  position: v.pipe(v.string(), v.regex(/^(?:[0-9a-f]{32})?$/)),
  beganMs: Natural,
  /** When the latest whole pass ended; 0 when there was none. */
  passedMs: Natural,
  /** Somebody asked for this pass: it does not wait. */
  asked: v.boolean(),
  doneBytes: Natural,
  totalBytes: Natural,
});
export type ScrubRecord = v.InferOutput<typeof ScrubRecord>;

/** The record that was kept last; undefined when there is none to go by. */
export async function readRecord(disk: Disk, log: Log): Promise<ScrubRecord | undefined> {
  try {
    const bytes = await disk.read(SCRUB_FILE);
    if (bytes === undefined) return undefined;
    return validate(ScrubRecord, JSON.parse(new TextDecoder().decode(bytes)), SCRUB_FILE);
  } catch (error) {
    log.warn("Cannot tell how far the scrub was: it begins anew", { error });
    return undefined;
  }
}

/** Keeps the record, durably. What goes wrong is logged: a full disk is scrubbed all the same. */
export async function keepRecord(disk: Disk, log: Log, record: ScrubRecord): Promise<void> {
  try {
    await replaceText(disk, SCRUB_FILE, JSON.stringify(record, null, 1) + "\n");
  } catch (error) {
    log.warn("Cannot keep how far the scrub is", { error });
  }
}

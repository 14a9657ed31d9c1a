/**
 * Cuts uploads that stall. The server's own idle time-out would also cut slow but steady ones, so
 * it is off during an upload; here the growth of the temporary file is watched instead, and the
 * time-out set to its least when the stream is to end.
 */
import type { Clock } from "../base/clock.ts";

/** What the HTTP server lets one do about a request; `seconds` 0 is "never". */
export interface StreamControl {
  timeout(request: Request, seconds: number): void;
}

export interface StallLimits {
  checkEveryMs: number;
  /** Without a new byte for this long, an upload is cut. */
  stallMs: number;
  /** So is one that is slower than this on the whole … */
  bytesPerSecond: number;
  /** … when it has had this much time beyond that. */
  graceMs: number;
}

export const STALL_LIMITS: StallLimits = {
  checkEveryMs: 1000,
  stallMs: 15_000,
  bytesPerSecond: 64 * 1024,
  graceMs: 60_000,
};

export interface WatchedUpload {
  request: Request;
  control: StreamControl;
  sizeBytes: number;
  /** Bytes that have come in so far. */
  received: () => number;
}

/**
 * Watches an upload until the returned function is called. A cut makes the body's reader reject.
 */
export function watchUpload(
  clock: Clock,
  limits: StallLimits,
  upload: WatchedUpload,
  onCut: (reason: string) => void,
): () => void {
  const { request, control, sizeBytes } = upload;
  const startMs = clock.monotonicMs();
  const deadlineMs = startMs + limits.graceMs + 1000 * sizeBytes / limits.bytesPerSecond;
  let seenBytes = 0;
  let seenMs = startMs;
  control.timeout(request, 0);
  const timer = clock.every(limits.checkEveryMs, () => {
    const nowMs = clock.monotonicMs();
    const bytes = upload.received();
    if (bytes > seenBytes) {
      seenBytes = bytes;
      seenMs = nowMs;
    }
    if (nowMs - seenMs < limits.stallMs && nowMs < deadlineMs) return;
    timer.stop();
    onCut(nowMs < deadlineMs ? "no bytes came for too long" : "it was too slow");
    control.timeout(request, 1);
  });
  return () => timer.stop();
}

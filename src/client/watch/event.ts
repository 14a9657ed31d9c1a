/** What a watch tells: one value for each thing that it did, or could not do. */
import type { PresenceEvent } from "../presence.ts";

export type WatchEvent =
  | {
    kind: "sent";
    path: string;
    local: string;
    sizeBytes: number;
    version: number;
    checksum: string;
    copies: number;
    goal: number;
    elapsedMs: number;
  }
  /** Moved in the cluster; no bytes were sent. */
  | { kind: "renamed"; path: string; from: string; entry: "file" | "directory" }
  | { kind: "removed"; path: string; entry: "file" | "directory" }
  /** A directory was made. */
  | { kind: "made"; path: string }
  /** Another mode or time; the bytes are what was sent. */
  | { kind: "updated"; path: string }
  /** Not removed in the cluster, and why. */
  | { kind: "kept"; path: string; reason: string }
  /** Tried again in `retryMs`; given up when undefined. */
  | { kind: "failed"; path: string; error: unknown; retryMs: number | undefined }
  /** Something on the local disk can't be taken. */
  | { kind: "trouble"; error: unknown }
  /** The first scan is done, and what it found is sent. */
  | { kind: "watching"; files: number; failed: number }
  /** Each file is looked at again and again, since changes are not (all) told. */
  | { kind: "polling"; everyMs: number; reason: string }
  /** The state database was lost. */
  | { kind: "state-lost"; reason: string; movedTo: string }
  /** What changes while the master is away is sent later. */
  | PresenceEvent
  /** The watched directory is gone; nothing is removed for that. */
  | { kind: "root-lost"; reason: string }
  | { kind: "root-back" };

/** Hears what a watch tells. */
export type WatchListener = (event: WatchEvent) => void;

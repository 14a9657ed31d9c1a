/** The steps of a random session: see `Model`. */
import type { PackStep } from "./pack_model.ts";

export type Step =
  | PackStep
  | { verb: "put"; path: string; exclusive: boolean }
  | { verb: "mkdir"; path: string; parents: boolean }
  | { verb: "rm"; path: string; recursive: boolean }
  | { verb: "mv"; path: string; to: string; replace: boolean }
  | { verb: "cp"; path: string; to: string; replace: boolean }
  | {
    verb: "begin";
    upload: string;
    path: string;
    exclusive: boolean;
    resume: boolean;
    /** What is silent counts as interrupted. */
    idle: boolean;
  }
  | { verb: "touch"; upload: string }
  | {
    verb: "place";
    upload: string;
    seq: number;
    small: boolean;
    /** Its client may have gone. */
    late: boolean;
    keepers: number[];
  }
  | { verb: "commit"; upload: string; chunks: number }
  | { verb: "abort"; upload: string; keep: boolean }
  | { verb: "purge"; limit: number }
  | { verb: "undelete"; path: string; to: string; replace: boolean }
  | { verb: "empty"; path: string }
  | { verb: "gone"; keeper: number; pick: number }
  | { verb: "forget"; pick: number }
  | { verb: "relabel"; keeper: number; label: string }
  | { verb: "apply"; path: string; goal: number; require: string }
  | { verb: "drain"; keeper: number; on: boolean }
  | { verb: "remove"; keeper: number; force: boolean }
  | { verb: "inventory"; keeper: number; picks: boolean[]; stray: boolean };

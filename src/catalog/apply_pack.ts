/** Packs: many files made of one chunk, and moved into another one by compaction. */
import { TydfsError } from "../wire/errors.ts";
import type { Operation, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

/** Makes files of a pack: `pack.commit`. */
export function commitPack(
  _tx: Tx,
  _operation: Of<"pack.commit">,
  _sequence: number,
): ResultOf<"pack.commit"> {
  throw new TydfsError("internal", "packs are not there yet");
}

/** Moves what lies in packs into another one: `pack.move`. */
export function movePacked(_tx: Tx, _operation: Of<"pack.move">): ResultOf<"pack.move"> {
  throw new TydfsError("internal", "packs are not there yet");
}

/** Versions that come back from the trash, and those that leave it early. */
import { TydfsError } from "../wire/errors.ts";
import type { Operation, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

export function restoreVersion(
  _tx: Tx,
  _operation: Of<"trash.restore">,
): ResultOf<"trash.restore"> {
  throw new TydfsError("internal", "CONTRACT: not built yet");
}

export function dropVersions(_tx: Tx, _operation: Of<"trash.drop">): ResultOf<"trash.drop"> {
  throw new TydfsError("internal", "CONTRACT: not built yet");
}

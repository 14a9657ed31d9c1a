/** Keepers that are emptied and forgotten, and the wish to make the others even. */
import { TydfsError } from "../wire/errors.ts";
import type { Operation, ResultOf } from "./operation.ts";
import type { Tx } from "./transaction.ts";

type Of<K extends Operation["kind"]> = Extract<Operation, { kind: K }>;

export function drainKeeper(_tx: Tx, _operation: Of<"keeper.drain">): Record<string, never> {
  throw new TydfsError("internal", "CONTRACT: not built yet");
}

export function removeKeeper(_tx: Tx, _operation: Of<"keeper.remove">): ResultOf<"keeper.remove"> {
  throw new TydfsError("internal", "CONTRACT: not built yet");
}

export function setBalance(_tx: Tx, _operation: Of<"balance.set">): Record<string, never> {
  throw new TydfsError("internal", "CONTRACT: not built yet");
}

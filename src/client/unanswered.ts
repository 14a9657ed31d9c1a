/** What is told when nobody knows whether a commit was done. */
import { TydfsError } from "../wire/errors.ts";
import { quotePath } from "../wire/names.ts";

/** The `timeout` of a file whose commit was not answered: it may be there. */
export function unansweredCommit(path: string, cause: unknown): TydfsError {
  const message = `Cannot tell whether ${quotePath(path)} was put: ` +
    "the commit was not answered; look before you repeat it";
  return new TydfsError("timeout", message, { cause });
}

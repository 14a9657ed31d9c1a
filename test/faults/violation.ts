/** A broken promise: it ends the run, and says all that helps to find out why. */

export class Violation extends Error {
  override name = "Violation";

  /** `invariant`: its number in the list of invariants, e.g. `I4`. */
  constructor(
    readonly invariant: string,
    message: string,
    readonly details: readonly string[] = [],
  ) {
    super(`${invariant}: ${message}`);
  }
}

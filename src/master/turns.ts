/** How long work in a thread makes room for others there. */

/** Lets others of this thread have a turn. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

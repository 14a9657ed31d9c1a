/**
 * The pool of threads in which the runtime makes file calls that may wait. It has as many as the
 * machine has cores, which is right for work and wrong for waiting: on two cores two syncs of a
 * slow disk hold up every other call of the process.
 */
import { cString, openLibc } from "./libc.ts";

/** Read by the runtime when the pool is first used. */
const SIZE_VARIABLE = "UV_THREADPOOL_SIZE";

/**
 * Gives the pool of this process `threads` threads, unless the environment says how many. To be
 * called before the first file call that waits; does nothing where the C library can't be asked.
 */
export function widenPool(threads: number): void {
  // Not what JavaScript sees of the environment: the runtime asks the C library.
  const libc = openLibc({
    setenv: { args: ["ptr", "ptr", "i32"], returns: "i32" },
  });
  const keep = 0;
  libc?.setenv(cString(SIZE_VARIABLE), cString(String(threads)), keep);
}

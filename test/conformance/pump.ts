/** Lets virtual time pass as fast as the machine can, while a test waits for simulated parts. */
import type { VirtualTime } from "../sim/virtual_time.ts";

/** Steps `time` with each turn of the real event loop; returns how to stop that. */
export function pump(time: VirtualTime): () => void {
  let stopped = false;
  const turn = () => {
    if (stopped) return;
    time.step();
    setImmediate(turn);
  };
  setImmediate(turn);
  return () => void (stopped = true);
}

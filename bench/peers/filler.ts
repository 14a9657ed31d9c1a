/**
 * Keeps memory in use as it is on a machine that has run for a while: full of clean page cache.
 * A guest that gives free memory back to its host (free page reporting of virtio-balloon) pays for
 * each page that it takes again, here 2 s of CPU for each GiB: that would be counted against those
 * systems that write through the page cache, and not against those that go around it.
 */
import { readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { GIB, KIB, MIB } from "../../src/base/bytes.ts";
import { runTool } from "./processes.ts";

/** Memory that is left free: the kernel takes pages out of the cache only when it runs short. */
const FREE_BYTES = GIB / 2;
/** Less is not worth a tool's start. */
const LEAST_BYTES = GIB / 4;
/** A file of holes, larger than what is ever read of it. */
const HOLES_BYTES = 1024 * GIB;

export class Filler {
  readonly #path: string;
  #readBytes = 0;

  /** Its file of holes lies in `directory`, takes no place on the disk, and goes with it. */
  constructor(directory: string) {
    this.#path = join(directory, "filler");
    writeFileSync(this.#path, "");
    truncateSync(this.#path, HOLES_BYTES);
  }

  /** Fills what is free; does nothing where that can't be told. */
  async fill(): Promise<void> {
    const bytes = freeBytes() - FREE_BYTES;
    if (bytes < LEAST_BYTES || this.#readBytes + bytes > HOLES_BYTES) return;
    const count = Math.floor(bytes / MIB);
    const skip = Math.floor(this.#readBytes / MIB);
    this.#readBytes += count * MIB;
    const range = ["bs=1M", `skip=${skip}`, `count=${count}`];
    await runTool(["dd", `if=${this.#path}`, "of=/dev/null", ...range, "status=none"]);
  }
}

/** Memory that nothing uses, not even as a cache; 0 where the system does not tell. */
function freeBytes(): number {
  try {
    const told = /^MemFree:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"));
    return Number(told?.[1] ?? 0) * KIB;
  } catch {
    return 0;
  }
}

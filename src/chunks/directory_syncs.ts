/**
 * Syncs of directories, grouped: all who wait for one directory share its next sync. Nothing that
 * fails is retried.
 */
import type { Disk } from "./disk.ts";

interface Queue {
  running: Promise<void>;
  /** The sync after the running one; a change made now is only sure to be in that. */
  next?: Promise<void>;
}

/** Makes the entries of directories durable. */
export class DirectorySyncs {
  readonly #disk: Disk;
  readonly #queues = new Map<string, Queue>();

  constructor(disk: Disk) {
    this.#disk = disk;
  }

  /** Resolves when all that was done in `path` before this call is durable. */
  sync(path: string): Promise<void> {
    const queue = this.#queues.get(path);
    if (queue === undefined) return this.#start(path);
    queue.next ??= queue.running.catch(() => {}).then(() => this.#start(path));
    return queue.next;
  }

  #start(path: string): Promise<void> {
    const running = this.#disk.syncDirectory(path);
    const queue: Queue = { running };
    this.#queues.set(path, queue);
    const forget = () => {
      if (this.#queues.get(path) === queue && queue.next === undefined) this.#queues.delete(path);
    };
    running.then(forget, forget);
    return running;
  }
}

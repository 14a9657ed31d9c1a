/**
 * A bounded queue whose consumer takes all that waits at once: the shape of group commit (many
 * callers, one disk sync) and of every other place where a fixed cost is shared.
 */

/** What one item's caller is told. */
export interface BatchItem<In, Out> {
  readonly input: In;
  resolve(output: Out): void;
  reject(error: unknown): void;
}

export interface BatchOptions<In, Out> {
  /** Items that may wait; one more is refused with what `onFull` makes. */
  waitingMax: number;
  /** Items handed out at once. */
  batchMax: number;
  /** Settles every item it is given. What it throws rejects the items that are not settled. */
  run: (items: BatchItem<In, Out>[]) => void | Promise<void>;
  onFull: () => Error;
}

/** Runs batches one after another; items that come meanwhile form the next one. */
export class Batcher<In, Out> {
  readonly #options: BatchOptions<In, Out>;
  #waiting: BatchItem<In, Out>[] = [];
  #running: Promise<void> | undefined;

  constructor(options: BatchOptions<In, Out>) {
    this.#options = options;
  }

  /** Items that wait and are not yet handed out. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Adds one item; settles as `run` settles it. Rejects at once when the queue is full. */
  submit(input: In): Promise<Out> {
    if (this.#waiting.length >= this.#options.waitingMax) {
      return Promise.reject(this.#options.onFull());
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ input, resolve, reject });
      this.#running ??= this.#loop();
    });
  }

  /** Resolves when nothing waits and nothing runs. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async #loop(): Promise<void> {
    while (this.#waiting.length > 0) {
      // A whole turn of the event loop: messages that came in while the last batch ran join this
      // one.
      await new Promise((resolve) => setImmediate(resolve));
      const items = this.#waiting.splice(0, this.#options.batchMax);
      try {
        await this.#options.run(items);
      } catch (error) {
        for (const item of items) item.reject(error);
      }
    }
    this.#running = undefined;
  }
}

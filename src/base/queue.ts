/**
 * A bounded queue between one that finds work and several that do it: who finds waits while the
 * queue is full, so that memory does not grow with what is found.
 */

export class BoundedQueue<T> {
  readonly #max: number;
  #items: T[] = [];
  /** Index of the first item in `#items`: taking it from the front each time would be slow. */
  #first = 0;
  #closed = false;
  readonly #pullers: ((item: T | undefined) => void)[] = [];
  readonly #pushers: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
  }

  /** Items that wait. */
  get length(): number {
    return this.#items.length - this.#first;
  }

  /** Adds an item as soon as there is room. False when the queue was closed: it is not taken. */
  async push(item: T): Promise<boolean> {
    while (!this.#closed && this.length >= this.#max) {
      await new Promise<void>((resolve) => this.#pushers.push(resolve));
    }
    if (this.#closed) return false;
    const puller = this.#pullers.shift();
    if (puller === undefined) this.#items.push(item);
    else puller(item);
    return true;
  }

  /** The next item as soon as there is one; undefined when the queue is closed and empty. */
  pull(): Promise<T | undefined> {
    if (this.length > 0) return Promise.resolve(this.#take());
    if (this.#closed) return Promise.resolve(undefined);
    return new Promise((resolve) => this.#pullers.push(resolve));
  }

  /** Nothing more is taken; what waits is still handed out, unless it is dropped. */
  close(options: { drop?: boolean } = {}): void {
    this.#closed = true;
    if (options.drop === true) {
      this.#items = [];
      this.#first = 0;
    }
    for (const puller of this.#pullers.splice(0)) puller(undefined);
    for (const pusher of this.#pushers.splice(0)) pusher();
  }

  #take(): T | undefined {
    const item = this.#items[this.#first++];
    if (this.#first > this.#max) {
      this.#items = this.#items.slice(this.#first);
      this.#first = 0;
    }
    this.#pushers.shift()?.();
    return item;
  }
}

/** A seeded load of writers, each with paths of its own, so that each path has one order. */
import { systemRandom } from "../../../src/base/random.ts";
import type { TydfsClient } from "../../../src/client/client.ts";
import { makeId } from "../../../src/wire/ids.ts";
import { Ledger, someBytes } from "../ledger.ts";

const WRITERS = 6;
/** Files beyond this are removed, so that disks of any size last. */
const FILES_MAX = 40;
const SIZES_BYTES = [0, 1, 4_000, 300_000, 2 ** 20, 2 ** 20 + 1, 3_500_000];
/** A writer that fails so often in a row has nothing to write to. */
const FAILURES_MAX = 10;

export class Load {
  readonly ledger = new Ledger();
  readonly #random: () => number;

  constructor(random: () => number) {
    this.#random = random;
  }

  /** Writes until `signal` is aborted; what runs then is in doubt. Resolves when nothing runs. */
  async run(client: TydfsClient, signal: AbortSignal): Promise<void> {
    const writers = Array.from({ length: WRITERS }, (_, n) => this.#write(client, n, signal));
    await Promise.all(writers);
  }

  /** Puts `count` files, one after the other. Nothing is under way when it resolves. */
  async putSome(client: TydfsClient, count: number): Promise<void> {
    for (let n = 0; n < count; n++) await this.ledger.put(client, newPath(0), this.#bytes());
  }

  async #write(client: TydfsClient, writer: number, signal: AbortSignal): Promise<void> {
    for (let failures = 0; !signal.aborted && failures < FAILURES_MAX;) {
      const own = this.ledger.paths.filter((path) => path.startsWith(`/${writer}/`));
      const draw = this.#random();
      const old = own[Math.floor(this.#random() * own.length)];
      const isFull = own.length > FILES_MAX / WRITERS;
      const path = old !== undefined && (isFull || draw < 0.4) ? old : newPath(writer);
      const doubt = isFull || draw < 0.15
        ? await this.ledger.remove(client, path, { signal })
        : await this.ledger.put(client, path, this.#bytes(), { signal });
      failures = doubt === undefined ? 0 : failures + 1;
    }
  }

  #bytes(): Uint8Array {
    const size = SIZES_BYTES[Math.floor(this.#random() * SIZES_BYTES.length)] ?? 0;
    return someBytes(size, this.#random);
  }
}

function newPath(writer: number): string {
  return `/${writer}/${makeId(systemRandom)}`;
}

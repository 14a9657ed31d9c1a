/**
 * Cuts files out of the blocks of a run as they come. Of what came before only that is kept which a
 * file needs that goes on in the next block.
 */
import { assert } from "../../base/assert.ts";
import type { PlacedFile, PlannedRun } from "./plan.ts";

export class FileCutter {
  readonly #files: readonly PlacedFile[];
  /** Files that are not handed out yet, from here on; they are sorted by where they start. */
  #next = 0;
  /** Those of them that began before the newest block. */
  #begun: PlacedFile[] = [];
  /** The end of the blocks so far, for those that have begun; it starts at `#keptStart`. */
  #kept: Uint8Array = new Uint8Array();
  #keptStart = 0;
  #position: number;

  constructor({ files, start }: PlannedRun) {
    this.#files = files;
    this.#position = start;
  }

  /**
   * The files that end in this block, with their bytes (only lent, as the block is). Blocks come in
   * order, each once, without gaps; what is handed out is to be taken before the next one.
   */
  *cut(block: Uint8Array, start: number): Generator<{ file: PlacedFile; bytes: Uint8Array }> {
    assert(start === this.#position, "blocks come in order");
    const end = start + block.length;
    this.#position = end;
    const unfinished: PlacedFile[] = [];
    for (const file of this.#begun) {
      if (file.end > end) unfinished.push(file);
      else yield { file, bytes: this.#joined(file, block, start) };
    }
    for (let file = this.#files[this.#next]; file !== undefined && file.start < end;) {
      if (file.end > end) unfinished.push(file);
      else yield { file, bytes: block.subarray(file.start - start, file.end - start) };
      file = this.#files[++this.#next];
    }
    this.#begun = unfinished;
    this.#keep(block, start);
  }

  /** A file that began before this block. */
  #joined(file: PlacedFile, block: Uint8Array, start: number): Uint8Array {
    const head = this.#kept.subarray(file.start - this.#keptStart);
    return Buffer.concat([head, block.subarray(0, file.end - start)]);
  }

  #keep(block: Uint8Array, start: number): void {
    let from = Infinity;
    for (const file of this.#begun) from = Math.min(from, file.start);
    const end = start + block.length;
    if (from >= end) {
      this.#kept = new Uint8Array();
      this.#keptStart = end;
    } else if (from >= start) {
      this.#kept = block.slice(from - start);
      this.#keptStart = from;
    } else {
      this.#kept = Buffer.concat([this.#kept.subarray(from - this.#keptStart), block]);
      this.#keptStart = from;
    }
  }
}

/**
 * The lines that were typed into the shell, kept between runs in a file that only its user can
 * read, bounded. Lines that hold a secret, or begin with a blank, are not kept.
 */
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Lines that are kept; the file has twice as many at most before it is cut. */
export const LINES_MAX = 1_000;
const BYTES_MAX = 1 << 20;
const SECRET = /tydfs:\/\/[^\s:@/]*:[^\s@]*@/;

export class History {
  readonly #path: string | undefined;
  readonly #onFailure: (reason: string) => void;
  #lines: string[] = [];
  #failed = false;

  /** The history in a file, or of this run only; `onFailure` hears once that it can't be kept. */
  constructor(path: string | undefined, onFailure: (reason: string) => void) {
    this.#path = path;
    this.#onFailure = onFailure;
    this.#try((file) => this.#load(file));
  }

  /** The newest first. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** Remembers a line; one that repeats the last is remembered once. */
  add(line: string): void {
    if (line.trim() === "" || /^\s/.test(line) || SECRET.test(line)) return;
    if (line === this.#lines[0]) return;
    this.#lines = [line, ...this.#lines].slice(0, LINES_MAX);
    this.#try((file) => {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
      appendFileSync(file, `${line}\n`, { mode: 0o600 });
    });
  }

  #load(file: string): void {
    if (!existsSync(file)) return;
    const text = readFileSync(file, "utf8");
    const lines = text.split("\n").filter((line) => line !== "");
    this.#lines = lines.slice(-LINES_MAX).reverse();
    if (lines.length <= 2 * LINES_MAX && statSync(file).size <= BYTES_MAX) return;
    const draft = `${file}.${process.pid}.tmp`;
    writeFileSync(draft, this.#lines.toReversed().map((line) => `${line}\n`).join(""), {
      mode: 0o600,
    });
    renameSync(draft, file);
  }

  #try(work: (file: string) => void): void {
    if (this.#path === undefined || this.#failed) return;
    try {
      work(this.#path);
    } catch (error) {
      this.#failed = true;
      this.#onFailure(error instanceof Error ? error.message : String(error));
    }
  }
}

/**
 * Clocks that can be set: libfaketime (Debian) between a role and the system's wall clock. What
 * counts time that passes is left alone, as it is when somebody sets a machine's clock.
 */
import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LIBRARIES = [
  "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
  "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
];

export class FakeClocks {
  readonly #dir: string;
  readonly #library: string;

  private constructor(dir: string, library: string) {
    this.#dir = dir;
    this.#library = library;
    mkdirSync(dir, { recursive: true });
  }

  /** Clocks whose settings lie in `dir`; undefined where the library is missing. */
  static open(dir: string): FakeClocks | undefined {
    const library = LIBRARIES.find((path) => existsSync(path));
    return library === undefined ? undefined : new FakeClocks(dir, library);
  }

  /** The words before a command whose clock is `name`. */
  enter(name: string): string[] {
    const path = this.#pathOf(name);
    if (!existsSync(path)) this.set(name, 0);
    return [
      "env",
      `LD_PRELOAD=${this.#library}`,
      `FAKETIME_TIMESTAMP_FILE=${path}`,
      "FAKETIME_CACHE_DURATION=1",
      "FAKETIME_DONT_FAKE_MONOTONIC=1",
    ];
  }

  /** Sets a clock `seconds` ahead of the system's, or behind it; seen within a second. */
  set(name: string, seconds: number): void {
    writeFileSync(this.#pathOf(name), `${seconds < 0 ? "" : "+"}${seconds}\n`);
  }

  /** Takes away what the library shares between a process and its children, when that was killed. */
  forget(pid: number): void {
    for (const name of [`faketime_shm_${pid}`, `sem.faketime_sem_${pid}`]) {
      rmSync(`/dev/shm/${name}`, { force: true });
    }
  }

  #pathOf(name: string): string {
    return join(this.#dir, name);
  }
}

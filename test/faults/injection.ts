/** Faults of the kernel's calls in a running process, by strace: errors and delays. */
import { readFileSync } from "node:fs";
import { until } from "../cluster/harness.ts";

export class Injection {
  readonly #strace: Bun.Subprocess;

  private constructor(strace: Bun.Subprocess) {
    this.#strace = strace;
  }

  /** Has `calls` of process `pid` fail or wait, e.g. `error=EIO` or `delay_enter=2000000` (µs). */
  static async begin(pid: number, calls: readonly string[], what: string): Promise<Injection> {
    const names = calls.join(",");
    const strace = Bun.spawn(
      ["strace", "-f", "-qq", "-o", "/dev/null", "-e", `trace=${names}`]
        .concat(["-e", `inject=${names}:${what}`, "-p", String(pid)]),
      { stdio: ["ignore", "ignore", "inherit"] },
    );
    const tracer = () => /^TracerPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
    await until("strace is attached", () => tracer()?.[1] !== "0");
    return new Injection(strace);
  }

  /** Lets the process go on undisturbed. */
  async end(): Promise<void> {
    if (this.#strace.exitCode === null) this.#strace.kill("SIGTERM");
    await this.#strace.exited;
  }
}

/** What is to be taken back at the end, in reverse, also on Ctrl-C and after a failure. */
export class Undo {
  readonly #steps: { what: string; step: () => unknown }[] = [];
  #running: Promise<void> | undefined;

  /** Adds a step; the returned function takes it now, and not again. */
  add(what: string, step: () => unknown): () => Promise<void> {
    const entry = { what, step };
    this.#steps.push(entry);
    return async () => {
      const at = this.#steps.indexOf(entry);
      if (at < 0) return;
      this.#steps.splice(at, 1);
      await step();
    };
  }

  /** Takes all steps; one that fails is told, and does not stop the others. */
  run(): Promise<void> {
    this.#running ??= this.#run();
    return this.#running;
  }

  async #run(): Promise<void> {
    for (let entry = this.#steps.pop(); entry !== undefined; entry = this.#steps.pop()) {
      try {
        await entry.step();
      } catch (error) {
        console.error(`Cannot undo "${entry.what}": ${String(error)}`);
      }
    }
  }
}

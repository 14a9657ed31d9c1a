/** Lines of progress on stderr, each with the time since the start. */

const startMs = performance.now();

export function progress(line: string): void {
  const seconds = ((performance.now() - startMs) / 1000).toFixed(0).padStart(4);
  console.error(`${seconds} s  ${line}`);
}

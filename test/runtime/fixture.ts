/**
 * What the runtime contract tests share: a directory of their own, and waiting for a condition.
 * These tests pin facts about Bun, cbor-x and NATS that tydfs relies on; one that fails after an
 * upgrade names the fact that has changed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A temporary directory that is gone at the end of its scope (`using`). */
export interface TemporaryDir extends Disposable {
  readonly path: string;
  file(name: string): string;
}

export function makeTemporaryDir(): TemporaryDir {
  const path = mkdtempSync(join(tmpdir(), "tydfs-runtime-"));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Waits until the condition holds; fails with its name when that takes too long. */
export async function until(
  what: string,
  condition: () => boolean,
  limitMs = 10_000,
): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > limitMs) throw new Error(`Not within ${limitMs} ms: ${what}`);
    await Bun.sleep(2);
  }
}

/** Bytes that differ along the way, so that a wrong offset shows. */
export function makeBytes(length: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length }, (_, index) => (index * 31 + (index >> 8) + 7) & 255);
}

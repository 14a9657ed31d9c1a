/** A directory for one test, and bytes to put into it. */
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { seededRandom } from "../../src/base/random.ts";

/** A directory that is removed when it goes out of scope (`using`). */
export function scratchDirectory(): Disposable & { path(name: string): string; names(): string[] } {
  const root = mkdtempSync(join(tmpdir(), "tydfs-client-"));
  return {
    path: (name) => join(root, name),
    names: () => readdirSync(root).sort(),
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}

/** Bytes of which no two blocks are the same. */
export function someBytes(length: number): Uint8Array<ArrayBuffer> {
  // 4099 is prime: each block begins at another place of the pattern.
  const pattern = seededRandom(1).bytes(4099);
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; at += pattern.length) {
    bytes.set(pattern.subarray(0, length - at), at);
  }
  return bytes;
}

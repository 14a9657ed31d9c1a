/** Reads a keeper's disk as it lies there, without tydfs, and names chunks that are not whole. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const BLOCK_BYTES = 2 ** 20;

/** Half files in the final area of the keeper's directory `dir`, a line each. */
export function findTorn(dir: string): string[] {
  const root = join(dir, "chunks");
  if (!existsSync(root)) return [];
  const names = [...new Bun.Glob("*/*/*").scanSync({ cwd: root })];
  return names.filter((name) => /\/[0-9a-f]{32}$/.test(name)).flatMap((name) => {
    const reason = faultOf(join(root, name));
    return reason === undefined ? [] : [`${join(root, name)}: ${reason}`];
  });
}

function faultOf(path: string): string | undefined {
  const sidecarPath = `${path}.json`;
  if (!existsSync(sidecarPath)) return "it has no sidecar";
  const bytes = readFileSync(path);
  let sidecar: { sizeBytes: number; sums: string };
  try {
    sidecar = JSON.parse(readFileSync(sidecarPath, "utf8"));
  } catch {
    return "its sidecar is no JSON";
  }
  if (bytes.length !== sidecar.sizeBytes) return `${bytes.length} of ${sidecar.sizeBytes} bytes`;
  for (let at = 0, block = 0; at < bytes.length; at += BLOCK_BYTES, block++) {
    const sum = Bun.hash.xxHash3(bytes.subarray(at, at + BLOCK_BYTES)).toString(16);
    if (sidecar.sums.slice(16 * block, 16 * block + 16) !== sum.padStart(16, "0")) {
      return `block ${block} is not what was written`;
    }
  }
  return undefined;
}
